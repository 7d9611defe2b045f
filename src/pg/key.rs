//! How tables, rows and their keys are named in SQL.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::ident::{ident, literal};
use crate::catalog::{Resource, RowKey};

/// A table by schema and name, quoted.
pub fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", ident(schema), ident(table))
}

/// The columns of the primary key, quoted and separated by commas.
pub fn key_columns(resource: &Resource) -> String {
    let columns: Vec<_> = resource.key.iter().map(|column| ident(column)).collect();
    columns.join(", ")
}

/// The key of row `alias` as `_sync_cdc.key` holds it.
pub fn key_object(resource: &Resource, alias: &str) -> String {
    let parts: Vec<_> =
        resource.key.iter().map(|name| format!("{}, {alias}.{}", literal(name), ident(name))).collect();
    format!("pg_catalog.jsonb_build_object({})", parts.join(", "))
}

/// The condition that row `alias` has unsettled mutations that Auth0 has not taken.
pub fn has_unsettled(schema: &str, resource: &Resource, alias: &str) -> String {
    format!(
        "exists (select from {} c where c.settled_at is null and c.state <> 'applied' and c.\"table\" = {} and c.key = {})",
        qualified(schema, "_sync_cdc"),
        literal(&resource.table),
        key_object(resource, alias)
    )
}

/// The key in a result whose first columns are [`key_columns`].
pub fn selected_key(resource: &Resource, row: &PgRow) -> RowKey {
    RowKey((0..resource.key.len()).map(|n| row.get(n)).collect())
}
