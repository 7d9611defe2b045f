//! Lock, then look: the row lock first, its unsettled mutations in a new snapshot, then the write.
//! No call to Auth0 is ever made while one of these transactions is open.

use std::borrow::Borrow;

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::rebase::{News, Operation, Rebased, Row, Unsettled, base_of, described, rebase};
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, fault, has_unsettled, ident, qualified};

/// An unsettled mutation with what settling needs to know.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The mutation as the rebase rule sees it.
    pub mutation: Unsettled,
    /// `_sync_cdc.txid`.
    pub txid: String,
    /// Its transaction is all or nothing at Auth0.
    pub atomic: bool,
}

impl Borrow<Unsettled> for Pending {
    fn borrow(&self) -> &Unsettled {
        &self.mutation
    }
}

impl Pending {
    /// The transaction that it stands or falls with.
    pub fn transaction(&self) -> Option<u64> {
        self.txid.parse().ok().filter(|_| self.atomic)
    }
}

/// A locked row, with the transaction that holds the lock; dropping it rolls back.
pub struct Locked<'c> {
    /// The transaction.
    pub transaction: Transaction<'static, Postgres>,
    pub(super) resource: &'c Resource,
    pub(super) schema: String,
    pub(super) key: RowKey,
    /// The row as clients see it.
    pub visible: Option<Row>,
    /// Its unsettled mutations in id order, without those that Auth0 has: these are in the base.
    pub unsettled: Vec<Pending>,
}

