//! What is in the database now, as far as setup cares.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::error::Result;
use crate::pg::{ddl, fault, ident, qualified};

/// A column that exists.
#[derive(Clone, Debug)]
pub struct ExistingColumn {
    /// As `format_type` names it.
    pub sql_type: String,
    /// Its comment.
    pub comment: Option<String>,
}

/// A table or a view that exists.
#[derive(Clone, Debug)]
pub struct ExistingRelation {
    /// As `pg_class.relkind`: `r` a table, `v` a view.
    pub kind: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Of a view that setup made: the digest of its statement.
    pub definition: Option<String>,
}

/// The publication `auth0_sync`.
#[derive(Clone, Copy, Debug)]
pub struct ExistingPublication {
    /// FOR ALL TABLES.
    pub all_tables: bool,
    /// It publishes inserts and nothing else.
    pub inserts_only: bool,
}

/// What is in the database now, as far as setup cares; empty for a new database.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// The tenant's schema exists.
    pub has_schema: bool,
    /// `_sync_cdc` exists.
    pub has_bookkeeping: bool,
    /// Its checks are those of this version.
    pub knows_states: bool,
    /// The publication, where it exists.
    pub publication: Option<ExistingPublication>,
    /// `_sync_cdc` of this schema is in it.
    pub published: bool,
    /// Readers may use the schema.
    pub reader_enters: bool,
    /// Readers may see `_sync_cdc`.
    pub reader_sees_cdc: bool,
    /// The service's sessions are called `auth0-sync`, the walsender among them.
    pub named: bool,
    /// The domain of the tenant that this schema mirrors, once setup has run.
    pub domain: Option<String>,
    /// Tables and views.
    pub relations: HashMap<String, ExistingRelation>,
    /// Table or view → column → what it is, in order.
    pub columns: HashMap<String, IndexMap<String, ExistingColumn>>,
    /// Tables that are filled, or wait for it.
    pub filled: HashSet<String>,
    /// Tables and views that setup made earlier.
    pub ours: HashSet<String>,
    /// Function → body.
    pub functions: HashMap<String, String>,
    /// Functions that everybody may call.
    pub open_functions: HashSet<String>,
    /// (table, column) with an index that begins with it.
    pub indexed: HashSet<(String, String)>,
    /// Indexes that could not be made to the end.
    pub broken_indexes: HashSet<String>,
    /// (table, trigger) → comment.
    pub triggers: HashMap<(String, String), Option<String>>,
    /// Table → whether the readers' and the writers' roles have their privileges.
    pub granted: HashMap<String, bool>,
    /// (kind, name) → owner, of what the service's role does not own.
    pub foreign: HashMap<(String, String), String>,
    /// What the schema was made of: [`super::digest_of`] a catalogue.
    pub selection: Option<String>,
    /// What hangs on tables and views.
    pub uses: Vec<Use>,
    /// View → statements that give others their privileges on it.
    pub view_grants: HashMap<String, Vec<String>>,
    /// Table → its unsettled mutations.
    pub unsettled: HashMap<String, Unsettled>,
    /// (table, column) of hidden columns that hold values all the same.
    pub stale: HashSet<(String, String)>,
}

/// A view or a foreign key that hangs on a table or view of the schema.
#[derive(Clone, Debug)]
pub struct Use {
    /// The table or view.
    pub of: String,
    /// Its column; none for the whole.
    pub column: Option<String>,
    /// The name of a view that setup made itself.
    pub our_view: Option<String>,
    /// Kind and name.
    pub what: String,
}

/// Unsettled mutations of one table.
#[derive(Clone, Debug, Default)]
pub struct Unsettled {
    /// How many.
    pub number: i64,
    /// The columns that they name.
    pub columns: HashSet<String>,
}

