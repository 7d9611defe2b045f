//! What writeback reads and writes in `_sync_cdc` outside of claims and settling.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::atomic;
use super::claims::{Claim, Claimed};
use super::lanes::{Atomic, Company, Node, Queued, Terms};
use super::settle_many::Judged;
use super::settlement::{APPLIED, Settled};
use super::together::Together;
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::ledger::Token;
use crate::pg::mirror::{Operation, Row};
use crate::pg::{Batches, Database, fault, literal, qualified};

/// What is read of a mutation that is to be queued.
const COLUMNS: &str =
    "id, \"table\", operation, key, coalesce(after, before) as image, state, options, txid::text";

/// `_sync_cdc` of one tenant.
#[derive(Clone, Debug)]
pub struct Store {
    /// The service's pool.
    pub database: Database,
    /// A few connections for what each write needs, together with others: the fewer they are, the less often
    /// Postgres plans and looks up the same.
    pub(super) together: Database,
    /// One of these connections, for transactions.
    pub(super) batches: Batches,
    /// The tenant's schema.
    pub schema: String,
    /// Of each claim what became ours; none where it is to be made alone.
    pub(super) claims: Arc<Together<Claim, Option<Vec<Claimed>>>>,
    /// None where it is to be settled alone.
    pub(super) settlements: Arc<Together<Judged, Option<Settled>>>,
}

/// Groups of claims, and of settlements, under way at once: the fewer there are, the more goes with each.
const GROUPS: usize = 1;
/// Claims, and settlements, that go together at most: a client that wants one of their rows waits for all of them.
const TOGETHER: usize = 64;

/// Mutations that have been loaded.
#[derive(Debug)]
pub struct Page {
    /// Those that may be queued, in id order.
    pub queued: Vec<Queued>,
    /// Those beyond the page that a call of these may have carried: what became of it is found out together.
    pub rest: Vec<Queued>,
    /// Something is held in the schema, or has been until now: others may have to wait for it.
    pub holds: bool,
    /// Transactions of these that are all or nothing and have failed.
    pub failed: Vec<u64>,
}

/// Which unsettled mutations to load.
#[derive(Clone, Debug)]
pub enum Which {
    /// These ids.
    Ids(Vec<i64>),
    /// Those that a snapshot saw, after an id.
    Snapshot {
        /// `pg_current_snapshot()` as text.
        snapshot: String,
        /// The last id of the page before.
        after: i64,
    },
    /// Those of one transaction, after an id.
    Transaction {
        /// The low half of its xid8, as the stream has it.
        xid: u32,
        /// The last id of the page before.
        after: i64,
        /// The last id of the transaction.
        last: i64,
    },
}

impl Which {
    /// A mutation that shows whether the rest can be seen; none of a snapshot, all of which can.
    pub(super) fn first(&self) -> Option<i64> {
        match self {
            Which::Ids(ids) => ids.first().copied(),
            Which::Transaction { after, .. } => Some(after + 1),
            Which::Snapshot { .. } => None,
        }
    }

    /// Everything up to `id` has been loaded.
    pub(super) fn advance(&mut self, id: i64) {
        if let Which::Snapshot { after, .. } | Which::Transaction { after, .. } = self {
            *after = id;
        }
    }
}

impl Store {
    /// These connections: one for the groups of claims, one for those of settlements, one to look at what arrives.
    pub const TOGETHER: u32 = 2 * GROUPS as u32 + 1;
    /// Their settings: every row is found by its key, however many there were when the statement was planned, and
    /// planning anew for each number of rows would only cost time.
    pub const BY_KEY: &[(&str, &str)] = &[
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        // Arguments of batches are literals.
        ("standard_conforming_strings", "on"),
    ];

    /// The mutations of the tenant in this schema; `together` has [`Store::TOGETHER`] connections with the settings
    /// [`Store::BY_KEY`].
    pub fn new(database: Database, together: Database, schema: String) -> Store {
        let claims = Arc::new(Together::new(GROUPS, TOGETHER));
        let settlements = Arc::new(Together::new(GROUPS, TOGETHER));
        let batches = Batches::new(together.clone());
        Store { database, together, batches, schema, claims, settlements }
    }

    /// Text of the current snapshot: what is visible in it is loaded from the table, the rest
    /// comes by the stream.
    pub async fn snapshot(&self) -> Result<String> {
        sqlx::query_scalar("select pg_catalog.pg_current_snapshot()::text")
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot take a snapshot"))
    }

