//! Fills tables by their lists, parents before children. Applying is idempotent, so a table whose
//! filling was cut short is simply listed again.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::completion::{self, Completed};
use super::listed::Listed;
use super::listing::{any_known, keys, read_set, unseen};
use super::refetch::read_singleton;
use super::seen::Seen;
use super::sets::Work;
use super::sides::sides;
use super::{Context, Method, Queue, estimate, export, kept, log_fill};
use crate::auth0::{Cut, Lane};
use crate::catalog::{List, NewKey, Paging, Resource, ResourceKind, RowKey, Target};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::fault;

/// What the lists had to say of a table.
pub(super) struct Filled {
    /// How many rows Auth0 has.
    pub(super) rows: usize,
    /// What has to be read by itself.
    pub(super) again: Vec<Target>,
    /// What has to be read because of these rows, unless it is filled anyway.
    pub(super) following: Vec<Target>,
    /// What Auth0 did not show.
    pub(super) short: Option<String>,
}

/// Which tables a run of [`backfill`] takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Those that wait, and every one that Auth0 has refused to show.
    All,
    /// Those that wait, and those that Auth0 refused an hour ago.
    Now,
}

/// A table's filling in one run.
#[derive(Default)]
struct End {
    /// Cancelled when those that hang on the table may go on.
    listed: CancellationToken,
    /// It has not come to its end, and is taken up again.
    broken: AtomicBool,
}

/// Fills every table whose entry in `_auth0_sync.backfill` waits, each when those that it hangs on
/// are filled; a table is `done` when every row that its lists named has been read. Tables of
/// entries that only grow (the tenant log) are left to [`backfill_entries`].
///
/// # Errors
/// The first table that could not be filled yet; the others' progress is kept. A table that Auth0
/// refuses to show is noted as `unavailable` and left. Returns what has been filled once no table
/// waits any more, and tells that once.
pub async fn backfill(context: &Context, queue: &Queue, due: Due) -> Result<Option<Completed>> {
    let tables = waiting(context, due).await?;
    let tables: Vec<_> = tables.into_iter().filter(|resource| !is_endless(resource)).collect();
    if tables.is_empty() && due == Due::Now {
        return Ok(None);
    }
    let finite = context.catalog.iter().filter(|resource| !is_endless(resource));
    let finite: Vec<&str> = finite.map(|resource| resource.table.as_str()).collect();
    if completion::begin(context, &finite).await? {
        estimate::announce(context, &tables).await?;
    }
    let ends: HashMap<&str, End> =
        tables.iter().map(|resource| (resource.table.as_str(), End::default())).collect();
    let work = tables.iter().map(|resource| -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async {
            let end = &ends[resource.table.as_str()];
            let _end = end.listed.clone().drop_guard();
            for parent in resource.parents().filter(|parent| *parent != resource.table) {
                if let Some(parent) = ends.get(parent) {
                    parent.listed.cancelled().await;
                }
            }
            // Below the rows that are there so far it would miss those that are yet to come.
            let is_broken = |parent| ends.get(parent).is_some_and(|end| end.broken.load(Ordering::Relaxed));
            if resource.needs().any(is_broken) {
                end.broken.store(true, Ordering::Relaxed);
                return Ok(());
            }
            // What is skipped is not brought by the way either.
            let is_filled_too =
                |table: &str| ends.contains_key(table) || context.skip.iter().any(|skipped| skipped == table);
            let outcome = take_up(context, queue, resource, &end.listed, &is_filled_too).await;
            end.broken.store(outcome.is_err(), Ordering::Relaxed);
            outcome
        })
    });
    // All at once: what they do at the same time is bounded by the gate of the context.
    let outcomes = Box::pin(futures_util::future::join_all(work)).await;
    outcomes.into_iter().collect::<Result<()>>()?;
    completion::complete(context, &finite).await
}

/// Fills the tables whose rows only grow, the oldest entries first.
///
/// # Errors
/// As [`backfill`].
pub async fn backfill_entries(context: &Context, queue: &Queue, due: Due) -> Result<()> {
    for resource in waiting(context, due).await?.into_iter().filter(|resource| is_endless(resource)) {
        take_up(context, queue, resource, &CancellationToken::new(), &|_| false).await?;
    }
    Ok(())
}

/// Whether the table may take longer than anybody wants to wait.
pub(super) fn is_endless(resource: &Resource) -> bool {
    resource.list.iter().any(|list| list.paging == Paging::Log)
}

