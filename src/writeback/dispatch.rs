//! The dispatcher of one tenant: loads unsettled mutations, hands work to workers, takes their
//! ends. What it decides stands in [`super::desk`]; here are its channels, its tasks and its SQL.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::at_once::{self, AtOnce, Begin};
use super::atomic::withdraw;
use super::blocked::Blocked;
use super::bulk::{Done, Jobs};
use super::desk::{Beside, Desk, Follows};
use super::lanes::{Next, Queued, Work};
use super::late;
use super::settle::cancel;
use super::store::Page;
use super::unseen::{self, Rows};
use super::worker::{Context, Ended, work};
use crate::error::{Error, Kind, Result};
use crate::pg::to_read::ToRead;

/// How often the table is looked at for mutations that the stream did not tell: on Postgres 18 a
/// publication that is dropped while the stream runs goes unheard.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);
/// The first look comes sooner: what the stream had told an earlier process may have come into sight since.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(5);
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
        /// What the stream has of it besides, where it comes from there.
        rows: Option<Rows>,
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
    /// What should be read from Auth0, to ingest.
    pub to_read: mpsc::UnboundedSender<ToRead>,
    /// Whether an operator wants nothing to leave.
    pub paused: watch::Receiver<bool>,
}

impl Dispatch {
    /// Runs until `shutdown`; then lets the calls under way end.
    ///
    /// # Errors
    /// Database errors that outlast repeated tries.
    pub async fn run(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let (mut desk, mut tasks, mut jobs) = (Desk::default(), Tasks::new(), Jobs::default());
        let mut withdrawals = Withdrawals::new();
        self.rescan(&mut desk).await?;
        desk.claimed(unseen::left(&self.context.store).await?, Instant::now());
        let mut look = tokio::time::interval_at(Instant::now() + FIRST_LOOK, LOOK);
        loop {
            self.context.answered.take().iter().for_each(|work| desk.answered(work));
            desk.pause(*self.paused.borrow_and_update());
            let mut at_once = at_once::claim(&self.context, &mut desk, Instant::now()).await?;
            self.fill(&mut desk).await?;
            desk.pause(*self.paused.borrow_and_update());
            jobs.start(&self.context, &mut desk);
            self.withdraw(&mut desk, &mut withdrawals);
            let wake =
                self.start(&mut desk, &mut tasks, &mut at_once).into_iter().chain(desk.not_before()).min();
            if let Some(unused) = at_once {
                self.context.store.put_back(&[unused.id]).await?;
            }
            self.tell(&mut desk, jobs.len());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    let (work, ended) = ended
                        .map_err(|error| Error::with(Kind::Internal, "a worker of writeback broke", error))?;
                    let follows = desk.took(work, ended, Instant::now());
                    self.follow(follows, &mut tasks);
                    if desk.is_to_look() {
                        self.rescan(&mut desk).await?;
                    }
                }
                Some(done) = jobs.ended() => {
                    let done: Done = done
                        .map_err(|error| Error::with(Kind::Internal, "an import of writeback broke", error))?;
                    let follows = desk.import_ended(done, Instant::now());
                    self.follow(follows, &mut tasks);
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
                () = self.context.answered.noted() => {}
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
        // As it is, a claim that this snapshot sees would be sent again.
        unseen::take_up(&self.context.store).await?;
        desk.rescan(snapshot, Instant::now());
        Ok(())
    }

    async fn arrived(&self, desk: &mut Desk, arrival: Arrival) -> Result<()> {
        if desk.arrived(arrival, Instant::now()) {
            self.rescan(desk).await?;
        }
        if desk.is_behind() {
            let unseen = self.context.store.unseen(desk.told()).await?;
            let snapshot = self.context.store.snapshot().await?;
            desk.fold(snapshot, &unseen, Instant::now());
        }
        Ok(())
    }

    /// Loads from the backlog, in the order of commits, until the lanes are full.
    async fn fill(&self, desk: &mut Desk) -> Result<()> {
        let store = &self.context.store;
        self.look_aside(desk, Some(Instant::now())).await?;
        desk.due(Instant::now());
        while let Some(segment) = desk.wanted(Instant::now()) {
            let (limit, commit) = (segment.limit, Some(segment.commit));
            let loaded = store.load(&self.context.catalog, &segment.which, limit, commit).await?;
            let Page { queued: page, rest, holds, failed } = loaded;
            if page.is_empty() && !segment.seen {
                let sees = store.sees(&segment.which).await?;
                if !sees && segment.is_new(Instant::now()) {
                    continue;
                }
                if !sees && desk.may_wait(Instant::now()) && unseen::waits(store).await? {
                    self.fill_unseen(desk).await?;
                } else {
                    desk.found_nothing(sees, Instant::now());
                }
                continue;
            }
            let claimed = segment.rows.as_ref().is_some_and(Rows::is_claimed);
            if claimed && !unseen::take_up(store).await?.is_empty() {
                continue;
            }
            // What has come into sight since may be what this page depends on.
            if self.look_aside(desk, None).await? {
                continue;
            }
            if late::is_ahead(store, desk.lanes()).await? {
                // The lanes hear of it when its worker ends.
                return Ok(());
            }
            let renamed = late::rename(store, &self.context.catalog, desk.lanes(), &page).await?;
            if !renamed.any {
                let held = match holds {
                    true => Some(store.held_before(&self.context.catalog, &page).await?),
                    false => None,
                };
                desk.loaded(page, limit, Beside { rest, busy: renamed.busy, held, failed }, Instant::now());
            }
        }
        Ok(())
    }

    /// What is wanted cannot be seen, and its commit may wait for us: it is loaded from what the stream has told,
    /// or not waited for.
    async fn fill_unseen(&self, desk: &mut Desk) -> Result<()> {
        let (store, now) = (&self.context.store, Instant::now());
        let Some(segment) = desk.wanted(now) else { return Ok(()) };
        let (commit, rows) = (segment.commit, segment.rows.clone());
        let told = match (rows, segment.which.first()) {
            (Some(rows), Some(id)) if rows.is_claimed() => Some(unseen::told(store, &[id]).await?),
            // What stands behind something held is left to the table.
            (Some(rows), _) if !store.holds().await? => rows.told(),
            _ => None,
        };
        let told = match told {
            Some(mut told) => unseen::open(store, &mut told).await?.then_some(told),
            None => None,
        };
        // What stands behind an undecided transaction is not answered before that is decided, which may need a row
        // that this commit holds.
        let behind = |queued: &Queued| desk.lanes().has_atomic(&queued.node);
        let page = told.and_then(|told| unseen::queue(&self.context.catalog, told, commit));
        let page = page.filter(|page| !page.iter().any(behind));
        if let Some(page) = &page {
            unseen::keep(store, page).await?;
        }
        if page.is_none() {
            tracing::info!(
                "a COMMIT cannot wait for Auth0's answer, its changes are sent when they can be seen"
            );
        }
        desk.loaded_unseen(page, Instant::now());
        Ok(())
    }

    /// Looks for commits that have been put aside, where it is time; true where some are to be loaded first.
    async fn look_aside(&self, desk: &mut Desk, now: Option<Instant>) -> Result<bool> {
        let aside = desk.aside(now);
        if aside.is_empty() {
            return Ok(false);
        }
        let sights = unseen::look(&self.context.store, &aside).await?;
        Ok(desk.looked(&sights, Instant::now()))
    }

    /// Starts as much work as may leave, that which is claimed at once among it; returns when to look again.
    fn start(&self, desk: &mut Desk, tasks: &mut Tasks, at_once: &mut Option<AtOnce>) -> Option<Instant> {
        while self.context.room.has_place() {
            match desk.next(tasks.len().saturating_sub(desk.past_calls()), TASKS, Instant::now()) {
                Next::Work(todo) => {
                    let (context, tries) = (self.context.clone(), desk.tries(&todo));
                    let at_once = at_once.take_if(|at_once| at_once.is_of(&todo));
                    let begin = Begin { ahead: context.room.enter(), at_once };
                    tasks.spawn(async move {
                        let ended = work(&context, &todo, begin, tries).await;
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
        while let Some(txid) = desk.next_withdrawal(Instant::now()) {
            let (context, to_read) = (self.context.clone(), self.to_read.clone());
            withdrawals.spawn(async move { (txid, withdraw(&context, txid, &to_read).await) });
        }
    }

    fn follow(&self, follows: Follows, tasks: &mut Tasks) {
        for (todo, cause) in follows.cancel {
            let context = self.context.clone();
            tasks.spawn(async move {
                let settle = || cancel(&context.store, &context.catalog, &todo, cause);
                let ended = unseen::settled(&context, &todo, settle).await;
                (todo, ended.map(Ended::Settled))
            });
        }
        for to_read in follows.to_read {
            // The receiver is gone only at shutdown.
            let _ = self.to_read.send(to_read);
        }
    }

    fn tell(&self, desk: &mut Desk, jobs: usize) {
        let applied = desk.applied();
        self.applied.send_if_modified(|there| {
            let newer = applied > *there;
            *there = applied.max(*there);
            newer
        });
        let mut report = desk.report(self.context.room.under_way() + jobs);
        report.paused &= self.context.room.is_clear() && jobs == 0;
        self.report.send_replace(report);
    }
}

fn far() -> Instant {
    Instant::now() + std::time::Duration::from_secs(3600)
}