impl Existing {
    /// Reads the catalogs of Postgres; `role` is the service's login role, which need not exist yet.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn read(connection: &mut PgConnection, schema: &str, role: &str) -> Result<Existing> {
        let mut existing = Existing::default();
        let row = sqlx::query(include_str!("../sql/existing_objects.sql"))
            .bind(schema)
            .bind(role)
            .fetch_one(&mut *connection)
            .await
            .map_err(fault("cannot read what is in the database"))?;
        existing.has_schema = row.get(0);
        existing.has_bookkeeping = row.get(1);
        existing.published = row.get(2);
        existing.reader_enters = row.get(3);
        existing.reader_sees_cdc = row.get(4);
        let migrated: bool = row.get(5);
        existing.named = row.get(6);
        existing.knows_states = row.get(7);
        existing.publication =
            sqlx::query_as::<_, (bool, bool)>(include_str!("../sql/existing_publication.sql"))
                .fetch_optional(&mut *connection)
                .await
                .map_err(fault("cannot read the publications"))?
                .map(|(all_tables, inserts_only)| ExistingPublication { all_tables, inserts_only });
        for row in rows(connection, include_str!("../sql/existing_relations.sql"), schema).await? {
            let relation = ExistingRelation { kind: row.get(1), comment: row.get(2), definition: row.get(3) };
            existing.relations.insert(row.get(0), relation);
        }
        for row in rows(connection, include_str!("../sql/existing_columns.sql"), schema).await? {
            let column = ExistingColumn { sql_type: row.get(2), comment: row.get(3) };
            existing.columns.entry(row.get(0)).or_default().insert(row.get(1), column);
        }
        for row in rows(connection, include_str!("../sql/existing_functions.sql"), schema).await? {
            existing.functions.insert(row.get(0), row.get(1));
            if row.get(2) {
                existing.open_functions.insert(row.get(0));
            }
        }
        for row in rows(connection, include_str!("../sql/existing_indexes.sql"), schema).await? {
            if row.get(3) {
                existing.indexed.insert((row.get(0), row.get(1)));
            } else {
                existing.broken_indexes.insert(row.get(2));
            }
        }
        for row in rows(connection, include_str!("../sql/existing_triggers.sql"), schema).await? {
            existing.triggers.insert((row.get(0), row.get(1)), row.get(2));
        }
        for row in rows(connection, include_str!("../sql/existing_grants.sql"), schema).await? {
            existing.granted.insert(row.get(0), row.get(1));
        }
        let foreign = sqlx::query(include_str!("../sql/existing_foreign.sql"))
            .bind(schema)
            .bind(role)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault("cannot read who owns what"))?;
        for row in foreign {
            existing.foreign.insert((row.get(0), row.get(1)), row.get(2));
        }
        if migrated {
            let sql = "select \"table\" from _auth0_sync.mirror where schema = $1";
            for row in rows(connection, sql, schema).await? {
                existing.ours.insert(row.get(0));
            }
            let sql = "select \"table\" from _auth0_sync.backfill where schema = $1";
            for row in rows(connection, sql, schema).await? {
                existing.filled.insert(row.get(0));
            }
            // As JSON, because a migration that is still to come adds a column.
            let sql =
                "select domain, to_jsonb(t) ->> 'selection' from _auth0_sync.tenant t where schema = $1";
            if let Some(row) = rows(connection, sql, schema).await?.first() {
                existing.domain = row.get(0);
                existing.selection = row.get(1);
            }
            existing.read_uses(connection, schema).await?;
        }
        Ok(existing)
    }

    /// What hangs on the tables, what is on its way, and what grows stale.
    async fn read_uses(&mut self, connection: &mut PgConnection, schema: &str) -> Result<()> {
        for row in rows(connection, include_str!("../sql/existing_uses.sql"), schema).await? {
            let view: Option<String> = row.get(2);
            let our_view = view.filter(|view| row.get::<bool, _>(3) && self.ours.contains(view));
            self.uses.push(Use { of: row.get(0), column: row.get(1), our_view, what: row.get(4) });
        }
        for row in rows(connection, include_str!("../sql/existing_view_grants.sql"), schema).await? {
            self.view_grants.entry(row.get(0)).or_default().push(row.get(1));
        }
        if self.has_bookkeeping {
            let sql = format!(
                "select c.\"table\", count(distinct c.id), array_agg(distinct k.key) filter (where k.key is not null) \
                 from {} c left join lateral jsonb_object_keys(coalesce(c.before, '{{}}') || coalesce(c.after, '{{}}')) \
                 k (key) on true where c.settled_at is null group by 1",
                qualified(schema, "_sync_cdc")
            );
            let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await;
            for row in found.map_err(fault("cannot read what is unsettled"))? {
                let columns: Option<Vec<String>> = row.get(2);
                let columns = columns.unwrap_or_default().into_iter().collect();
                self.unsettled.insert(row.get(0), Unsettled { number: row.get(1), columns });
            }
        }
        let hidden = |column: &ExistingColumn| column.comment.as_deref().is_some_and(ddl::is_hidden);
        let empty: Vec<(String, String)> = self
            .columns
            .iter()
            .filter(|(table, _)| self.relations.get(*table).is_some_and(|relation| relation.kind == "r"))
            .flat_map(|(table, columns)| columns.iter().map(move |(name, column)| (table, name, column)))
            .filter(|(_, _, column)| hidden(column))
            .map(|(table, name, _)| (table.clone(), name.clone()))
            .collect();
        for (table, column) in empty {
            let sql = format!(
                "select exists (select from {} where {} is not null)",
                qualified(schema, &table),
                ident(&column)
            );
            let stale: bool = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&mut *connection)
                .await
                .map_err(fault("cannot look into a hidden column"))?;
            if stale {
                self.stale.insert((table, column));
            }
        }
        Ok(())
    }

    /// Who owns an object that the service's role does not own.
    pub(super) fn stranger(&self, kind: &str, name: &str) -> Option<&str> {
        self.foreign.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }
}

async fn rows(
    connection: &mut PgConnection,
    sql: &'static str,
    schema: &str,
) -> Result<Vec<sqlx::postgres::PgRow>> {
    sqlx::query(sql)
        .bind(schema)
        .fetch_all(connection)
        .await
        .map_err(fault("cannot read what is in the database"))
}

/// A short digest of a definition.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