impl<'c> Locked<'c> {
    /// Locks a row of a mirror table (or its absence) and looks.
    ///
    /// # Errors
    /// `database_busy` where a client holds the row: take it up again later.
    pub async fn take(
        database: &Database,
        schema: &str,
        resource: &'c Resource,
        key: &RowKey,
    ) -> Result<Locked<'c>> {
        let mut transaction = database.pool.begin().await.map_err(fault("cannot begin"))?;
        lock_names(&mut transaction, schema, resource, std::slice::from_ref(key)).await?;
        let select = format!(
            "select pg_catalog.to_jsonb(t) from {} t where {} for update nowait",
            qualified(schema, &resource.table),
            matches_key(resource, 1)
        );
        let mut query = sqlx::query_scalar::<_, Value>(AssertSqlSafe(select));
        for part in &key.0 {
            query = query.bind(part);
        }
        let visible = query.fetch_optional(&mut *transaction).await.map_err(fault("cannot lock a row"))?;
        let unsettled = pending(&mut transaction, schema, resource, key).await?;
        let visible = visible.map(without_nulls);
        Ok(Locked { transaction, resource, schema: schema.to_owned(), key: key.clone(), visible, unsettled })
    }

    /// The row as Auth0 has it.
    pub fn base(&self) -> Option<Row> {
        base_of(self.resource, self.visible.as_ref(), &self.unsettled)
    }

    /// Applies news by the rebase rule and writes the row and the changed `before`s. Mutations that
    /// the rule cancels are left for the caller to settle.
    pub async fn apply(&mut self, news: News) -> Result<Rebased> {
        let rebased = rebase(self.resource, self.visible.as_ref(), &self.unsettled, news);
        self.write(rebased.visible.clone()).await?;
        if rebased.base.is_none() && self.resource.export.is_some() {
            self.remember_gone().await?;
        }
        for (id, before) in &rebased.befores {
            // What the client wrote on is kept: Auth0 may tell of our own write before it has answered it.
            let update = format!(
                "update {} set before = $2, options = case when operation = 'UPDATE' then coalesce(options, '{{}}') \
                 || pg_catalog.jsonb_build_object('base', coalesce(options -> 'base', before)) else options end where id = $1",
                qualified(&self.schema, "_sync_cdc")
            );
            sqlx::query(AssertSqlSafe(update))
                .bind(id)
                .bind(Value::Object(before.clone()))
                .execute(&mut *self.transaction)
                .await
                .map_err(fault("cannot rebase a mutation"))?;
        }
        Ok(rebased)
    }

    /// Removes rows that cannot exist without this one; those with unsettled mutations wait for them.
    pub async fn remove_children(&mut self, catalog: &Catalog) -> Result<()> {
        let referencing = catalog
            .children(&self.resource.table)
            .filter(|_| self.key.0.len() == 1)
            .map(|(child, column)| (child, vec![column]));
        let depending = catalog
            .dependents(&self.resource.table)
            .map(|(child, columns)| (child, columns.iter().map(String::as_str).collect()));
        let below: Vec<(&Resource, Vec<&str>)> = referencing.chain(depending).collect();
        for (child, columns) in below {
            // What a client asked for once, or keeps an eye on, is the client's own.
            if child.kind.is_read() && columns.iter().all(|column| child.key.iter().any(|key| key == column))
            {
                self.remove_below(child, &columns).await?;
            }
        }
        Ok(())
    }

    /// Removes the rows of `child` whose `columns` hold this row's key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn remove_below(&mut self, child: &Resource, columns: &[&str]) -> Result<()> {
        let same: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(n, column)| format!("t.{} = ${}", ident(column), n + 1))
            .collect();
        let delete = format!(
            "delete from {} t where {} and not {}",
            qualified(&self.schema, &child.table),
            same.join(" and "),
            has_unsettled(&self.schema, child, "t"),
        );
        let mut query = sqlx::query(AssertSqlSafe(delete));
        for part in &self.key.0 {
            query = query.bind(part);
        }
        query
            .execute(&mut *self.transaction)
            .await
            .map_err(fault("cannot remove the rows that hang on a deleted one"))?;
        Ok(())
    }

    /// Notes that Auth0 has no such row while an export is under way that may show it still.
    async fn remember_gone(&mut self) -> Result<()> {
        sqlx::query(include_str!("sql/remember_gone.sql"))
            .bind(&self.schema)
            .bind(&self.resource.table)
            .bind(&self.key.0)
            .execute(&mut *self.transaction)
            .await
            .map_err(fault("cannot note that a row is gone"))?;
        Ok(())
    }

    /// Commits.
    pub async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(fault("cannot commit a row"))
    }

    async fn write(&mut self, row: Option<Row>) -> Result<()> {
        let name = qualified(&self.schema, &self.resource.table);
        match (&self.visible, &row) {
            (None, None) => {}
            (None, Some(new)) => {
                let own = self.own_columns(&name).await?;
                let columns: Vec<_> = new.keys().filter(|c| own.contains(c)).map(|c| ident(c)).collect();
                let list = columns.join(", ");
                let sql = format!(
                    "insert into {name} ({list}) select {list} from pg_catalog.jsonb_populate_record(null::{name}, $1) \
                     on conflict do nothing"
                );
                let inserted = sqlx::query(AssertSqlSafe(sql))
                    .bind(Value::Object(new.clone()))
                    .execute(&mut *self.transaction)
                    .await
                    .map_err(fault("cannot store a row"))?;
                if inserted.rows_affected() == 0 {
                    return Err(Error::new(
                        Kind::DatabaseBusy,
                        "a client has just stored a row with the same key",
                    ));
                }
            }
            (Some(_), None) => {
                let sql = format!("delete from {name} where {}", matches_key(self.resource, 1));
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for part in &self.key.0 {
                    query = query.bind(part);
                }
                query.execute(&mut *self.transaction).await.map_err(fault("cannot delete a row"))?;
            }
            (Some(old), Some(new)) => {
                let changed = described(self.resource).filter(|column| old.get(*column) != new.get(*column));
                let changed: Vec<_> = changed.map(ident).collect();
                if !changed.is_empty() {
                    let list = changed.join(", ");
                    let sql = format!(
                        "update {name} set ({list}) = (select {list} from \
                         pg_catalog.jsonb_populate_record(null::{name}, $1)) where {}",
                        matches_key(self.resource, 2)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(Value::Object(new.clone()));
                    for part in &self.key.0 {
                        query = query.bind(part);
                    }
                    query.execute(&mut *self.transaction).await.map_err(fault("cannot update a row"))?;
                }
            }
        }
        self.visible = row;
        Ok(())
    }

    /// Columns that take a value: a user may have added generated ones, or dropped some since.
    async fn own_columns(&mut self, table: &str) -> Result<Vec<String>> {
        sqlx::query_scalar(
            "select attname::text from pg_catalog.pg_attribute where attrelid = $1::text::regclass \
             and attnum > 0 and not attisdropped and attgenerated = '' and attidentity <> 'a'",
        )
        .bind(table)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(fault("cannot look at the columns of a table"))
    }
}

/// The row as Auth0 is to have it by what is committed now: what is visible without unsettled
/// mutations. Without a lock, for whoever must not wait for a client and knows that nobody else applies
/// anything to the row.
///
/// # Errors
/// Database errors.
pub async fn committed_base(
    database: &Database,
    schema: &str,
    resource: &Resource,
    key: &RowKey,
) -> Result<Option<Row>> {
    // One statement, so that row and mutations are of one moment.
    let select = format!(
        "select (select pg_catalog.to_jsonb(t) from {} t where {}), c.id, c.operation, c.before, c.after, c.txid::text, \
         coalesce(c.options ? 'atomic', false) \
         from (select) one left join {} c on c.settled_at is null and c.state <> 'applied' and c.key = $1 and c.\"table\" = $2 order by c.id",
        qualified(schema, &resource.table),
        matches_key(resource, 3),
        qualified(schema, "_sync_cdc")
    );
    let mut query =
        sqlx::query(AssertSqlSafe(select)).bind(Value::Object(key.to_json(resource))).bind(&resource.table);
    for part in &key.0 {
        query = query.bind(part);
    }
    let rows = query.fetch_all(&database.pool).await.map_err(fault("cannot read a row"))?;
    let visible = rows.first().and_then(|row| row.get::<Option<Value>, _>(0)).map(object);
    let unsettled = rows.iter().filter(|row| row.get::<Option<i64>, _>(1).is_some());
    let unsettled = unsettled.map(|row| Ok(Pending::read(row, 1)?.mutation)).collect::<Result<Vec<_>>>()?;
    let base = base_of(resource, visible.as_ref(), &unsettled);
    Ok(base.map(|mut row| {
        row.retain(|_, value| !value.is_null());
        row
    }))
}

