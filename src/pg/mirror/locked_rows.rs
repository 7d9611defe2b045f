//! Lock, then look, for many rows of one table at once. Nothing is waited for: a row that a client holds
//! or that is not there is left out, and is for [`super::Locked`] to take.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Transaction};

use super::locked::{self, Pending, lock_name, matches_columns};
use super::rebase::{Row, base_of, described};
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, fault, ident, qualified};

/// Rows that are there and locked, with the transaction that holds the locks; dropping it rolls back.
pub struct LockedRows<'c> {
    /// The transaction.
    pub transaction: Transaction<'static, Postgres>,
    resource: &'c Resource,
    schema: String,
    rows: HashMap<usize, LockedRow>,
    /// Changed columns → key and new values of the rows in which just these have changed.
    changes: HashMap<Vec<&'c str>, Vec<Value>>,
    befores: Vec<(i64, Value)>,
}

/// One of them.
#[derive(Debug, Default)]
pub struct LockedRow {
    /// The row as clients see it.
    pub visible: Row,
    /// Its unsettled mutations in id order.
    pub unsettled: Vec<Pending>,
}

/// An UPDATE of rows that has not run yet: it saves the way to the server to go with another statement.
#[derive(Debug)]
pub struct Along {
    /// The statement; it returns a row for each that it has changed. The new values are its only parameter.
    sql: String,
    /// Its parameter.
    pub rows: Vec<Value>,
}

impl Along {
    /// The statement, with its parameter at this number.
    pub fn sql(&self, parameter: u32) -> String {
        self.sql.replace(ROWS, &format!("${parameter}"))
    }
}

/// Stands for the parameter.
const ROWS: &str = "{rows}";

impl LockedRow {
    /// The row as Auth0 has it.
    pub fn base(&self, resource: &Resource) -> Option<Row> {
        base_of(resource, Some(&self.visible), &self.unsettled)
    }
}

