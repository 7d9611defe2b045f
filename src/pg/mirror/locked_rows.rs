//! Lock, then look, for many rows of one table at once. Nothing is waited for: a row that a client holds
//! or that is not there is left out, and is for [`super::Locked`] to take.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::locked::{self, Pending, lock_name, matches_columns};
use super::rebase::{Row, base_of, described};
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{Batch, Batches, Statement, ident, insist, qualified};

/// Rows that are there and locked, with the transaction that holds the locks; dropping it rolls back.
pub struct LockedRows<'c> {
    /// The transaction.
    pub batch: Batch<'c>,
    resource: &'c Resource,
    schema: String,
    rows: HashMap<usize, LockedRow>,
    /// Their `ctid`s, which stay as long as they are locked.
    places: HashMap<usize, String>,
    /// Changed columns → the rows in which just these have changed.
    changes: HashMap<Vec<&'c str>, Changed>,
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

/// Rows to update.
#[derive(Debug, Default)]
struct Changed {
    /// Their keys and new values.
    rows: Vec<Value>,
    /// Where they are.
    places: Vec<String>,
}

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
        batches: &'c Batches,
        schema: &str,
        resource: &'c Resource,
        keys: &[&RowKey],
    ) -> Result<LockedRows<'c>> {
        let statements = [lock(schema, resource, keys), look(schema, resource, keys)];
        let (batch, answers) = batches.begin(&statements).await?;
        let mut answers = answers.into_iter();
        let (mut rows, mut places) = (HashMap::new(), HashMap::new());
        for row in answers.next().unwrap_or_default() {
            let visible = locked::without_nulls(row.get(1));
            rows.insert(nth(&row)?, LockedRow { visible, unsettled: Vec::new() });
            places.insert(nth(&row)?, row.get(2));
        }
        for row in answers.next().unwrap_or_default() {
            // Of a row that is left out they are locked to no purpose, until the end of the transaction.
            if let Some(of) = rows.get_mut(&nth(&row)?) {
                of.unsettled.push(Pending::read(&row, 1)?);
            }
        }
        for row in rows.values_mut() {
            row.unsettled.sort_by_key(|pending| pending.mutation.id);
        }
        let schema = schema.to_owned();
        let (changes, befores) = Default::default();
        Ok(LockedRows { batch, resource, schema, rows, places, changes, befores })
    }

    /// The row of the key at this place, where it is locked.
    pub fn row(&self, nth: usize) -> Option<&LockedRow> {
        self.rows.get(&nth)
    }

    /// Notes what the row of the key at this place is to be, and the `before`s that change.
    pub fn change(&mut self, nth: usize, new: &Row, befores: Vec<(i64, Row)>) {
        let resource = self.resource;
        let (Some(LockedRow { visible: old, .. }), Some(place)) =
            (self.rows.get(&nth), self.places.get(&nth))
        else {
            return;
        };
        let changed: Vec<&str> =
            described(resource).filter(|column| old.get(*column) != new.get(*column)).collect();
        if !changed.is_empty() {
            let named = resource.key.iter().map(String::as_str).chain(changed.iter().copied());
            let row: Row =
                named.filter_map(|column| Some((column.to_owned(), new.get(column)?.clone()))).collect();
            let of_columns = self.changes.entry(changed).or_default();
            of_columns.rows.push(Value::Object(row));
            of_columns.places.push(place.clone());
        }
        self.befores.extend(befores.into_iter().map(|(id, before)| (id, Value::Object(before))));
    }

    /// Writes what has been noted, and what `more` says, and commits.
    ///
    /// # Errors
    /// Database errors, those of a user's own triggers among them: nothing has been done then, or it is not known whether.
    pub async fn commit(self, more: Option<Statement>) -> Result<()> {
        let name = qualified(&self.schema, &self.resource.table);
        let same: Vec<_> = self.resource.key.iter().map(|key| format!("t.{0} = n.{0}", ident(key))).collect();
        let mut statements = Vec::new();
        for (columns, Changed { rows, places }) in self.changes {
            let set: Vec<_> = columns.iter().map(|column| format!("{0} = n.{0}", ident(column))).collect();
            let sql = format!(
                "with done as ( \
                     update {name} t set {} from pg_catalog.jsonb_populate_recordset(null::{name}, $1) n \
                     where t.ctid = any ($2::text[]::tid[]) and {} returning 1 \
                 ) select {} from done",
                set.join(", "),
                same.join(" and "),
                insist("count(*)", "$3", "locked rows updated")
            );
            let count = rows.len();
            let update = Statement::new(sql).json(&Value::Array(rows)).array(places.into_iter().map(Some));
            statements.push(update.text(&count.to_string()));
        }
        if !self.befores.is_empty() {
            let sql = format!(
                "update {} c set before = n.before, options = case when c.operation = 'UPDATE' then coalesce(c.options, '{{}}') \
                 || pg_catalog.jsonb_build_object('base', coalesce(c.options -> 'base', c.before)) else c.options end \
                 from unnest($1::bigint[], $2::jsonb[]) n (id, before) where c.id = any ($1) and c.id = n.id",
                qualified(&self.schema, "_sync_cdc")
            );
            let (ids, befores): (Vec<i64>, Vec<Value>) = self.befores.into_iter().unzip();
            let befores = befores.iter().map(|before| Some(before.to_string()));
            statements.push(Statement::new(sql).numbers(&ids).array(befores));
        }
        statements.extend(more);
        self.batch.commit(&statements).await?;
        Ok(())
    }
}

