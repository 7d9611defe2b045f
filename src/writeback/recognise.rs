//! Recognises a create whose answer was lost and whose key Auth0 makes, by listing.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::call::Found;
use super::request::Content;
use super::worker::Context;
use crate::auth0::{Lane, Pages};
use crate::catalog::{List, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Row, row_from_auth0};
use crate::pg::{fault, ident};

/// Lists may lag behind writes: absence counts only when it is seen this often.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(700);

/// Looks for a row with the same values in `columns` that the mirror does not know yet.
pub(super) async fn in_list(
    context: &Context,
    resource: &Resource,
    content: &Content,
    query: &IndexMap<String, String>,
    columns: &[String],
) -> Result<Found> {
    let list = resource.list.iter().find(|list| list.parent.is_none()).ok_or_else(|| {
        Error::new(Kind::Catalog, format!("{} has no list to recognise a create in", resource.table))
    })?;
    let list = filtered(list, query, &content.after);
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let mut pages = Pages::new(&context.auth0, &list, &Row::new(), Lane::Write)?;
        while let Some(items) = pages.next_page().await? {
            for item in items {
                let row = row_from_auth0(resource, &item, |_| None);
                let same = columns.iter().all(|column| row.get(column) == content.after.get(column));
                if same && !known(context, resource, &row).await? {
                    return Ok(Found::Row(item, row));
                }
            }
        }
    }
    Ok(Found::Nothing)
}

/// The list with the query of the catalogue, `{column}` filled from the row.
fn filtered(list: &List, query: &IndexMap<String, String>, values: &Row) -> List {
    let mut list = list.clone();
    for (name, template) in query {
        let column = template.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        let value = match column {
            Some(column) => values.get(column).and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => template.clone(),
        };
        list.query.insert(name.clone(), value);
    }
    list
}

async fn known(context: &Context, resource: &Resource, row: &Row) -> Result<bool> {
    let (Some(key), Some(column)) = (RowKey::of(resource, row), resource.key.first()) else {
        return Ok(false);
    };
    let sql = format!(
        "select exists (select from {}.{} where {} = $1)",
        ident(&context.store.schema),
        ident(&resource.table),
        ident(column)
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(key.0.first())
        .fetch_one(&context.store.database.pool)
        .await
        .map_err(fault("cannot look whether a row is known"))
}
