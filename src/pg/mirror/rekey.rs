//! A provisional key gives way to the one that Auth0 made.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::locked::Locked;
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{fault, ident, literal, qualified};

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
        // A child's mutation has a larger id than its parent's: the primary key bounds the search.
        let first = self.unsettled.first().map_or(0, |pending| pending.mutation.id);
        // A provisional key is like no other: it needs no company to be found.
        for (place, column) in [(resource, column)].into_iter().chain(catalog.holders(&resource.table)) {
            for sql in statements(&self.schema, place, column, first) {
                sqlx::query(AssertSqlSafe(sql))
                    .bind(old)
                    .bind(made)
                    .execute(&mut *self.transaction)
                    .await
                    .map_err(fault("cannot replace a provisional key"))?;
            }
        }
        let images = self.unsettled.iter_mut().flat_map(|p| [&mut p.mutation.before, &mut p.mutation.after]);
        for row in images.flatten().chain(&mut self.visible).filter(|row| row.contains_key(column)) {
            row.insert(column.to_owned(), Value::String(made.clone()));
        }
        self.key = new.clone();
        Ok(())
    }
}

/// Statements that replace `$1` by `$2` wherever `column` of a table holds it.
fn statements(schema: &str, place: &Resource, column: &str, first: i64) -> [String; 3] {
    let (name, text, path) = (ident(column), literal(column), literal(&format!("{{{column}}}")));
    let the_table = literal(&place.table);
    let swap = |image: &str| {
        format!(
            "{image} = case when {image} ->> {text} = $1 then pg_catalog.jsonb_set({image}, {path}, \
             pg_catalog.to_jsonb($2::text)) else {image} end"
        )
    };
    let mirror = format!("update {} set {name} = $2 where {name} = $1", qualified(schema, &place.table));
    let mutations = format!(
        "update {} set {}, {}, {} where id >= {first} and settled_at is null and \"table\" = {the_table} \
         and $1 in (key ->> {text}, before ->> {text}, after ->> {text})",
        qualified(schema, "_sync_cdc"),
        swap("key"),
        swap("before"),
        swap("after"),
    );
    let write_only = format!(
        "update _auth0_sync.write_only set {} where schema = {} and \"table\" = {the_table} and key ->> {text} = $1",
        swap("key"),
        literal(schema),
    );
    [mirror, mutations, write_only]
}
