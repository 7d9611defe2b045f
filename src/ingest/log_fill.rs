//! Fills the table of entries that only grow, the oldest first. There may be years of them, so how far
//! it has come is stored behind every page: a restart goes on there, and what it reads twice is there
//! already. New entries are the live follower's.

use serde_json::Map;

use super::{Context, Method, bulk, sides};
use crate::auth0::{Lane, Pages};
use crate::catalog::{List, Resource, RowKey};
use crate::error::{Kind, Result};
use crate::pg::fault;
use crate::pg::mirror::row_listed;

/// What the position is called among those of the live sources.
const SOURCE: &str = "logs_filling";

/// Reads all entries that Auth0 has and that an earlier process has not read; how many the table has.
///
/// # Errors
/// Of Auth0 and of the database; the next try goes on where this one ended.
pub(super) async fn fill(context: &Context, resource: &Resource, list: &List, lane: Lane) -> Result<usize> {
    let filling = context.progress.of(&resource.table);
    filling.method(Method::List);
    let stored = position(context).await?;
    if stored.is_some() {
        tracing::info!(table = %resource.table, "the entries are read on from where an earlier reading ended");
    }
    let mut resumed = stored.is_some();
    let none = Map::new();
    let mut pages = Pages::new(&context.auth0, list, &none, lane)?.after(stored);
    loop {
        let (reading, calls) = (context.freshness.begin(), pages.calls());
        let page = pages.next_page().await;
        filling.calls(pages.calls() - calls);
        let items = match page {
            Ok(Some(items)) => items,
            Ok(None) => break,
            // Auth0 has dropped the entry; how it says so is written nowhere.
            Err(error) if resumed && matches!(error.kind(), Kind::Auth0Refused | Kind::Auth0NotFound) => {
                tracing::warn!(table = %resource.table, %error, "the entries are read from the oldest on again");
                resumed = false;
                pages = Pages::new(&context.auth0, list, &none, lane)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        resumed = false;
        let rows = items.iter().filter_map(|item| {
            let row = row_listed(resource, list, item, &none);
            Some((RowKey::of(resource, &row)?, row))
        });
        bulk::add(context, resource, rows.collect(), reading.began()).await?;
        filling.rows(items.len() as u64);
        // In this order: a crash in between only reads a page twice.
        if let Some(place) = pages.place() {
            store(context, place).await?;
        }
    }
    forget(context).await?;
    Ok(usize::try_from(sides::size(context, resource).await?).unwrap_or(usize::MAX))
}

async fn position(context: &Context) -> Result<Option<String>> {
    let stored: Option<(String, f64)> = sqlx::query_as(include_str!("sql/checkpoint.sql"))
        .bind(&context.schema)
        .bind(SOURCE)
        .fetch_optional(&context.database.pool)
        .await
        .map_err(fault("cannot read how far the entries have been read"))?;
    Ok(stored.map(|(position, _)| position))
}

async fn store(context: &Context, position: &str) -> Result<()> {
    sqlx::query(include_str!("sql/store_checkpoint.sql"))
        .bind(&context.schema)
        .bind(SOURCE)
        .bind(position)
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot store how far the entries have been read"))?;
    Ok(())
}

async fn forget(context: &Context) -> Result<()> {
    sqlx::query(include_str!("sql/forget_checkpoint.sql"))
        .bind(&context.schema)
        .bind(SOURCE)
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note that all entries have been read"))?;
    Ok(())
}