impl<'c> LockedRows<'c> {
    /// Locks those of the rows that are free and looks. The keys are distinct.
    ///
    /// # Errors
    /// Database errors.
    pub async fn take(
        database: &Database,
        schema: &str,
        resource: &'c Resource,
        keys: &[&RowKey],
    ) -> Result<LockedRows<'c>> {
        let transaction = database.pool.begin().await.map_err(fault("cannot begin"))?;
        let mut locked = LockedRows {
            transaction,
            resource,
            schema: schema.to_owned(),
            rows: HashMap::new(),
            changes: HashMap::new(),
            befores: Vec::new(),
        };
        locked.lock(keys).await?;
        locked.look(keys).await?;
        Ok(locked)
    }

    /// The row of the key at this place, where it is locked.
    pub fn row(&self, place: usize) -> Option<&LockedRow> {
        self.rows.get(&place)
    }

    /// Notes what the row at this place is to be, and the `before`s that change.
    pub fn change(&mut self, place: usize, new: &Row, befores: Vec<(i64, Row)>) {
        let resource = self.resource;
        let Some(LockedRow { visible: old, .. }) = self.rows.get(&place) else { return };
        let changed: Vec<&str> =
            described(resource).filter(|column| old.get(*column) != new.get(*column)).collect();
        if !changed.is_empty() {
            let named = resource.key.iter().map(String::as_str).chain(changed.iter().copied());
            let row: Row =
                named.filter_map(|column| Some((column.to_owned(), new.get(column)?.clone()))).collect();
            self.changes.entry(changed).or_default().push(Value::Object(row));
        }
        self.befores.extend(befores.into_iter().map(|(id, before)| (id, Value::Object(before))));
    }

    /// Writes what has been noted, but for one statement that is to go along with the next.
    ///
    /// # Errors
    /// Database errors, those of a user's own triggers among them; `internal` where a row has gone.
    pub async fn write(&mut self) -> Result<Option<Along>> {
        let name = qualified(&self.schema, &self.resource.table);
        let same: Vec<_> = self.resource.key.iter().map(|key| format!("t.{0} = n.{0}", ident(key))).collect();
        let changes = std::mem::take(&mut self.changes).into_iter();
        let mut updates = changes.map(|(columns, rows)| {
            let set: Vec<_> = columns.iter().map(|column| format!("{0} = n.{0}", ident(column))).collect();
            let sql = format!(
                "update {name} t set {} from pg_catalog.jsonb_populate_recordset(null::{name}, {ROWS}) n where {} \
                 returning 1",
                set.join(", "),
                same.join(" and ")
            );
            Along { sql, rows }
        });
        let last = updates.next();
        for update in updates {
            let count = update.rows.len() as u64;
            let done = sqlx::query(AssertSqlSafe(update.sql(1)))
                .bind(Value::Array(update.rows))
                .execute(&mut *self.transaction)
                .await
                .map_err(fault("cannot update rows"))?;
            if done.rows_affected() != count {
                return Err(Error::new(Kind::Internal, "a locked row could not be updated"));
            }
        }
        if self.befores.is_empty() {
            return Ok(last);
        }
        let (ids, befores): (Vec<i64>, Vec<Value>) = std::mem::take(&mut self.befores).into_iter().unzip();
        let sql = format!(
            "update {} c set before = n.before, options = case when c.operation = 'UPDATE' then coalesce(c.options, '{{}}') \
             || pg_catalog.jsonb_build_object('base', coalesce(c.options -> 'base', c.before)) else c.options end \
             from unnest($1::bigint[], $2::jsonb[]) n (id, before) where c.id = n.id",
            qualified(&self.schema, "_sync_cdc")
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(ids)
            .bind(befores)
            .execute(&mut *self.transaction)
            .await
            .map_err(fault("cannot rebase mutations"))?;
        Ok(last)
    }

    /// Commits.
    ///
    /// # Errors
    /// Database errors: whether it has been done is not known then.
    pub async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(fault("cannot commit rows"))
    }

    /// The locks of names and rows. Each row is looked for by its key, however many there are.
    async fn lock(&mut self, keys: &[&RowKey]) -> Result<()> {
        let columns: Vec<_> = (0..self.resource.key.len()).map(|n| format!("k{n}")).collect();
        let arrays: Vec<_> = (0..columns.len()).map(|n| format!("${}::text[]", n + 3)).collect();
        let (columns, arrays) = (columns.join(", "), arrays.join(", "));
        let sql = format!(
            "with whole as materialized ( \
                 select pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended($1, 0)) as free \
             ), wanted as materialized ( \
                 select k.* from unnest($2::text[], {arrays}) with ordinality as k (name, {columns}, place) \
                 where pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(k.name, 0)) \
             ) \
             select w.place - 1, t.visible from whole, wanted w, \
             lateral (select pg_catalog.to_jsonb(t) as visible from {} t where {} for update skip locked) t \
             where whole.free",
            qualified(&self.schema, &self.resource.table),
            matches_columns(self.resource, |n| format!("w.k{n}")),
        );
        let whole = lock_name(&self.schema, self.resource);
        let names: Vec<_> = keys.iter().map(|key| locked::row_name(&whole, key)).collect();
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(&whole).bind(names);
        for n in 0..self.resource.key.len() {
            query = query.bind(keys.iter().map(|key| key.0.get(n).cloned()).collect::<Vec<_>>());
        }
        let found = query.fetch_all(&mut *self.transaction).await.map_err(fault("cannot lock rows"))?;
        for row in found {
            let visible = locked::without_nulls(row.get(1));
            self.rows.insert(place(&row)?, LockedRow { visible, unsettled: Vec::new() });
        }
        Ok(())
    }

    /// Their unsettled mutations, in a snapshot of its own.
    async fn look(&mut self, keys: &[&RowKey]) -> Result<()> {
        let sql = format!(
            "select w.place - 1, c.* from unnest($1::jsonb[]) with ordinality as w (key, place), \
             lateral (select id, operation, before, after, txid::text, coalesce(options ? 'atomic', false) from {} \
             where settled_at is null and state <> 'applied' and key = w.key and \"table\" = $2 order by id for update) c",
            qualified(&self.schema, "_sync_cdc")
        );
        let keys = keys.iter().map(|key| Value::Object(key.to_json(self.resource)));
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(keys.collect::<Vec<_>>())
            .bind(&self.resource.table)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(fault("cannot read the unsettled mutations of rows"))?;
        for row in found {
            // Of a row that is left out they are locked to no purpose, until the end of the transaction.
            if let Some(of) = self.rows.get_mut(&place(&row)?) {
                of.unsettled.push(Pending::read(&row, 1)?);
            }
        }
        for row in self.rows.values_mut() {
            row.unsettled.sort_by_key(|pending| pending.mutation.id);
        }
        Ok(())
    }
}

fn place(row: &sqlx::postgres::PgRow) -> Result<usize> {
    usize::try_from(row.get::<i64, _>(0))
        .map_err(|error| Error::with(Kind::Internal, "a place is wrong", error))
}