/// The locks of names and rows. Each row is looked for by its key, however many there are.
fn lock(schema: &str, resource: &Resource, keys: &[&RowKey]) -> Statement {
    let columns: Vec<_> = (0..resource.key.len()).map(|n| format!("k{n}")).collect();
    let arrays: Vec<_> = (0..columns.len()).map(|n| format!("${}::text[]", n + 3)).collect();
    let (columns, arrays) = (columns.join(", "), arrays.join(", "));
    let sql = format!(
        "with whole as materialized ( \
             select pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended($1, 0)) as free \
         ), wanted as materialized ( \
             select k.* from unnest($2::text[], {arrays}) with ordinality as k (name, {columns}, place) \
             where pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(k.name, 0)) \
         ) \
         select w.place - 1, t.visible, t.place from whole, wanted w, \
         lateral (select pg_catalog.to_jsonb(t) as visible, t.ctid::text as place from {} t where {} \
         for update skip locked) t \
         where whole.free",
        qualified(schema, &resource.table),
        matches_columns(resource, |n| format!("w.k{n}")),
    );
    let whole = lock_name(schema, resource);
    let names = keys.iter().map(|key| Some(locked::row_name(&whole, key)));
    let mut statement = Statement::new(sql).text(&whole).array(names);
    for n in 0..resource.key.len() {
        statement = statement.array(keys.iter().map(|key| key.0.get(n)));
    }
    statement
}

/// Their unsettled mutations, in a snapshot of its own.
fn look(schema: &str, resource: &Resource, keys: &[&RowKey]) -> Statement {
    let sql = format!(
        "select w.place - 1, c.* from unnest($1::jsonb[]) with ordinality as w (key, place), \
         lateral (select id, operation, before, after, txid::text, coalesce(options ? 'atomic', false) from {} \
         where settled_at is null and state <> 'applied' and key = w.key and \"table\" = $2 order by id for update) c",
        qualified(schema, "_sync_cdc")
    );
    let keys = keys.iter().map(|key| Some(Value::Object(key.to_json(resource)).to_string()));
    Statement::new(sql).array(keys).text(&resource.table)
}

fn nth(row: &PgRow) -> Result<usize> {
    usize::try_from(row.get::<i64, _>(0))
        .map_err(|error| Error::with(Kind::Internal, "a place is wrong", error))
}