async fn waiting(context: &Context, due: Due) -> Result<Vec<&Resource>> {
    let tables: Vec<String> = sqlx::query_scalar(include_str!("sql/tables_to_fill.sql"))
        .bind(&context.schema)
        .bind(due == Due::All)
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read the state of the backfill"))?;
    Ok(context.catalog.iter().filter(|resource| tables.contains(&resource.table)).collect())
}

/// Fills one table and notes how that went; cancels `listed` when those that hang on it may go on.
async fn take_up(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    listed: &CancellationToken,
    is_filled_too: &(dyn Fn(&str) -> bool + Sync),
) -> Result<()> {
    if !resource.is_read() {
        // Its rows do not come from Auth0.
        note(context, resource, "running", 0, None).await?;
        return note(context, resource, "done", 0, None).await;
    }
    note(context, resource, "running", 0, None).await?;
    context.progress.begin(&resource.table);
    let _ended = Ended(context, &resource.table);
    match fill(context, queue, resource, Lane::Backfill).await {
        Ok(filled) => {
            let shown = context.progress.shown(&resource.table);
            let (rows, calls, seconds) = (filled.rows, shown.calls, shown.since.as_secs_f64());
            tracing::info!(table = %resource.table, rows, calls, seconds, "table filled");
            if let Some(short) = &filled.short {
                tracing::warn!(table = %resource.table, "{short}");
            }
            context.refused.lift(&resource.table);
            queue.ask(filled.again.iter().cloned());
            let below = |other: &&Resource| other.needs().any(|table| table == resource.table);
            if !context.catalog.iter().filter(below).all(|other| is_filled_too(&other.table)) {
                kept::ask(context, queue, filled.following).await?;
            }
            // A row that a client holds keeps nobody waiting but its own table.
            if !resource.list.iter().any(|list| list.part) {
                listed.cancel();
            }
            queue.read(&filled.again).await;
            note(context, resource, "done", rows, filled.short).await
        }
        Err(error) if is_refusal(&error) => {
            if context.refused.add(&resource.table) {
                tracing::warn!(table = %resource.table, %error, "Auth0 does not show this table: {}", error.kind().policy().hint);
            }
            note(context, resource, "unavailable", 0, Some(error.to_string())).await
        }
        Err(error) => {
            let again = error.kind().policy().retry == Retry::Backoff;
            let state = if again { "waiting" } else { "failed" };
            note(context, resource, state, 0, Some(error.to_string())).await?;
            if again {
                return Err(error);
            }
            // No repetition mends it, and the other tables do not depend on it.
            tracing::error!(table = %resource.table, %error, "the table stays unfilled: {}", error.kind().policy().hint);
            Ok(())
        }
    }
}

/// Ends a table's progress, however its filling ends.
struct Ended<'a>(&'a Context, &'a str);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.progress.end(self.1);
    }
}

/// Whether Auth0 has said that it will not answer this, however often it is asked.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), Kind::Auth0Forbidden | Kind::Auth0Scope | Kind::Auth0NotFound | Kind::Auth0Refused)
}

/// Lists a whole table and applies it.
pub(super) async fn fill(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    lane: Lane,
) -> Result<Filled> {
    if resource.kind == ResourceKind::Singleton {
        let read = read_singleton(context, resource, lane).await?;
        let again = if read.is_some() { Vec::new() } else { own_row(resource) };
        let (again, rows) = (rows(context, resource, again), keys(context, resource).await?.len());
        return Ok(Filled { rows, again, following: read.unwrap_or_default(), short: None });
    }
    if let Some(exported) = export::fill(context, resource, lane).await? {
        let mut left = Listed::of(exported.again, exported.following);
        left.bound(context, queue, resource, lane).await?;
        let again = rows(context, resource, left.open());
        let count = usize::try_from(exported.rows).unwrap_or(usize::MAX);
        return Ok(Filled { rows: count, again, following: left.following, short: None });
    }
    let entries = resource.list.iter().find(|list| list.paging == Paging::Log);
    if let Some(list) = entries.filter(|_| lane == Lane::Backfill) {
        let rows = log_fill::fill(context, resource, list, lane).await?;
        return Ok(Filled { rows, again: Vec::new(), following: Vec::new(), short: None });
    }
    let mut refused = None;
    for side in sides(context, resource).await? {
        if lane == Lane::Backfill {
            let filling = context.progress.of(&resource.table);
            filling.method(side.method(resource));
            // The parents are there now; of a list without any the estimate knows more.
            if side.group.iter().any(|n| resource.list[*n].parent.is_some()) {
                filling.expect_calls(side.calls);
            }
        }
        match fill_by(context, queue, resource, &side.group, lane).await {
            Err(error) if is_refusal(&error) => refused = refused.or(Some(error)),
            outcome => return outcome,
        }
    }
    Err(refused.unwrap_or_else(|| Error::new(Kind::Catalog, format!("{} has no list", resource.table))))
}

