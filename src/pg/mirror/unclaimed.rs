//! A row that Auth0 shows before our own create of it has got its answer. It must not be stored:
//! it would stand beside the client's row with the provisional key, and the create, read back,
//! would take it for somebody else's.

use super::Row;
use super::locked::Locked;
use crate::catalog::{NewKey, Recognise, Resource, placeholders};
use crate::error::Result;
use crate::pg::{fault, ident, literal, qualified};
use serde_json::Value;
use sqlx::AssertSqlSafe;

/// The SQL condition that row `alias` may be what a create under way has made; none where the
/// client's side makes the keys.
pub fn may_be_ours(resource: &Resource, schema: &str, alias: &str) -> Option<String> {
    if resource.new_key != NewKey::Server {
        return None;
    }
    let columns: Vec<&str> = match &resource.create.as_ref()?.recognise {
        Recognise::Key | Recognise::Repeat => return None,
        Recognise::Path { path } => placeholders(path).collect(),
        Recognise::List { columns, .. } => columns.iter().map(String::as_str).collect(),
    };
    let above = resource.key.split_last().map_or(&[][..], |(_, above)| above);
    let compared = above.iter().map(String::as_str).chain(columns);
    // As JSON: the text of an array is another in a column than in an image.
    let same = compared.map(|column| {
        format!(
            " and nullif(c.after -> {}, 'null') is not distinct from pg_catalog.to_jsonb({alias}.{})",
            literal(column),
            ident(column)
        )
    });
    let (table, same) = (literal(&resource.table), same.collect::<String>());
    // A strict INSERT has not been committed yet, or has been rolled back and is taken back; one whose COMMIT
    // waits for Auth0's answer cannot be seen.
    Some(format!(
        "(exists (select from {0} c where c.settled_at is null and c.state in ('sending', 'verifying') \
         and c.operation = 'INSERT' and c.\"table\" = {table}{same}) \
         or exists (select from _auth0_sync.intent c where c.schema = {1} and c.operation = 'INSERT' \
         and c.\"table\" = {table}{same}) \
         or exists (select from _auth0_sync.unseen c where c.schema = {1} and c.operation = 'INSERT' \
         and c.\"table\" = {table}{same}))",
        qualified(schema, "_sync_cdc"),
        literal(schema),
    ))
}

impl Locked<'_> {
    /// Whether the mirror has no such row because our own create of it is still under way.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_unclaimed(&mut self, row: &Row) -> Result<bool> {
        if self.visible.is_some() || !self.unsettled.is_empty() {
            return Ok(false);
        }
        let Some(condition) = may_be_ours(self.resource, &self.schema, "r") else { return Ok(false) };
        let sql = format!(
            "select {condition} from pg_catalog.jsonb_populate_record(null::{}, $1) r",
            qualified(&self.schema, &self.resource.table)
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(Value::Object(row.clone()))
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(fault("cannot look for a create under way"))
    }
}
