//! The tenant log by checkpoint: the source that sees every write of the Management API and every
//! login. The checkpoint moves only when everything that the entries named has been read again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sqlx::PgPool;

use super::hints::targets;
use super::{Context, Queue, bulk};
use crate::auth0::{Lane, Request};
use crate::catalog::{Catalog, List, Paging, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::fault;
use crate::pg::mirror::{Tick, row_listed};

/// Entries a call; the most that Auth0 gives.
const TAKE: usize = 100;
const SOURCE: &str = "logs";

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
}

impl Logs {
    /// Takes up at the stored checkpoint; at the first start, at the newest entry. Call it before
    /// the backfill begins: what changes while it runs is then seen here.
    ///
    /// # Errors
    /// Of Auth0 and of the database.
    pub async fn open(context: Context, queue: Arc<Queue>, entries: Entries) -> Result<Logs> {
        let stored: Option<String> = sqlx::query_scalar(
            "select position from _auth0_sync.checkpoint where schema = $1 and source = $2",
        )
        .bind(&context.schema)
        .bind(SOURCE)
        .fetch_optional(&context.database.pool)
        .await
        .map_err(fault("cannot read the checkpoint of the log"))?;
        let position = match stored {
            Some(position) => position,
            None => {
                let newest =
                    entries.read(&context, &[("sort", "date:-1"), ("per_page", "1"), ("page", "0")]).await?;
                let position = newest.first().and_then(id).unwrap_or_default();
                store(&context.database.pool, &context.schema, &position).await?;
                position
            }
        };
        Ok(Logs { context, queue, entries, position })
    }

    /// Follows the log for ever; `interval` is the pause when there was nothing new.
    pub async fn follow(mut self, interval: Duration) {
        loop {
            let pause = match self.step().await {
                Ok(found) if found >= TAKE => Duration::ZERO,
                Ok(_) => interval,
                Err(error) => {
                    tracing::warn!(%error, "the tenant log could not be read");
                    interval.max(Duration::from_secs(1))
                }
            };
            tokio::time::sleep(pause).await;
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
            let position = queue.position();
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
            moved.await;
        }
    }

    async fn step(&mut self) -> Result<usize> {
        let take = TAKE.to_string();
        let reading = self.context.freshness.begin();
        let entries = &self.entries;
        let found = if self.position.is_empty() {
            // Nothing to start from yet: the oldest entries, by search.
            let oldest = [("sort", "date:1"), ("per_page", take.as_str()), ("page", "0")];
            entries.read(&self.context, &oldest).await?
        } else {
            let next = [("from", self.position.as_str()), ("take", take.as_str())];
            entries.read(&self.context, &next).await?
        };
        let Some(last) = found.last().and_then(id) else { return Ok(0) };
        self.mirror(&found, reading.began()).await?;
        let catalog = &self.context.catalog;
        let targets: Vec<_> =
            found.iter().flat_map(|entry| targets(catalog, entry, &self.context.instance)).collect();
        if !targets.is_empty() {
            tracing::debug!(entries = found.len(), targets = targets.len(), "the tenant log names changes");
        }
        self.queue.ask_for(targets, last.clone());
        self.position = last;
        Ok(found.len())
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

fn id(entry: &Value) -> Option<String> {
    let id = entry.get("log_id").or_else(|| entry.get("_id"))?;
    id.as_str().map(str::to_owned)
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
