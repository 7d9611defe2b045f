//! Fills tables by their lists, parents before children. Applying is idempotent, so a table whose
//! filling was cut short is simply listed again.

use std::collections::HashSet;

use serde_json::Map;
use sqlx::{AssertSqlSafe, Row as _};

use super::refetch::{below, object, read_set};
use super::target::Target;
use super::{Context, Queue, bulk};
use crate::auth0::{Lane, Pages, Request};
use crate::catalog::{List, Resource, ResourceKind, RowKey, placeholders};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Row, row_from_auth0};
use crate::pg::{fault, ident};

/// Links below this many parents are fetched at a time.
const PARENTS_AT_A_TIME: usize = 8;

/// Fills every table whose entry in `_auth0_sync.backfill` is not `done`.
///
/// # Errors
/// The first table that could not be filled; the others' progress is kept.
pub async fn backfill(context: &Context, queue: &Queue) -> Result<()> {
    let waiting: Vec<String> = sqlx::query_scalar(
        "select \"table\" from _auth0_sync.backfill where schema = $1 and state <> 'done'",
    )
    .bind(&context.schema)
    .fetch_all(&context.database.pool)
    .await
    .map_err(fault("cannot read the state of the backfill"))?;
    for resource in context.catalog.iter().filter(|resource| waiting.contains(&resource.table)) {
        note(context, resource, "running", 0, None).await?;
        let started = std::time::Instant::now();
        match fill(context, resource, Lane::Backfill, &|again| queue.ask(again)).await {
            Ok(rows) => {
                note(context, resource, "done", rows, None).await?;
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!(table = %resource.table, rows, seconds, "table filled");
            }
            Err(error) => {
                note(context, resource, "failed", 0, Some(error.to_string())).await?;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Lists a whole table and applies it; returns how many rows Auth0 has. Rows that have to be read
/// again, and rows that the list does not have, go to `again`: a list alone never deletes.
pub(super) async fn fill(
    context: &Context,
    resource: &Resource,
    lane: Lane,
    again: &(dyn Fn(Vec<Target>) + Sync),
) -> Result<u64> {
    if resource.kind == ResourceKind::Singleton {
        return fill_singleton(context, resource, lane, again).await;
    }
    let list = resource
        .list
        .first()
        .ok_or_else(|| Error::new(Kind::Catalog, format!("{} has no list", resource.table)))?;
    match &list.parent {
        Some(parent) => fill_below(context, resource, list, parent, lane).await,
        None => fill_list(context, resource, list, lane, again).await,
    }
}

async fn fill_singleton(
    context: &Context,
    resource: &Resource,
    lane: Lane,
    again: &(dyn Fn(Vec<Target>) + Sync),
) -> Result<u64> {
    let get = resource.get.as_ref().ok_or_else(|| Error::new(Kind::Catalog, "a singleton has no get"))?;
    let reading = context.freshness.begin();
    let answer = context.auth0.read(&Request::get(get.path.clone(), lane)).await?;
    let row = row_from_auth0(resource, &object(answer.body), |_| None);
    if let Some(key) = RowKey::of(resource, &row) {
        let left = bulk::store(context, resource, vec![(key, row)], reading.began()).await?;
        again(rows(context, resource, left));
    }
    Ok(1)
}

async fn fill_list(
    context: &Context,
    resource: &Resource,
    list: &List,
    lane: Lane,
    again: &(dyn Fn(Vec<Target>) + Sync),
) -> Result<u64> {
    let before = keys(context, resource).await?;
    let mut seen = HashSet::new();
    let mut pages = Pages::new(&context.auth0, list, &Row::new(), lane)?;
    loop {
        let reading = context.freshness.begin();
        let Some(items) = pages.next_page().await? else { break };
        let page = items.iter().map(|item| below(resource, list, item, &Map::new()));
        let page: Vec<_> = page.filter_map(|row| Some((RowKey::of(resource, &row)?, row))).collect();
        seen.extend(page.iter().map(|(key, _)| key.clone()));
        let left = bulk::store(context, resource, page, reading.began()).await?;
        again(rows(context, resource, left));
    }
    if let Some(cut) = pages.cut() {
        let total = cut.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let what = format!("Auth0 lists only {}{total} rows of {}", cut.cap, resource.table);
        return Err(Error::new(Kind::Auth0Answer, what));
    }
    // Lists lag behind: what is missing here is asked for by its key.
    let missing: Vec<_> = before.into_iter().filter(|key| !seen.contains(key)).collect();
    again(rows(context, resource, missing));
    Ok(seen.len() as u64)
}

async fn fill_below(
    context: &Context,
    resource: &Resource,
    list: &List,
    parent: &str,
    lane: Lane,
) -> Result<u64> {
    let parents = keys(context, context.catalog.resource(parent)?).await?;
    if placeholders(&list.path).count() != 1 {
        return Err(Error::new(Kind::Catalog, format!("{} has more than one placeholder", list.path)));
    }
    for some in parents.chunks(PARENTS_AT_A_TIME) {
        let reads = some.iter().map(|key| read_until_whole(context, resource, list, &key.0, lane));
        futures_util::future::try_join_all(reads).await?;
    }
    Ok(keys(context, resource).await?.len() as u64)
}

/// A link that a client holds or has just written is read again with its siblings.
async fn read_until_whole(
    context: &Context,
    resource: &Resource,
    list: &List,
    parent: &[String],
    lane: Lane,
) -> Result<()> {
    for pause in [20, 50, 100, 200, 500, 1000, 2000] {
        match read_set(context, resource, list, parent, lane).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == Kind::DatabaseBusy => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    Err(Error::new(Kind::DatabaseBusy, format!("clients hold rows of {}", resource.table)))
}

fn rows(context: &Context, resource: &Resource, keys: Vec<RowKey>) -> Vec<Target> {
    keys.into_iter().filter_map(|key| Target::row(&context.catalog, &resource.table, key)).collect()
}

/// Keys that the mirror shows and that Auth0 can know.
async fn keys(context: &Context, resource: &Resource) -> Result<Vec<RowKey>> {
    let columns: Vec<_> = resource.key.iter().map(|column| ident(column)).collect();
    let sql =
        format!("select {} from {}.{}", columns.join(", "), ident(&context.schema), ident(&resource.table));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read keys"))?;
    let keys = rows.iter().map(|row| RowKey((0..resource.key.len()).map(|n| row.get(n)).collect()));
    Ok(keys.filter(|key| !key.0.iter().any(|part: &String| part.starts_with("new_"))).collect())
}

async fn note(
    context: &Context,
    resource: &Resource,
    state: &str,
    rows: u64,
    error: Option<String>,
) -> Result<()> {
    sqlx::query(include_str!("sql/note_backfill.sql"))
        .bind(&context.schema)
        .bind(&resource.table)
        .bind(state)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(error)
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note the progress of the backfill"))?;
    Ok(())
}
