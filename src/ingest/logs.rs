//! The tenant log by checkpoint: the source that sees every write of the Management API and every
//! login. The checkpoint moves only when everything that the entries named has been read again.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgPool;
use tokio::time::Instant;

use super::activity::LogRead;
use super::hints::{own_call, targets};
use super::pace::Pace;
use super::sweep::{self, Why};
use super::{Context, Queue, Source, bulk, gap};
use crate::auth0::{Lane, Request};
use crate::catalog::{Catalog, List, Paging, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::fault;
use crate::pg::mirror::{Tick, row_listed};
use crate::retry::Delays;

/// Entries a call; the most that Auth0 gives.
const TAKE: usize = 100;
const SOURCE: &str = "logs";
/// Between two tries where the log cannot be read.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How often it is noted that the log has been read to its end where nothing new came.
const NOTE: Duration = Duration::from_secs(600);

/// Where the tenant log is read.
#[derive(Clone, Debug)]
pub struct Entries(List);

impl Entries {
    /// The list of the whole catalogue that pages as a log, whether its table is mirrored or not.
    ///
    /// # Errors
    /// `catalog` where there is none.
    pub fn find(whole: &Catalog) -> Result<Entries> {
        let mut lists = whole.iter().flat_map(|resource| &resource.list);
        let log = lists.find(|list| list.paging == Paging::Log);
        let log = log.ok_or_else(|| Error::new(Kind::Catalog, "no list pages as a log"))?;
        Ok(Entries(log.clone()))
    }

    /// The path that they are read by, below `/api/v2`.
    pub(super) fn path(&self) -> &str {
        &self.0.path
    }

    /// The id of the newest entry; empty where there is none.
    async fn newest(&self, context: &Context) -> Result<String> {
        let newest = self.read(context, &[("sort", "date:-1"), ("per_page", "1"), ("page", "0")]).await?;
        Ok(newest.first().and_then(id).unwrap_or_default())
    }

    async fn read(&self, context: &Context, query: &[(&str, &str)]) -> Result<Vec<Value>> {
        let request = Request::get(self.0.path.clone(), Lane::Refetch);
        let request = query.iter().fold(request, |r, (name, value)| r.query(*name, *value));
        match context.auth0.read(&request).await?.body {
            Value::Array(entries) => Ok(entries),
            _ => {
                Err(Error::new(Kind::Auth0Answer, format!("GET {}: the answer is not an array", self.0.path)))
            }
        }
    }
}

/// The follower of the tenant log.
pub struct Logs {
    context: Context,
    queue: Arc<Queue>,
    entries: Entries,
    /// The entry up to which the log has been read; empty where the log was empty.
    position: String,
    /// When the log was last read to its end, as far as this process can know.
    read_at: Instant,
}

impl Logs {
    /// Takes up at the stored checkpoint; at the first start, at the newest entry. Call it before
    /// the backfill begins: what changes while it runs is then seen here. Where entries have been
    /// dropped unread, every table is compared and the log goes on from its newest entry.
    ///
    /// # Errors
    /// Of Auth0 and of the database.
    pub async fn open(context: Context, queue: Arc<Queue>, entries: Entries) -> Result<Logs> {
        let stored: Option<(String, f64)> = sqlx::query_as(include_str!("sql/checkpoint.sql"))
            .bind(&context.schema)
            .bind(SOURCE)
            .fetch_optional(&context.database.pool)
            .await
            .map_err(fault("cannot read the checkpoint of the log"))?;
        let now = Instant::now();
        let Some((position, age)) = stored else {
            let position = entries.newest(&context).await?;
            store(&context.database.pool, &context.schema, &position).await?;
            return Ok(Logs { context, queue, entries, position, read_at: now });
        };
        let unread = Duration::from_secs_f64(age.max(0.0));
        let read_at = now.checked_sub(unread).unwrap_or(now);
        let mut logs = Logs { context, queue, entries, position, read_at };
        logs.look_for_a_gap(unread).await?;
        Ok(logs)
    }

    /// Follows the log for ever.
    pub async fn follow(mut self, pace: Pace) {
        let mut delays = Delays::new(pace.busy, LONGEST_DELAY.max(pace.busy));
        let activity = Arc::clone(&self.context.activity);
        let mut noticed = activity.watch();
        loop {
            noticed.mark_unchanged();
            let began = Instant::now();
            let pause = match self.step().await {
                Ok(found) => {
                    delays.reset();
                    if found >= TAKE {
                        // There is more: what it told has been noticed, and would have the next page wait.
                        continue;
                    }
                    pace.pause(activity.quiet())
                }
                Err(error) => {
                    tracing::warn!(%error, "the tenant log could not be read: {}", error.kind().policy().hint);
                    tokio::time::sleep(delays.next_delay()).await;
                    continue;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Somebody has seen something: whatever else happens is of interest at once.
                _ = noticed.changed() => tokio::time::sleep_until(began + pace.busy).await,
                () = activity.log_asked() => tokio::time::sleep_until(began + pace.busy).await,
            }
        }
    }

    /// Stores the checkpoint whenever it has moved, for ever.
    pub async fn keep(context: Context, queue: Arc<Queue>) {
        let mut stored = None;
        loop {
            let moved = queue.progress();
            tokio::pin!(moved);
            // Armed before the look, so that no progress in between is missed.
            moved.as_mut().enable();
            let position = queue.position(Source::Log);
            if let Some(position) = position.filter(|position| stored.as_ref() != Some(position)) {
                match store(&context.database.pool, &context.schema, &position).await {
                    Ok(()) => stored = Some(position),
                    Err(error) => {
                        tracing::warn!(%error, "the checkpoint of the log could not be stored");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep(NOTE) => touch(&context).await,
            }
        }
    }

    async fn step(&mut self) -> Result<usize> {
        let unread = self.read_at.elapsed();
        if unread >= gap::SHORTEST {
            // This process or the way to Auth0 has been still for so long.
            self.look_for_a_gap(unread).await?;
        }
        let take = TAKE.to_string();
        let freshness = Arc::clone(&self.context.freshness);
        let (reading, began) = (freshness.begin(), Instant::now());
        let found = if self.position.is_empty() {
            // Nothing to start from yet: the oldest entries, by search.
            let oldest = [("sort", "date:1"), ("per_page", take.as_str()), ("page", "0")];
            self.entries.read(&self.context, &oldest).await?
        } else {
            let next = [("from", self.position.as_str()), ("take", take.as_str())];
            match self.entries.read(&self.context, &next).await {
                // It has never been said how Auth0 refuses a checkpoint that it has dropped.
                Err(error) if matches!(error.kind(), Kind::Auth0Refused | Kind::Auth0NotFound) => {
                    self.lose_the_place(&error.to_string()).await?;
                    return Ok(0);
                }
                found => found?,
            }
        };
        if let Some(last) = found.last().and_then(id) {
            self.take_in(&found, last, reading.began()).await?;
        }
        if found.len() < TAKE {
            self.read_at = began;
            self.context.activity.log_read(LogRead { began, position: self.position.clone() });
        }
        Ok(found.len())
    }

    async fn take_in(&mut self, found: &[Value], last: String, began: Tick) -> Result<()> {
        self.mirror(found, began).await?;
        let catalog = &self.context.catalog;
        let doubtful = self.context.freshness.doubtful();
        // Where nobody has heard its answer, it may have done what it did after its row was read back.
        let is_known =
            |entry| own_call(entry, &self.context.instance).is_some_and(|call| !doubtful.has(call));
        let targets: Vec<_> =
            found.iter().flat_map(|entry| targets(catalog, entry, is_known(entry))).collect();
        if !targets.is_empty() {
            tracing::debug!(entries = found.len(), targets = targets.len(), "the tenant log names changes");
        }
        if found.iter().any(|entry| tells_of_a_change(entry, &self.context.instance)) {
            self.context.activity.noticed();
        }
        self.queue.ask_for(Source::Log, targets, last.clone());
        self.position = last;
        Ok(())
    }

    /// Looks whether entries have been dropped since the log was last read, so long ago.
    async fn look_for_a_gap(&mut self, unread: Duration) -> Result<()> {
        if unread < gap::SHORTEST {
            return Ok(());
        }
        let oldest =
            self.entries.read(&self.context, &[("sort", "date:1"), ("per_page", "1"), ("page", "0")]);
        let oldest = oldest.await?.first().and_then(age);
        if gap::may_be_lost(unread, oldest) {
            let hours = unread.as_secs() / 3600;
            self.lose_the_place(&format!(
                "it was last read {hours} hours ago, and Auth0 has dropped entries since"
            ))
            .await?;
        }
        Ok(())
    }

    /// Goes on from the newest entry; what the entries in between have told is found by comparing.
    async fn lose_the_place(&mut self, why: &str) -> Result<()> {
        tracing::warn!(why, "the tenant log cannot be read on from where it stood; every table is compared");
        let newest = self.entries.newest(&self.context).await?;
        // In this order: a crash in between only compares once more.
        sweep::ask(&self.context, None, Why::Gap).await?;
        store(&self.context.database.pool, &self.context.schema, &newest).await?;
        self.queue.ask_for(Source::Log, [], newest.clone());
        (self.position, self.read_at) = (newest, Instant::now());
        Ok(())
    }

    /// Puts the entries into the table of entries, where it is mirrored.
    async fn mirror(&self, found: &[Value], began: Tick) -> Result<()> {
        let pages = |resource: &&Resource| resource.list.iter().any(|list| list.paging == Paging::Log);
        let Some(resource) = self.context.catalog.iter().find(pages) else { return Ok(()) };
        let list = &self.entries.0;
        let rows = found.iter().filter_map(|entry| {
            let row = row_listed(resource, list, entry.as_object()?, &Map::new());
            Some((RowKey::of(resource, &row)?, row))
        });
        bulk::add(&self.context, resource, rows.collect(), began).await
    }
}

/// Whether the entry says that something happened; reading leaves entries too where a secret was shown.
fn tells_of_a_change(entry: &Value, instance: &str) -> bool {
    entry.get("type").and_then(Value::as_str) != Some("mgmt_api_read") && own_call(entry, instance).is_none()
}

/// How long ago the entry was written.
fn age(entry: &Value) -> Option<Duration> {
    let written = DateTime::parse_from_rfc3339(entry.get("date")?.as_str()?).ok()?;
    Utc::now().signed_duration_since(written).to_std().ok()
}

fn id(entry: &Value) -> Option<String> {
    let id = entry.get("log_id").or_else(|| entry.get("_id"))?;
    id.as_str().map(str::to_owned)
}

/// Notes that nothing is behind the checkpoint: how long the log has been unread counts from here.
async fn touch(context: &Context) {
    let Some(read) = context.activity.log().filter(|read| read.began.elapsed() < NOTE) else { return };
    let noted = sqlx::query(include_str!("sql/touch_checkpoint.sql"))
        .bind(&context.schema)
        .bind(SOURCE)
        .bind(&read.position)
        .execute(&context.database.pool)
        .await;
    if let Err(error) = noted.map_err(fault("cannot note that the log was read")) {
        tracing::warn!(%error, "the log was read, and it is not noted when");
    }
}

async fn store(pool: &PgPool, schema: &str, position: &str) -> Result<()> {
    sqlx::query(include_str!("sql/store_checkpoint.sql"))
        .bind(schema)
        .bind(SOURCE)
        .bind(position)
        .execute(pool)
        .await
        .map_err(fault("cannot store the checkpoint of the log"))?;
    Ok(())
}
