//! Recognises a create whose answer was lost and whose key Auth0 makes, by listing.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::call::{Found, holds};
use super::readback::search;
use super::request::{Content, values};
use super::worker::Context;
use crate::catalog::{List, Resource, RowKey, fill_path, placeholder};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::Row;
use crate::pg::{fault, ident, qualified};

/// Lists may lag behind writes: absence counts only when it is seen this often.
pub(super) const LOOKS: u32 = 3;
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_millis(700);

/// Looks for a row with the same values in `columns`, below the same parent, that the mirror does
/// not know yet.
pub(super) async fn in_list(
    context: &Context,
    resource: &Resource,
    content: &Content,
    query: &IndexMap<String, String>,
    columns: &[String],
) -> Result<Found> {
    let values = values(content);
    let list = list_for(resource, &values).ok_or_else(|| {
        Error::new(Kind::Catalog, format!("{} has no list to recognise a create in", resource.table))
    })?;
    let list = filtered(list, query, &values);
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let mut alike = Vec::new();
        search(context, resource, &list, &values, |row| {
            if is_alike(resource, columns, &values, row) {
                alike.push(row.clone());
            }
            false
        })
        .await?;
        let made = |row: &Row| RowKey::of(resource, row).and_then(|mut key| key.0.pop());
        let known = known(context, resource, &values, alike.iter().filter_map(made).collect()).await?;
        let new = |row: &Row| made(row).is_some_and(|made| !known.contains(&made));
        if let Some(row) = alike.into_iter().find(new) {
            return Ok(Found::Row(row));
        }
    }
    Ok(Found::Nothing)
}

/// Whether a listed row may be what a create with `values` made: below the same parent, the same in `columns`.
pub(super) fn is_alike(resource: &Resource, columns: &[String], values: &Row, row: &Row) -> bool {
    let above = resource.key.split_last().map_or(&[][..], |(_, above)| above);
    let same = |column: &String| holds(row.get(column), values.get(column).unwrap_or(&Value::Null));
    above.iter().chain(columns).all(same)
}

/// The list to look in: the narrowest whose path the row fills.
fn list_for<'a>(resource: &'a Resource, values: &Row) -> Option<&'a List> {
    let below = |list: &&List| fill_path(&list.path, values).is_some();
    resource.list.iter().filter(below).max_by_key(|list| list.path.matches('{').count())
}

/// The list with the query of the catalogue, `{column}` filled from the row.
fn filtered(list: &List, query: &IndexMap<String, String>, values: &Row) -> List {
    let mut list = list.clone();
    for (name, template) in query {
        let value = match placeholder(template) {
            Some(column) => values.get(column).and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => template.clone(),
        };
        list.query.insert(name.clone(), value);
    }
    list
}

/// Which of these keys that Auth0 has made the mirror knows, below the same parent.
async fn known(
    context: &Context,
    resource: &Resource,
    values: &Row,
    alike: Vec<String>,
) -> Result<Vec<String>> {
    let Some((made, above)) = resource.key.split_last() else { return Ok(Vec::new()) };
    let same: Vec<_> =
        above.iter().enumerate().map(|(n, column)| format!(" and {} = ${}", ident(column), n + 2)).collect();
    let sql = format!(
        "select {0} from {1} where {0} = any ($1){2}",
        ident(made),
        qualified(&context.store.schema, &resource.table),
        same.concat()
    );
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(alike);
    for column in above {
        query = query.bind(values.get(column).and_then(Value::as_str).map(str::to_owned));
    }
    query.fetch_all(&context.store.database.pool).await.map_err(fault("cannot look which rows are known"))
}