/// The key of a singleton's row.
fn own_row(resource: &Resource) -> Vec<RowKey> {
    match &resource.new_key {
        NewKey::Fixed { value } => vec![RowKey::single(value.clone())],
        _ => Vec::new(),
    }
}

/// Lists a table by lists that together show all of it.
async fn fill_by(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    group: &[usize],
    lane: Lane,
) -> Result<Filled> {
    let some_known = any_known(context, resource).await?;
    let parented = group.iter().any(|n| !resource.list[*n].names().is_empty());
    let (mut work, mut running) = (Work::of(resource, group), FuturesUnordered::new());
    let (mut all, mut count, mut whole, mut unread, mut reason) = (Listed::default(), 0, 0, 0, None);
    loop {
        while running.len() < super::READS_AT_A_TIME
            && let Some((list, set)) = work.next(context).await?
        {
            whole += 1;
            running.push(read_in_turn((context, queue), resource, list, set, lane, some_known));
        }
        match running.next().await {
            None => break,
            Some(Ok(mut listed)) => {
                count += listed.seen.len();
                if !some_known {
                    // Nothing can be missing that was there before, and there may be a million.
                    listed.seen = Seen::default();
                }
                all.join(listed);
                all.bound(context, queue, resource, lane).await?;
            }
            // This one alone: its parent is of a kind that has no such rows.
            Some(Err(error)) if error.kind() == Kind::Auth0Refused && parented => {
                unread += 1;
                reason = Some(error);
            }
            Some(Err(error)) => return Err(error),
        }
    }
    if some_known && !resource.keeps_rows && (all.cut.is_none() || resource.get.is_some()) {
        // Rows below parents that are not asked for any more.
        all.again.extend(unseen(context, resource, &Map::new(), &all.seen, None).await?);
        all.bound(context, queue, resource, lane).await?;
    }
    let short = match (all.cut, reason) {
        (Some(cut), _) => Some(shortened(resource, cut)),
        (None, Some(reason)) => Some(format!("{unread} of {whole} lists: {reason}")),
        (None, None) => None,
    };
    let again = rows(context, resource, all.open());
    Ok(Filled { rows: count, again, following: all.following, short })
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Listed>> + Send + 'a>>;

/// Reads a set when the gate of the context lets it; only a filling goes through that.
fn read_in_turn<'a>(
    (context, queue): (&'a Context, &'a Queue),
    resource: &'a Resource,
    list: &'a List,
    set: Vec<String>,
    lane: Lane,
    known: bool,
) -> Reading<'a> {
    Box::pin(async move {
        // Who has to wait for the limits anyway waits there, by lane, and keeps nobody else from here.
        let waits = context.auth0.budget().free_at(&reqwest::Method::GET, &list.path).is_some();
        let _turn = match lane {
            Lane::Backfill if !waits => Some(context.gate.acquire().await),
            _ => None,
        };
        read_set(context, queue, resource, list, &set, lane, known).await
    })
}

fn shortened(resource: &Resource, cut: Cut) -> String {
    let total = cut.total.map(|total| format!(" of {total}")).unwrap_or_default();
    format!("Auth0 lists only {}{total} rows of {}", cut.cap, resource.table)
}

fn rows(context: &Context, resource: &Resource, keys: Vec<RowKey>) -> Vec<Target> {
    let mut found: Vec<_> =
        keys.into_iter().filter_map(|key| Target::row(&context.catalog, &resource.table, key)).collect();
    let mut met = HashSet::new();
    found.retain(|target| met.insert(target.clone()));
    found
}

async fn note(
    context: &Context,
    resource: &Resource,
    state: &str,
    rows: usize,
    error: Option<String>,
) -> Result<()> {
    let shown = context.progress.shown(&resource.table);
    let (method, calls) = match state {
        "running" => (None, 0),
        _ => (shown.method.map(Method::as_str), shown.calls),
    };
    sqlx::query(include_str!("sql/note_backfill.sql"))
        .bind(&context.schema)
        .bind(&resource.table)
        .bind(state)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(error)
        .bind(method)
        .bind(i64::try_from(calls).unwrap_or(i64::MAX))
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note the progress of the backfill"))?;
    Ok(())
}
