//! A provisional key gives way to the one that Auth0 made.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::locked::Locked;
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{fault, ident, literal, qualified};

impl Locked<'_> {
    /// Gives the row the key that Auth0 made, everywhere: the row itself, rows that reference it,
    /// and mutations that name it.
    ///
    /// # Errors
    /// `database_busy` where a client holds one of the rows.
    pub async fn rekey(&mut self, catalog: &Catalog, new: &RowKey) -> Result<()> {
        let (old_key, resource) = (self.key.clone(), self.resource);
        let ([old], [new_value], [column]) =
            (old_key.0.as_slice(), new.0.as_slice(), resource.key.as_slice())
        else {
            return Err(Error::new(Kind::Internal, "only keys of one column are replaced"));
        };
        // A child's mutation has a larger id than its parent's: the primary key bounds the search.
        let first = self.unsettled.first().map_or(0, |pending| pending.mutation.id);
        let places = [(resource, column.as_str())].into_iter().chain(catalog.children(&resource.table));
        for (place, column) in places {
            for sql in statements(&self.schema, place, column, first) {
                sqlx::query(AssertSqlSafe(sql))
                    .bind(old)
                    .bind(new_value)
                    .execute(&mut *self.transaction)
                    .await
                    .map_err(fault("cannot replace a provisional key"))?;
            }
        }
        let images = self.unsettled.iter_mut().flat_map(|p| [&mut p.mutation.before, &mut p.mutation.after]);
        for row in images.flatten().chain(&mut self.visible).filter(|row| row.contains_key(column)) {
            row.insert(column.clone(), Value::String(new_value.clone()));
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