    /// Those of these mutations whose commits cannot be seen yet.
    pub(super) async fn unseen(&self, ids: Vec<i64>) -> Result<HashSet<i64>> {
        let sql = format!(
            "select told.id from unnest($1::bigint[]) told (id) where not exists (select from {} c where c.id = told.id)",
            self.cdc()
        );
        let unseen: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(ids)
            .fetch_all(&self.database.pool)
            .await
            .map_err(fault("cannot look for mutations"))?;
        Ok(unseen.into_iter().collect())
    }

    /// At most `limit` unsettled mutations that are not held, in id order.
    pub async fn load(
        &self,
        catalog: &Catalog,
        which: &Which,
        limit: i64,
        commit: Option<Token>,
    ) -> Result<Page> {
        let cdc = self.cdc();
        let (schema, import) = (literal(&self.schema), self.import());
        let select = |condition: &str| {
            AssertSqlSafe(format!(
                "select {COLUMNS}, exists (select from _auth0_sync.held where schema = {schema}), {import} from {cdc} c \
                 where settled_at is null and state <> 'held' and {condition} order by id limit {limit}"
            ))
        };
        let rows = match which {
            Which::Ids(ids) => {
                sqlx::query(select("id = any ($1)")).bind(ids).fetch_all(&self.together.pool).await
            }
            Which::Snapshot { snapshot, after } => {
                let condition = "id > $1 and pg_catalog.pg_visible_in_snapshot(txid, $2::pg_snapshot)";
                sqlx::query(select(condition)).bind(after).bind(snapshot).fetch_all(&self.database.pool).await
            }
            Which::Transaction { xid, after, last } => {
                let condition = "id > $1 and id <= $2 and (txid::text::numeric % 4294967296) = $3";
                sqlx::query(select(condition))
                    .bind(after)
                    .bind(last)
                    .bind(i64::from(*xid))
                    .fetch_all(&self.database.pool)
                    .await
            }
        };
        let rows = rows.map_err(fault("cannot read unsettled mutations"))?;
        let holds = rows.first().is_some_and(|row| row.get(8));
        let page = rows.iter().map(|row| queued(catalog, row, commit)).collect::<Result<Vec<_>>>()?;
        let rest = match page.last() {
            Some(last) if page.len() as i64 >= limit => {
                self.rest_of_calls(catalog, &page, last.id, commit).await?
            }
            _ => Vec::new(),
        };
        let mut atomic: Vec<u64> = page.iter().filter_map(|queued| Some(queued.terms.atomic?.txid)).collect();
        atomic.dedup();
        let failed = if atomic.is_empty() { atomic } else { atomic::failed(self, &atomic).await? };
        Ok(Page { queued: page, rest, holds, failed })
    }

    /// The request of the import under way that carries the mutation `c`, as an SQL expression.
    fn import(&self) -> String {
        let schema = literal(&self.schema);
        format!(
            "case when state in ('sending', 'verifying') then (select i.request_id from _auth0_sync.import i \
             where i.schema = {schema} and i.request_id = c.request_id) end"
        )
    }

