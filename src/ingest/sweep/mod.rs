//! Compares whole tables with Auth0, on a schedule and when asked: what live sources have missed is
//! found here and nowhere else. Tables are read one after the other by the ways that fill them, in
//! the budget's lane for it. What differs is held back until the live sources have had their time;
//! what still differs then is drift. Progress stands in `_auth0_sync.sweep`: a comparison that is
//! cut short is made again, and those before it are not.

mod differences;
mod drift;
mod judge;
mod schedule;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use differences::Change;
pub use differences::Differences;

use super::sides::sides;
use super::{Context, Queue, backfill, kept};
use crate::auth0::Lane;
use crate::catalog::Resource;
use crate::error::{Result, Retry};
use crate::pg::fault;
use crate::retry::pause;
use judge::Pending;
use schedule::Due;

/// How often the service looks for tables that are due or asked for.
const LOOK: Duration = Duration::from_secs(1);
/// Differences that are held back for one table.
const HELD: usize = 1000;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why tables are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody wants to know.
    Asked,
    /// A live source has lost its place: what differs is no drift.
    Gap,
}

/// How tables are compared.
#[derive(Clone, Copy, Debug)]
pub struct Sweeps {
    /// From the end of a table's comparison to the start of its next; none only when asked.
    pub every: Option<Duration>,
    /// How long live sources may take to tell of a change.
    pub grace: Duration,
}

/// Asks for a comparison of these tables (none: of all); the service takes it up within a second.
///
/// # Errors
/// Database errors.
pub async fn ask(context: &Context, tables: Option<&[&str]>, why: Why) -> Result<()> {
    let read = context.catalog.iter().filter(|resource| is_compared(resource));
    let tables: Vec<String> = match tables {
        Some(tables) => tables.iter().map(|table| (*table).to_owned()).collect(),
        None => read.map(|resource| resource.table.clone()).collect(),
    };
    ask_for(&context.database.pool, &context.schema, &tables, why).await
}

/// The same by their names alone.
///
/// # Errors
/// Database errors.
pub async fn ask_for(pool: &sqlx::PgPool, schema: &str, tables: &[String], why: Why) -> Result<()> {
    sqlx::query(include_str!("../sql/ask_sweep.sql"))
        .bind(schema)
        .bind(tables)
        .bind(why == Why::Gap)
        .execute(pool)
        .await
        .map_err(fault("cannot ask for a comparison"))?;
    Ok(())
}

/// Whether a table is compared: Auth0 has its rows, and they do more than grow.
pub fn is_compared(resource: &Resource) -> bool {
    resource.is_read() && !backfill::is_endless(resource)
}

/// Compares tables for ever.
pub async fn sweep(context: &Context, queue: &Queue, settings: Sweeps) {
    let mut sweeper = Sweeper { context, queue, settings, pending: VecDeque::new(), resting: HashMap::new() };
    loop {
        let did = match sweeper.step().await {
            Ok(did) => did,
            Err(error) => {
                tracing::warn!(%error, "tables cannot be compared yet: {}", error.kind().policy().hint);
                false
            }
        };
        if !did {
            tokio::time::sleep(LOOK.min(settings.grace.max(Duration::from_millis(20)))).await;
        }
    }
}

struct Sweeper<'a> {
    context: &'a Context,
    queue: &'a Queue,
    settings: Sweeps,
    /// Compared, and what differs is not judged yet.
    pending: VecDeque<Pending<'a>>,
    /// Tables that could not be compared: how often, and until when they rest.
    resting: HashMap<String, (u32, Instant)>,
}

impl Sweeper<'_> {
    /// Compares one table that is due, judges one that was compared; false where there was nothing to do.
    async fn step(&mut self) -> Result<bool> {
        let judged = self.judge_ripe().await?;
        let Some(due) = self.next_due().await? else { return Ok(judged) };
        let table = due.table.clone();
        match Box::pin(self.compare(due)).await {
            Ok(()) => {
                self.resting.remove(&table);
            }
            Err(error) => {
                let resting = self.resting.entry(table.clone()).or_insert((0, Instant::now()));
                resting.0 += 1;
                resting.1 = Instant::now() + pause(resting.0, FIRST_PAUSE, LONGEST_PAUSE);
                tracing::warn!(table, %error, "the table cannot be compared: {}", error.kind().policy().hint);
                if error.kind().policy().retry == Retry::Never {
                    // The next time is the next on the schedule.
                    self.end(&table, None, Some(error.to_string())).await?;
                }
            }
        }
        Ok(true)
    }

    /// The next table to compare, parents first.
    async fn next_due(&mut self) -> Result<Option<Due>> {
        let known = schedule::read(self.context).await?;
        let now = Instant::now();
        self.resting.retain(|_, (_, until)| *until + LONGEST_PAUSE > now);
        let busy = |table: &str| {
            self.pending.iter().any(|pending| pending.table == table)
                || self.resting.get(table).is_some_and(|(_, until)| *until > now)
        };
        for resource in self.context.catalog.iter().filter(|resource| is_compared(resource)) {
            let Some(entry) = known.get(&resource.table).filter(|_| !busy(&resource.table)) else { continue };
            let asleep = self.context.activity.quiet() > entry.age();
            if !entry.may_be_due(self.settings.every) {
                continue;
            }
            let lists = match entry.lists {
                Some(lists) if !entry.asked => lists,
                _ => lists(self.context, resource).await?,
            };
            if entry.is_due(self.settings.every, lists, asleep) {
                return Ok(Some(Due { table: resource.table.clone(), gap: entry.gap, lists }));
            }
        }
        Ok(None)
    }

    async fn compare(&mut self, due: Due) -> Result<()> {
        let context = self.context;
        let resource = context.catalog.resource(&due.table)?;
        sqlx::query(include_str!("../sql/begin_sweep.sql"))
            .bind(&context.schema)
            .bind(&due.table)
            .bind(i64::try_from(due.lists).unwrap_or(i64::MAX))
            .execute(&context.database.pool)
            .await
            .map_err(fault("cannot note that a comparison begins"))?;
        // Kept until all is judged: so long are the marks of what is applied meanwhile.
        let reading = context.freshness.begin();
        let differences = Arc::new(Differences::new(if due.gap { 0 } else { HELD }));
        let comparing = Context { compare: Some(Arc::clone(&differences)), ..context.clone() };
        let filled = Box::pin(backfill::fill(&comparing, self.queue, resource, Lane::Sweep)).await?;
        kept::ask(&comparing, self.queue, filled.following).await?;
        let pending = Pending {
            table: due.table,
            gap: due.gap,
            rows: filled.rows,
            short: filled.short,
            again: filled.again,
            differences,
            read_at: Instant::now(),
            _reading: reading,
        };
        if pending.is_settled() {
            self.judge(pending).await?;
        } else {
            self.pending.push_back(pending);
        }
        Ok(())
    }

    /// Notes that a comparison is over.
    async fn end(&self, table: &str, rows: Option<usize>, error: Option<String>) -> Result<()> {
        sqlx::query(include_str!("../sql/end_sweep.sql"))
            .bind(&self.context.schema)
            .bind(table)
            .bind(rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)))
            .bind(error)
            .execute(&self.context.database.pool)
            .await
            .map_err(fault("cannot note that a comparison is over"))?;
        Ok(())
    }
}

/// How many lists a comparison of the table takes.
async fn lists(context: &Context, resource: &Resource) -> Result<usize> {
    let preferred = sides(context, resource).await?.into_iter().next();
    let calls = preferred.map_or(0, |side| side.calls);
    Ok(usize::try_from(calls).unwrap_or(usize::MAX))
}
