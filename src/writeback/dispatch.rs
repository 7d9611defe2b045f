//! The dispatcher of one tenant: loads unsettled mutations, hands work to workers, takes their
//! ends. What it decides stands in [`super::desk`]; here are its channels, its tasks and its SQL.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::atomic::withdraw;
use super::blocked::Blocked;
use super::desk::{Desk, Stays};
use super::lanes::{Next, Work};
use super::late;
use super::settle::cancel;
use super::store::Page;
use super::worker::{Context, Ended, work};
use crate::catalog::RowKey;
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::Row;

/// How often the table is looked at for mutations that the stream did not tell: on Postgres 18 a
/// publication that is dropped while the stream runs goes unheard.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);
/// Works taken up and not ended at most; most of them wait for rows that clients hold.
const TASKS: usize = 256;

/// Transactions that are taken back, each with its mutations that have settled.
type Withdrawals = JoinSet<(u64, Vec<i64>)>;
/// Work under way.
type Tasks = JoinSet<(Work, Result<Ended>)>;

/// What the stream tells.
#[derive(Debug)]
pub enum Arrival {
    /// A commit with these mutations.
    Commit {
        /// Its end.
        lsn: u64,
        /// `_sync_cdc` ids.
        ids: Vec<i64>,
    },
    /// A commit with too many mutations to hold.
    Large {
        /// Its end.
        lsn: u64,
        /// Low half of its txid.
        xid: u32,
        /// Smallest id.
        first: i64,
        /// Largest id.
        last: i64,
    },
    /// Nothing for this tenant up to here.
    Quiet {
        /// The position.
        lsn: u64,
    },
    /// The slot is new: read what is unsettled from the table.
    Rescan,
}

/// What writeback learns that ingest should look after.
#[derive(Clone, Debug)]
pub enum Suspicion {
    /// Auth0 may have something else in this row than the table shows; of a watch or a command, what
    /// is listed below it.
    Row(String, RowKey),
    /// A row of this table was deleted at Auth0.
    Gone(String),
    /// Rows of this table may have changed.
    Table(String),
    /// A command may have changed rows of a table.
    Changed {
        /// The command's table.
        by: String,
        /// The command's row.
        row: Row,
        /// The table.
        table: String,
    },
}

/// What the status page shows of writeback.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Mutations held in lanes.
    pub held: usize,
    /// Calls under way.
    pub in_flight: usize,
    /// Mutations settled since the start.
    pub settled: u64,
    /// Why nothing leaves at the moment.
    pub waiting_for: Option<Kind>,
    /// What Auth0 does not allow at the moment; it waits.
    pub blocked: Vec<Blocked>,
    /// An operator wants nothing to leave, and nothing is about to.
    pub paused: bool,
}

/// The dispatcher's channels and settings.
pub struct Dispatch {
    /// What workers share.
    pub context: Context,
    /// From the stream.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// The apply position, to the stream.
    pub applied: watch::Sender<u64>,
    /// To the status page.
    pub report: watch::Sender<Report>,
    /// Rows that should be read from Auth0, to ingest.
    pub suspicions: mpsc::UnboundedSender<Suspicion>,
    /// Whether an operator wants nothing to leave.
    pub paused: watch::Receiver<bool>,
}