    /// What is behind a page and was sent in one call with what stands in it. Rows of an import go by themselves.
    async fn rest_of_calls(
        &self,
        catalog: &Catalog,
        page: &[Queued],
        last: i64,
        commit: Option<Token>,
    ) -> Result<Vec<Queued>> {
        let doubtful: Vec<i64> =
            page.iter().filter(|queued| queued.uncertain).map(|queued| queued.id).collect();
        if doubtful.is_empty() {
            return Ok(Vec::new());
        }
        let (cdc, import) = (self.cdc(), self.import());
        let sql = format!(
            "select {COLUMNS}, false, null::text from {cdc} c where settled_at is null \
             and state in ('sending', 'verifying') and id > $1 \
             and request_id in (select request_id from {cdc} where id = any ($2)) and {import} is null order by id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(last)
            .bind(doubtful)
            .fetch_all(&self.database.pool)
            .await
            .map_err(fault("cannot read unsettled mutations"))?;
        rows.iter().map(|row| queued(catalog, row, commit)).collect()
    }

    /// Whether something is held in the schema, or has been until now.
    pub(super) async fn holds(&self) -> Result<bool> {
        sqlx::query_scalar("select exists (select from _auth0_sync.held where schema = $1)")
            .bind(&self.schema)
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot look whether something is held"))
    }

    /// Mutations of these rows, and of those that they reference, that are held or have been until now.
    pub(super) async fn held_before(&self, catalog: &Catalog, queued: &[Queued]) -> Result<Vec<(Node, i64)>> {
        let nodes = queued.iter().flat_map(|queued| {
            std::iter::once(&queued.node).chain(queued.references.iter().map(|(node, _)| node))
        });
        let key = |(table, key): &Node| Some(Value::Object(key.to_json(catalog.get(table)?)));
        let sql = format!(
            "select id, \"table\", key from {} where settled_at is null and key = any ($1) \
             and (state = 'held' or txid in (select txid from _auth0_sync.held where schema = {}))",
            self.cdc(),
            literal(&self.schema)
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(nodes.filter_map(key).collect::<Vec<_>>())
            .fetch_all(&self.database.pool)
            .await
            .map_err(fault("cannot look for held mutations"))?;
        let held = rows.iter().filter_map(|row| {
            let (table, key): (String, Value) = (row.get(1), row.get(2));
            let key = RowKey::of(catalog.get(&table)?, key.as_object()?)?;
            Some(((table, key), row.get(0)))
        });
        Ok(held.collect())
    }

    /// What Auth0 has called rows by their tables and provisional keys: table, provisional, made.
    pub(super) async fn made_keys<'a>(
        &self,
        rows: impl Iterator<Item = &'a Node>,
    ) -> Result<Vec<(String, String, String)>> {
        let (tables, keys): (Vec<_>, Vec<_>) =
            rows.map(|(table, key)| (table.clone(), key.0.last().cloned().unwrap_or_default())).unzip();
        sqlx::query_as(
            "select \"table\", provisional, made from _auth0_sync.made_key \
             where schema = $1 and (\"table\", provisional) in (select * from unnest($2::text[], $3::text[]))",
        )
        .bind(&self.schema)
        .bind(tables)
        .bind(keys)
        .fetch_all(&self.database.pool)
        .await
        .map_err(fault("cannot look up keys that Auth0 has made"))
    }

    /// What the row held where the client wrote it, of a mutation that is sent only if it still does.
    pub(super) async fn written_on(&self, id: i64) -> Result<Option<Row>> {
        let sql = format!("select options -> 'base' from {} where id = $1", self.cdc());
        let base: Option<Value> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(id)
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot read what a mutation was written on"))?;
        Ok(base.and_then(|base| match base {
            Value::Object(base) => Some(base),
            _ => None,
        }))
    }

    /// Whether a commit that the stream has told can be seen in the table. The stream may be ahead:
    /// Postgres sends a commit before it lets other sessions see it.
    pub async fn sees(&self, which: &Which) -> Result<bool> {
        let Some(id) = which.first() else { return Ok(true) };
        let sql = format!("select exists (select from {} where id = $1)", self.cdc());
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(id)
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot look for a commit"))
    }

    /// Puts mutations back to `pending`: the request never left, which is not an attempt.
    pub async fn put_back(&self, ids: &[i64]) -> Result<()> {
        let sql = format!(
            "update {} set state = 'pending', attempts = greatest(attempts - 1, 0) \
             where id = any ($1) and state in ('sending', 'verifying')",
            self.cdc()
        );
        self.execute(sql, ids, "cannot put mutations back").await
    }

    /// Notes that the outcome is unknown.
    pub async fn doubt(&self, ids: &[i64]) -> Result<()> {
        let sql = format!(
            "update {} set state = 'verifying' where id = any ($1) and state = 'sending'",
            self.cdc()
        );
        self.execute(sql, ids, "cannot note that an outcome is unknown").await
    }

    async fn execute(&self, sql: String, ids: &[i64], what: &str) -> Result<()> {
        sqlx::query(AssertSqlSafe(sql)).bind(ids).execute(&self.database.pool).await.map_err(fault(what))?;
        Ok(())
    }

    pub(super) fn cdc(&self) -> String {
        qualified(&self.schema, "_sync_cdc")
    }
}

fn queued(catalog: &Catalog, row: &PgRow, commit: Option<Token>) -> Result<Queued> {
    let table: String = row.get(1);
    let resource = catalog.resource(&table)?;
    let operation: String = row.get(2);
    let (key, image): (Value, Value) = (row.get(3), row.get(4));
    let key = key
        .as_object()
        .and_then(|key| RowKey::of(resource, key))
        .ok_or_else(|| Error::new(Kind::Internal, format!("a mutation of {table} has no key")))?;
    let references = references(catalog, resource, &key, &image);
    let state: String = row.get(5);
    let operation = Operation::parse(&operation).ok_or_else(|| strange(&operation))?;
    let options: Option<Value> = row.get(6);
    let mut terms = options.as_ref().map(|options| terms(options, row.get(7), &state)).unwrap_or_default();
    if operation == Operation::Insert && resource.bulk.is_some() && terms == Terms::default() {
        terms.together = Company::of(options.as_ref(), state == "pending", row.get(9));
    }
    Ok(Queued {
        id: row.get(0),
        references,
        node: (table, key),
        operation,
        uncertain: matches!(state.as_str(), "sending" | "verifying"),
        terms,
        commit,
    })
}

/// What `_sync_cdc.options` say of how a mutation leaves.
fn terms(options: &Value, txid: &str, state: &str) -> Terms {
    let text = |name: &str| options.get(name).and_then(Value::as_str);
    Terms {
        discarded: text("discarded_by").map(str::to_owned),
        checked: text("on_conflict") == Some("reject") && options.get("base").is_some(),
        atomic: txid.parse().ok().filter(|_| options.get("atomic").is_some()).map(|txid| Atomic {
            txid,
            applied: state == APPLIED,
            withdrawn: false,
        }),
        unseen: None,
        together: None,
    }
}

/// Rows that must be there before a mutation of this row may leave: those that a column of the
/// image or of the key references, and those that a part of the key is the whole key of.
pub(super) fn references(
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    image: &Value,
) -> Vec<(Node, Option<usize>)> {
    let key = key.to_json(resource);
    let value = |column: &String| image.get(column).or_else(|| key.get(column)).and_then(Value::as_str);
    let part = |column: &String| resource.key.iter().position(|key| key == column);
    let single = resource.columns.iter().filter_map(|(name, column)| {
        let parent = column
            .references
            .as_ref()
            .filter(|parent| catalog.get(parent).is_none_or(|parent| parent.key.len() == 1))?;
        Some(((parent.clone(), RowKey::single(value(name)?)), part(name)))
    });
    let whole = resource.depends.iter().filter_map(|(parent, columns)| {
        let key = columns.iter().map(|column| value(column).map(str::to_owned)).collect::<Option<_>>()?;
        Some(((parent.clone(), RowKey(key)), columns.last().and_then(part)))
    });
    single.chain(whole).collect()
}

fn strange(operation: &str) -> Error {
    Error::new(Kind::Internal, format!("operation {operation} is unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_waits_for_what_it_references_and_for_what_its_key_hangs_on() {
        let parent = |table: &str| {
            format!(
                "table = \"{table}\"\nkind = \"collection\"\ncomment = \"x\"\nkey = [\"id\"]\nnew_key = {{ by = \"server\" }}\n\
                 [columns.id]\ntype = \"text\"\nclass = \"read_only\"\ncomment = \"x\"\n"
            )
        };
        let link = |table: &str, columns: &[(&str, &str)], depends: &str| {
            let names: Vec<_> = columns.iter().map(|(name, _)| format!("{name:?}")).collect();
            let mut text = format!(
                "table = \"{table}\"\nkind = \"association\"\ncomment = \"x\"\nkey = [{}]\n{depends}\n",
                names.join(", ")
            );
            for (name, parent) in columns {
                text += &format!(
                    "[columns.{name}]\ntype = \"text\"\nclass = \"create_only\"\ncomment = \"x\"\nreferences = \"{parent}\"\n"
                );
            }
            text
        };
        let (organization, person) = (("o", "organization"), ("u", "person"));
        let files = [
            ("t/organization.toml", parent("organization")),
            ("t/person.toml", parent("person")),
            ("t/member.toml", link("member", &[organization, person], "")),
            ("t/right.toml", link("right", &[organization, person], "depends = { member = [\"o\", \"u\"] }")),
        ];
        let catalog = Catalog::from_files(files.iter().map(|(name, text)| (*name, text.as_str()))).unwrap();
        let resource = catalog.resource("right").unwrap();
        let key = RowKey(vec!["o1".into(), "u1".into()]);
        let node = |table: &str, key: &[&str]| {
            (table.to_owned(), RowKey(key.iter().map(|k| k.to_string()).collect()))
        };
        assert_eq!(
            references(&catalog, resource, &key, &json!({})),
            [
                (node("organization", &["o1"]), Some(0)),
                (node("person", &["u1"]), Some(1)),
                (node("member", &["o1", "u1"]), Some(1)),
            ]
        );
    }
}
