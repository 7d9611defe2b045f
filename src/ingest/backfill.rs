//! Fills tables by their lists, parents before children. Applying is idempotent, so a table whose
//! filling was cut short is simply listed again.

use std::collections::HashSet;

use serde_json::Map;
use sqlx::AssertSqlSafe;

use super::refetch::{below, object, read_set};
use super::slices::{Slice, Span};
use super::target::Target;
use super::{Context, Queue, bulk};
use crate::auth0::{Lane, Pages, Request};
use crate::catalog::{List, Resource, ResourceKind, RowKey, placeholders};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Row, row_from_auth0};
use crate::pg::{fault, key_columns, qualified, selected_key};

/// Links below this many parents are fetched at a time.
const PARENTS_AT_A_TIME: usize = 8;

/// What a list had to say of a table.
pub(super) struct Filled {
    /// How many rows Auth0 has.
    rows: u64,
    /// Rows that have to be read by themselves: changed meanwhile, held by a client, or in the mirror
    /// and not in the list. A list alone never deletes.
    pub(super) again: Vec<Target>,
    /// What Auth0 did not show.
    short: Option<String>,
}

/// Fills every table whose entry in `_auth0_sync.backfill` is not `done`; a table is `done` when
/// every row that its list named has been read.
///
/// # Errors
/// The first table that could not be filled yet; the others' progress is kept. A table that Auth0
/// refuses to show is noted as `failed` and left.
pub async fn backfill(context: &Context, queue: &Queue) -> Result<()> {
    let waiting: Vec<String> = sqlx::query_scalar(
        "select \"table\" from _auth0_sync.backfill where schema = $1 and state <> 'done'",
    )
    .bind(&context.schema)
    .fetch_all(&context.database.pool)
    .await
    .map_err(fault("cannot read the state of the backfill"))?;
    let mut open = Vec::new();
    for resource in context.catalog.iter().filter(|resource| waiting.contains(&resource.table)) {
        note(context, resource, "running", 0, None).await?;
        let started = std::time::Instant::now();
        match fill(context, resource, Lane::Backfill).await {
            Ok(filled) => {
                let (rows, seconds) = (filled.rows, started.elapsed().as_secs_f64());
                tracing::info!(table = %resource.table, rows, seconds, "table filled");
                if let Some(short) = &filled.short {
                    tracing::warn!(table = %resource.table, "{short}");
                }
                queue.ask(filled.again.clone());
                if filled.again.is_empty() {
                    note(context, resource, "done", rows, filled.short).await?;
                } else {
                    open.push((resource, filled));
                }
            }
            Err(error) => {
                note(context, resource, "failed", 0, Some(error.to_string())).await?;
                if error.kind().policy().retry == Retry::Backoff {
                    return Err(error);
                }
                // No repetition mends it, and the other tables do not depend on it.
                tracing::error!(table = %resource.table, %error, "the table stays unfilled: {}", error.kind().policy().hint);
            }
        }
    }
    for (resource, filled) in open {
        queue.read(&filled.again).await;
        note(context, resource, "done", filled.rows, filled.short).await?;
    }
    Ok(())
}

/// Lists a whole table and applies it.
pub(super) async fn fill(context: &Context, resource: &Resource, lane: Lane) -> Result<Filled> {
    if resource.kind == ResourceKind::Singleton {
        return fill_singleton(context, resource, lane).await;
    }
    let list = resource
        .list
        .first()
        .ok_or_else(|| Error::new(Kind::Catalog, format!("{} has no list", resource.table)))?;
    match &list.parent {
        Some(parent) => fill_below(context, resource, list, parent, lane).await,
        None => fill_list(context, resource, list, lane).await,
    }
}

