//! A provisional key gives way to the one that Auth0 made.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::locked::Locked;
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, fault, ident, literal, qualified};

/// How a key begins that Auth0 has not made yet.
pub const PROVISIONAL: &str = "new_";

/// Gives the rows and mutations that name a row of `table` by its provisional key the one that Auth0 has
/// made, where they came too late to be found when the row itself got it; whether there were any.
/// Mutations are looked for from `first` on.
///
/// # Errors
/// `database_busy` where a client holds one of the rows.
pub async fn replace_key(
    database: &Database,
    schema: &str,
    catalog: &Catalog,
    table: &str,
    (old, made): (&str, &str),
    first: i64,
) -> Result<bool> {
    let mut transaction = database.pool.begin().await.map_err(fault("cannot begin"))?;
    let mut any = false;
    for (holder, column) in catalog.holders(table) {
        any |= Place::new(schema, holder, column, first).replace(&mut transaction, old, made).await?;
    }
    transaction.commit().await.map_err(fault("cannot commit a key"))?;
    Ok(any)
}

impl Locked<'_> {
    /// Gives the row the key that Auth0 made, everywhere: the row itself, rows that hold it in a
    /// column, and mutations that name it. Only the last part of a key is ever made by Auth0.
    ///
    /// # Errors
    /// `database_busy` where a client holds one of the rows; `internal` where another part differs.
    pub async fn rekey(&mut self, catalog: &Catalog, new: &RowKey) -> Result<()> {
        let resource = self.resource;
        let parted = (self.key.0.split_last(), new.0.split_last(), resource.made_column());
        let (Some((old, above)), Some((made, same)), Some(column)) = parted else {
            return Err(Error::new(Kind::Internal, "a key without columns cannot be replaced"));
        };
        if above != same {
            return Err(Error::new(Kind::Internal, "Auth0 answered a row below another parent"));
        }
        // A child's mutation has a larger id than its parent's.
        let first = self.unsettled.first().map_or(0, |pending| pending.mutation.id);
        // Its lock keeps clients out of the row itself.
        Place::new(&self.schema, resource, column, first).pass(&mut self.transaction, old, made).await?;
        for (holder, column) in catalog.holders(&resource.table) {
            Place::new(&self.schema, holder, column, first).replace(&mut self.transaction, old, made).await?;
        }
        let images = self.unsettled.iter_mut().flat_map(|p| [&mut p.mutation.before, &mut p.mutation.after]);
        for row in images.flatten().chain(&mut self.visible).filter(|row| row.contains_key(column)) {
            row.insert(column.to_owned(), Value::String(made.clone()));
        }
        if old.starts_with(PROVISIONAL) {
            sqlx::query(include_str!("sql/remember_made.sql"))
                .bind(&self.schema)
                .bind(&resource.table)
                .bind(old)
                .bind(made)
                .execute(&mut *self.transaction)
                .await
                .map_err(fault("cannot remember a key"))?;
        }
        self.key = new.clone();
        Ok(())
    }
}

/// Statements that replace `$1` by `$2` wherever a column of a table holds it.
struct Place {
    mirror: String,
    mutations: String,
    write_only: String,
}

impl Place {
    /// For mutations from `first` on: the primary key bounds the search. A provisional key is like
    /// no other: it needs no company to be found.
    fn new(schema: &str, resource: &Resource, column: &str, first: i64) -> Self {
        let (name, text, path) = (ident(column), literal(column), literal(&format!("{{{column}}}")));
        let table = literal(&resource.table);
        let swap = |image: &str| {
            format!(
                "{image} = case when {image} ->> {text} = $1 then pg_catalog.jsonb_set({image}, {path}, \
                 pg_catalog.to_jsonb($2::text)) else {image} end"
            )
        };
        Place {
            mirror: format!(
                "update {} set {name} = $2 where {name} = $1",
                qualified(schema, &resource.table)
            ),
            mutations: format!(
                "update {} set {}, {}, {} where id >= {first} and settled_at is null and \"table\" = {table} \
                 and $1 in (key ->> {text}, before ->> {text}, after ->> {text})",
                qualified(schema, "_sync_cdc"),
                swap("key"),
                swap("before"),
                swap("after"),
            ),
            write_only: format!(
                "update _auth0_sync.write_only set {} where schema = {} and \"table\" = {table} and key ->> {text} = $1",
                swap("key"),
                literal(schema),
            ),
        }
    }

    /// Replaces the key; whether mutations named it. A client that has read the provisional key may
    /// commit between two statements: its row and its mutation change together, or neither does.
    async fn replace(&self, on: &mut PgConnection, old: &str, made: &str) -> Result<bool> {
        let mut any = false;
        while self.pass(on, old, made).await? {
            any = true;
        }
        Ok(any)
    }

    /// Rows first, then mutations: whether there were any of these. Where there were none, no client
    /// had committed between the two.
    async fn pass(&self, on: &mut PgConnection, old: &str, made: &str) -> Result<bool> {
        put(on, &self.mirror, old, made).await?;
        let any = put(on, &self.mutations, old, made).await? > 0;
        if any {
            put(on, &self.write_only, old, made).await?;
        }
        Ok(any)
    }
}

async fn put(on: &mut PgConnection, sql: &str, old: &str, made: &str) -> Result<u64> {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(old)
        .bind(made)
        .execute(on)
        .await
        .map_err(fault("cannot replace a provisional key"))?;
    Ok(done.rows_affected())
}
