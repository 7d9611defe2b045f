//! Judges what a comparison has found. First the live sources get their time: until the tenant log
//! has been read to its end by a reading that began a while after the comparison, and what it named
//! of the table has been read too. What still differs then is applied, and counted as drift.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::differences::Held;
use super::{Differences, Sweeper, drift};
use crate::auth0::Lane;
use crate::catalog::Target;
use crate::error::{Kind, Result, Retry};
use crate::ingest::apply::{Applied, apply};
use crate::ingest::refetch::read;
use crate::ingest::{Context, Queue, kept};
use crate::pg::mirror::Reading;

/// A log that cannot be read, or a table that never rests, keeps nothing waiting for longer.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often a row is tried that a client holds.
const TRIES: u32 = 5;
const BUSY: Duration = Duration::from_millis(200);

/// A table that has been compared.
pub(super) struct Pending<'a> {
    pub(super) table: String,
    pub(super) gap: bool,
    /// How many rows Auth0 has.
    pub(super) rows: usize,
    /// What Auth0 did not show.
    pub(super) short: Option<String>,
    /// What has to be read by itself: not shown by a list that may lag behind, or shown in part.
    pub(super) again: Vec<Target>,
    pub(super) differences: Arc<Differences>,
    /// When the comparison was read to its end.
    pub(super) read_at: Instant,
    pub(super) _reading: Reading<'a>,
}

impl Pending<'_> {
    /// Whether nothing is left that a live source might still tell.
    pub(super) fn is_settled(&self) -> bool {
        self.gap || (self.again.is_empty() && self.differences.is_empty())
    }
}

impl<'a> Sweeper<'a> {
    /// Judges the tables whose time has come; false where there was none.
    pub(super) async fn judge_ripe(&mut self) -> Result<bool> {
        let mut judged = false;
        while let Some(pending) = self.pending.front() {
            if !self.is_ripe(pending) {
                break;
            }
            let Some(pending) = self.pending.pop_front() else { break };
            // Where it fails the table is still due, and compared anew.
            self.judge(pending).await?;
            judged = true;
        }
        Ok(judged)
    }

    fn is_ripe(&self, pending: &Pending<'_>) -> bool {
        let since = pending.read_at.elapsed();
        if since >= PATIENCE + self.settings.grace {
            return true;
        }
        if since < self.settings.grace {
            return false;
        }
        let told = self.context.activity.log();
        if told.is_none_or(|read| read.began < pending.read_at + self.settings.grace) {
            // In a tenant where nothing happens the log is read rarely.
            self.context.activity.ask_log();
            return false;
        }
        !self.queue.is_open(&pending.table)
    }

    /// Applies what a comparison has found, counts it and notes that it is over.
    pub(super) async fn judge(&self, pending: Pending<'a>) -> Result<()> {
        let resource = self.context.catalog.resource(&pending.table)?;
        let counting = Context { compare: Some(Arc::new(Differences::new(0))), ..self.context.clone() };
        for held in pending.differences.take() {
            if !held.whole {
                if let Some(target) = Target::row(&self.context.catalog, &pending.table, held.key.clone()) {
                    read_now(&counting, self.queue, &target).await?;
                }
                continue;
            }
            self.apply(&counting, &pending.table, held).await?;
        }
        for target in &pending.again {
            read_now(&counting, self.queue, target).await?;
        }
        let counts = [&pending.differences, counting.compare.as_ref().unwrap_or(&pending.differences)];
        let counts = counts.map(|differences| differences.counts());
        let found = counts[0].plus(counts[1]);
        let (table, rows) = (pending.table.as_str(), pending.rows);
        if found.total() == 0 {
            tracing::debug!(table, rows, "the table is what Auth0 has");
        } else if pending.gap {
            let found = found.total();
            tracing::info!(table, rows, found, "the table has been brought up to date by comparing it");
        } else {
            drift::note(self.context, resource, found).await?;
        }
        self.end(table, Some(rows), pending.short).await
    }

    async fn apply(&self, counting: &Context, table: &str, held: Held) -> Result<()> {
        let resource = self.context.catalog.resource(table)?;
        let mut tries = 0;
        loop {
            match apply(counting, resource, &held.key, held.row.clone(), held.began).await {
                Ok(Applied::Done(following)) => {
                    return kept::ask(self.context, self.queue, following).await;
                }
                Ok(Applied::Stale) => return Ok(()),
                Ok(Applied::ReadAgain) => break,
                Err(error) if error.kind() == Kind::DatabaseBusy && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(BUSY).await;
                }
                Err(error) if error.kind() == Kind::DatabaseBusy => break,
                Err(error) => return Err(error),
            }
        }
        // Something else is at work on the row: it is read once more, and that is no drift.
        kept::ask(self.context, self.queue, Target::row(&self.context.catalog, table, held.key)).await
    }
}

/// Reads what has to be read by itself; what cannot be read now is left to the queue.
async fn read_now(counting: &Context, queue: &Queue, target: &Target) -> Result<()> {
    match Box::pin(read(counting, queue, target, Lane::Sweep)).await {
        Ok(true) => Ok(()),
        Ok(false) => kept::ask(counting, queue, [target.clone()]).await,
        Err(error) if error.kind() == Kind::DatabaseBusy || error.kind().policy().retry == Retry::Never => {
            kept::ask(counting, queue, [target.clone()]).await
        }
        Err(error) => Err(error),
    }
}