async fn fill_singleton(context: &Context, resource: &Resource, lane: Lane) -> Result<Filled> {
    let get = resource.get.as_ref().ok_or_else(|| Error::new(Kind::Catalog, "a singleton has no get"))?;
    let reading = context.freshness.begin();
    let answer = context.auth0.read(&Request::get(get.path.clone(), lane)).await?;
    let row = row_from_auth0(resource, &object(answer.body), |_| None);
    let Some(key) = RowKey::of(resource, &row) else {
        return Err(Error::new(Kind::Catalog, format!("{} has no key of its own", resource.table)));
    };
    let left = bulk::store(context, resource, vec![(key, row)], reading.began()).await?;
    Ok(Filled { rows: 1, again: rows(context, resource, left), short: None })
}

async fn fill_list(context: &Context, resource: &Resource, list: &List, lane: Lane) -> Result<Filled> {
    let before = keys(context, resource).await?;
    let (mut seen, mut left, mut short, mut span) = (HashSet::new(), Vec::new(), None, None);
    let mut slices = vec![Slice::whole(list)];
    while let Some(slice) = slices.pop() {
        let query = slice.as_ref().and_then(Slice::query);
        let mut pages = Pages::new(&context.auth0, list, &Row::new(), lane)?.search(query);
        loop {
            let reading = context.freshness.begin();
            let Some(items) = pages.next_page().await? else { break };
            let page = items.iter().map(|item| below(resource, list, item, &Map::new()));
            let page: Vec<_> = page.filter_map(|row| Some((RowKey::of(resource, &row)?, row))).collect();
            seen.extend(page.iter().map(|(key, _)| key.clone()));
            left.extend(bulk::store(context, resource, page, reading.began()).await?);
            if let (Some(slice), Some(cap), Some(column)) = (&slice, list.cap, &list.slice_by)
                && pages.total().is_some_and(|total| total > u64::from(cap))
            {
                let span = match span {
                    Some(span) => span,
                    None => *span.insert(Span::read(context, list, column, lane).await?),
                };
                if let Some(halves) = slice.halves(span) {
                    slices.extend(halves.map(Some));
                    break;
                }
            }
        }
        if let Some(cut) = pages.cut() {
            let total = cut.total.map(|total| format!(" of {total}")).unwrap_or_default();
            short = Some(format!("Auth0 lists only {}{total} rows of {}", cut.cap, resource.table));
        }
    }
    // Lists lag behind: what is missing here is asked for by its key.
    left.extend(before.into_iter().filter(|key| !seen.contains(key)));
    Ok(Filled { rows: seen.len() as u64, again: rows(context, resource, left), short })
}

async fn fill_below(
    context: &Context,
    resource: &Resource,
    list: &List,
    parent: &str,
    lane: Lane,
) -> Result<Filled> {
    let parents = keys(context, context.catalog.resource(parent)?).await?;
    if placeholders(&list.path).count() != 1 {
        return Err(Error::new(Kind::Catalog, format!("{} has more than one placeholder", list.path)));
    }
    let mut again = Vec::new();
    for some in parents.chunks(PARENTS_AT_A_TIME) {
        let reads = some.iter().map(|key| read_set(context, resource, list, &key.0, lane));
        for (key, whole) in some.iter().zip(futures_util::future::try_join_all(reads).await?) {
            // A link that a client holds or has just written is read again with its siblings.
            if !whole {
                again.push(Target::Set { table: resource.table.clone(), list: 0, parent: key.0.clone() });
            }
        }
    }
    Ok(Filled { rows: keys(context, resource).await?.len() as u64, again, short: None })
}

fn rows(context: &Context, resource: &Resource, keys: Vec<RowKey>) -> Vec<Target> {
    keys.into_iter().filter_map(|key| Target::row(&context.catalog, &resource.table, key)).collect()
}

/// Keys that the mirror shows and that Auth0 can know.
async fn keys(context: &Context, resource: &Resource) -> Result<Vec<RowKey>> {
    let sql =
        format!("select {} from {}", key_columns(resource), qualified(&context.schema, &resource.table));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read keys"))?;
    let keys = rows.iter().map(|row| selected_key(resource, row));
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