/// Takes the locks of rows that may not be there, which no row lock can do: they keep the service's
/// own tasks apart. They last until the transaction ends.
pub async fn lock_names(
    transaction: &mut Transaction<'static, Postgres>,
    schema: &str,
    resource: &Resource,
    keys: &[RowKey],
) -> Result<()> {
    let whole = lock_name(schema, resource);
    // Those of rows in one order everywhere, so that two that take several cannot wait for each other.
    let sql = "with whole as materialized (select pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended($2, 0))) \
               select pg_catalog.pg_advisory_xact_lock(lock) from whole, lateral \
               (select pg_catalog.hashtextextended(n, 0) as lock from unnest($1) n order by 1) l";
    sqlx::query(sql)
        .bind(keys.iter().map(|key| row_name(&whole, key)).collect::<Vec<_>>())
        .bind(&whole)
        .execute(&mut **transaction)
        .await
        .map_err(fault("cannot take the lock of a row"))?;
    Ok(())
}

/// Takes the lock of a whole table, for more rows than locks can be had for: it waits for those who
/// have locks of rows, and they for it. What the transaction writes may be lost with the server's last moments.
pub async fn lock_table(
    transaction: &mut Transaction<'static, Postgres>,
    schema: &str,
    resource: &Resource,
) -> Result<()> {
    let sql = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0)), \
               pg_catalog.set_config('synchronous_commit', 'off', true)";
    sqlx::query(sql)
        .bind(lock_name(schema, resource))
        .execute(&mut **transaction)
        .await
        .map_err(fault("cannot take the lock of a table"))?;
    Ok(())
}

/// The name of a table's lock.
pub(super) fn lock_name(schema: &str, resource: &Resource) -> String {
    format!("{schema}.{}", resource.table)
}

/// The name of a row's lock below that of its table.
pub(super) fn row_name(whole: &str, key: &RowKey) -> String {
    format!("{whole}:{}", key.0.join("\u{1}"))
}

async fn pending(
    transaction: &mut Transaction<'static, Postgres>,
    schema: &str,
    resource: &Resource,
    key: &RowKey,
) -> Result<Vec<Pending>> {
    let select = format!(
        "select id, operation, before, after, txid::text, coalesce(options ? 'atomic', false) from {} \
         where settled_at is null and state <> 'applied' and key = $1 and \"table\" = $2 order by id for update",
        qualified(schema, "_sync_cdc")
    );
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(Value::Object(key.to_json(resource)))
        .bind(&resource.table)
        .fetch_all(&mut **transaction)
        .await
        .map_err(fault("cannot read the unsettled mutations of a row"))?;
    rows.iter().map(|row| Pending::read(row, 0)).collect()
}

impl Pending {
    /// From a result that has id, operation, before, after, txid and whether it is all or nothing from this column on.
    pub(super) fn read(row: &PgRow, first: usize) -> Result<Pending> {
        let operation: String = row.get(first + 1);
        let operation = Operation::parse(&operation)
            .ok_or_else(|| Error::new(Kind::Internal, format!("operation {operation} is unknown")))?;
        let image = |column: usize| row.get::<Option<Value>, _>(column).map(object);
        let (before, after) = (image(first + 2), image(first + 3));
        let mutation = Unsettled { id: row.get(first), operation, before, after };
        Ok(Pending { mutation, txid: row.get(first + 4), atomic: row.get(first + 5) })
    }
}

/// A row as `to_jsonb` shows it, without its NULLs.
pub(super) fn without_nulls(row: Value) -> Row {
    let mut row = object(row);
    row.retain(|_, value| !value.is_null());
    row
}

fn object(value: Value) -> Row {
    match value {
        Value::Object(map) => map,
        _ => Row::new(),
    }
}

/// `"a" = $n and "b" = $n+1` for the key columns.
fn matches_key(resource: &Resource, first: usize) -> String {
    matches_columns(resource, |n| format!("${}", first + n))
}

/// Each key column equals what `value` says of its place.
pub(super) fn matches_columns(resource: &Resource, value: impl Fn(usize) -> String) -> String {
    let parts = resource.key.iter().enumerate();
    let parts: Vec<_> = parts.map(|(n, column)| format!("{} = {}", ident(column), value(n))).collect();
    parts.join(" and ")
}