impl Dispatch {
    /// Runs until `shutdown`; then lets the calls under way end.
    ///
    /// # Errors
    /// Database errors that outlast repeated tries.
    pub async fn run(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let (mut desk, mut tasks, mut withdrawals) = (Desk::default(), Tasks::new(), Withdrawals::new());
        self.rescan(&mut desk).await?;
        let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        loop {
            self.fill(&mut desk).await?;
            desk.pause(*self.paused.borrow_and_update());
            self.withdraw(&mut desk, &mut withdrawals);
            let wake = self.start(&mut desk, &mut tasks).into_iter().chain(desk.not_before()).min();
            self.tell(&mut desk);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    let (work, ended) = ended
                        .map_err(|error| Error::with(Kind::Internal, "a worker of writeback broke", error))?;
                    self.took(&mut desk, &mut tasks, work, ended);
                }
                Some(ended) = withdrawals.join_next() => {
                    let (txid, ids) = ended
                        .map_err(|error| Error::with(Kind::Internal, "a withdrawal broke", error))?;
                    desk.came_back(txid, &ids);
                }
                arrival = self.arrivals.recv() => match arrival {
                    Some(arrival) => self.arrived(&mut desk, arrival).await?,
                    None => break,
                },
                () = self.context.room.moved() => {}
                Ok(()) = self.paused.changed() => {}
                _ = look.tick(), if desk.has_loaded() => self.rescan(&mut desk).await?,
                () = tokio::time::sleep_until(wake.unwrap_or_else(far)), if wake.is_some() => {}
            }
        }
        self.context.room.close();
        // Calls that have left are brought to their end; whatever is cut off is read back at the next start.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while tasks.join_next().await.is_some() {}
        })
        .await;
        Ok(())
    }

    async fn rescan(&self, desk: &mut Desk) -> Result<()> {
        let snapshot = self.context.store.snapshot().await?;
        desk.rescan(snapshot, Instant::now());
        Ok(())
    }

    async fn arrived(&self, desk: &mut Desk, arrival: Arrival) -> Result<()> {
        if desk.arrived(arrival, Instant::now()) {
            self.rescan(desk).await?;
        }
        if desk.is_behind() {
            let snapshot = self.context.store.snapshot().await?;
            desk.fold(snapshot, Instant::now());
        }
        Ok(())
    }

    /// Loads from the backlog, in the order of commits, until the lanes are full.
    async fn fill(&self, desk: &mut Desk) -> Result<()> {
        let store = &self.context.store;
        while let Some(segment) = desk.wanted(Instant::now()) {
            let (limit, commit) = (segment.limit(), Some(segment.commit));
            let loaded = store.load(&self.context.catalog, &segment.which, limit, commit).await?;
            let Page { queued: page, holds, failed } = loaded;
            if page.is_empty() && !segment.seen {
                let sees = store.sees(&segment.which).await?;
                desk.found_nothing(sees, Instant::now());
                continue;
            }
            let renamed = late::rename(store, &self.context.catalog, desk.lanes(), &page).await?;
            if !renamed.any {
                let held = match holds {
                    true => Some(store.held_before(&self.context.catalog, &page).await?),
                    false => None,
                };
                desk.loaded(page, limit, Stays { busy: renamed.busy, held, failed });
            }
        }
        Ok(())
    }

    /// Starts as much work as may leave; returns when to look again.
    fn start(&self, desk: &mut Desk, tasks: &mut Tasks) -> Option<Instant> {
        while self.context.room.has_place() {
            match desk.next(tasks.len(), TASKS, Instant::now()) {
                Next::Work(todo) => {
                    let (context, tries) = (self.context.clone(), desk.tries(&todo));
                    let ahead = context.room.enter();
                    tasks.spawn(async move {
                        let ended = work(&context, &todo, ahead, tries).await;
                        (todo, ended)
                    });
                }
                Next::WaitUntil(until) => return Some(until),
                Next::Idle => return None,
            }
        }
        None
    }

    /// Takes back the transactions that have failed.
    fn withdraw(&self, desk: &mut Desk, withdrawals: &mut Withdrawals) {
        while let Some(txid) = desk.to_take_back(Instant::now()) {
            let (context, suspicions) = (self.context.clone(), self.suspicions.clone());
            withdrawals.spawn(async move { (txid, withdraw(&context, txid, &suspicions).await) });
        }
    }

    fn took(&self, desk: &mut Desk, tasks: &mut Tasks, work: Work, ended: Result<Ended>) {
        let follows = desk.took(work, ended, Instant::now());
        for (todo, cause) in follows.cancel {
            let context = self.context.clone();
            tasks.spawn(async move {
                let ended = cancel(&context.store, &context.catalog, &todo, cause).await;
                (todo, ended.map(Ended::Settled))
            });
        }
        for suspicion in follows.suspicions {
            // The receiver is gone only at shutdown.
            let _ = self.suspicions.send(suspicion);
        }
    }

    fn tell(&self, desk: &mut Desk) {
        let applied = desk.applied();
        self.applied.send_if_modified(|there| {
            let newer = applied > *there;
            *there = applied.max(*there);
            newer
        });
        let mut report = desk.report(self.context.room.under_way());
        report.paused &= self.context.room.is_clear();
        self.report.send_replace(report);
    }
}

fn far() -> Instant {
    Instant::now() + std::time::Duration::from_secs(3600)
}
