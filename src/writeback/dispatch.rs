//! The dispatcher of one tenant: loads unsettled mutations, hands work to workers, takes their
//! ends. It owns the lanes; memory stays bounded because loading stops when they are full.

use std::collections::{HashMap, HashSet};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::blocked::{Blocked, Blocks};
use super::call::delay;
use super::held::Held;
use super::lanes::{Lanes, Next, Work};
use super::late;
use super::settle::cancel;
use super::store::{Page, Which};
use super::worker::{Context, Ended, Holds, work};
use crate::catalog::RowKey;
use crate::error::{Error, Kind, Result};
use crate::ledger::Ledger;
use crate::pg::mirror::Row;

/// How often the table is looked at for mutations that the stream did not tell: on Postgres 18 a
/// publication that is dropped while the stream runs goes unheard.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);
/// Mutations held in memory at most; the rest waits in the table.
const HELD: usize = 10_000;
const PAGE: i64 = 1_000;
/// Works taken up and not ended at most; most of them wait for rows that clients hold.
const TASKS: usize = 256;

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

struct State {
    lanes: Lanes,
    ledger: Ledger<u64>,
    backlog: Backlog,
    held: Held,
    tasks: JoinSet<(Work, Result<Ended>)>,
    tries: HashMap<i64, u32>,
    hold: Option<(Instant, Kind)>,
    blocks: Blocks,
    settled: u64,
}

impl Dispatch {
    /// Runs until `shutdown`; then lets the calls under way end.
    ///
    /// # Errors
    /// Database errors that outlast repeated tries.
    pub async fn run(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let mut state = State {
            lanes: Lanes::default(),
            ledger: Ledger::default(),
            backlog: Backlog::default(),
            held: Held::default(),
            tasks: JoinSet::new(),
            tries: HashMap::new(),
            hold: None,
            blocks: Blocks::default(),
            settled: 0,
        };
        self.rescan(&mut state).await?;
        let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        loop {
            self.fill(&mut state).await?;
            let wake = self.start(&mut state).into_iter().chain(state.backlog.not_before).min();
            self.tell(&mut state);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = state.tasks.join_next() => self.took(&mut state, ended)?,
                arrival = self.arrivals.recv() => match arrival {
                    Some(arrival) => self.arrived(&mut state, arrival).await?,
                    None => break,
                },
                () = self.context.room.moved() => {}
                Ok(()) = self.paused.changed() => {}
                _ = look.tick(), if state.backlog.is_empty() => self.rescan(&mut state).await?,
                () = tokio::time::sleep_until(wake.unwrap_or_else(far)), if wake.is_some() => {}
            }
        }
        self.context.room.close();
        // Calls that have left are brought to their end; whatever is cut off is read back at the next start.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while state.tasks.join_next().await.is_some() {}
        })
        .await;
        Ok(())
    }

    async fn rescan(&self, state: &mut State) -> Result<()> {
        let snapshot = self.context.store.snapshot().await?;
        // What waited for something held is read again with the rest.
        state.held.forget();
        // Position 0 moves nothing, and holds back later commits until the scan has settled.
        let commit = state.ledger.received(0);
        state.backlog.scan_first(Which::Snapshot { snapshot, after: 0 }, commit);
        Ok(())
    }

    async fn arrived(&self, state: &mut State, arrival: Arrival) -> Result<()> {
        match arrival {
            Arrival::Commit { lsn, ids } => {
                let commit = state.ledger.received(lsn);
                state.backlog.told(Which::Ids(ids), commit);
            }
            Arrival::Large { lsn, xid, first, last } => {
                let commit = state.ledger.received(lsn);
                state.backlog.told(Which::Transaction { xid, after: first - 1, last }, commit);
            }
            Arrival::Quiet { lsn } => {
                let nothing = state.ledger.received(lsn);
                state.ledger.loaded(nothing);
            }
            Arrival::Rescan => self.rescan(state).await?,
        }
        if state.backlog.is_full() {
            let snapshot = self.context.store.snapshot().await?;
            state.backlog.fold(snapshot, &mut state.ledger);
        }
        Ok(())
    }

    /// Loads from the backlog, in the order of commits, until the lanes are full.
    async fn fill(&self, state: &mut State) -> Result<()> {
        let store = &self.context.store;
        while state.lanes.len() < HELD {
            let Some(segment) = state.backlog.first(Instant::now()) else { return Ok(()) };
            let commit = segment.commit;
            let limit = if matches!(segment.which, Which::Ids(_)) { i64::MAX } else { PAGE };
            let Page { queued: page, holds } =
                store.load(&self.context.catalog, &segment.which, limit, Some(commit)).await?;
            if page.is_empty() && !segment.seen {
                if store.sees(&segment.which).await? {
                    // It may have come into sight between the two looks.
                    segment.seen = true;
                    continue;
                }
                if !state.backlog.unseen(Instant::now()) {
                    return Ok(());
                }
                tracing::warn!("a commit that the stream told cannot be seen in the table");
            }
            let renamed = late::rename(store, &self.context.catalog, &state.lanes, &page).await?;
            if renamed.any {
                continue;
            }
            let whole = (page.len() as i64) < limit;
            if let (Some(last), Some(segment)) = (page.last(), state.backlog.first(Instant::now())) {
                segment.seen = true;
                segment.which.advance(last.id);
            }
            if holds {
                let here: HashSet<i64> = page.iter().map(|queued| queued.id).collect();
                for (node, id) in store.held_before(&self.context.catalog, &page).await? {
                    // What has been released stands in its lane, or comes before the others in this page.
                    if !state.lanes.has(id) && !here.contains(&id) {
                        state.held.note(node, id);
                    }
                }
            }
            for queued in page {
                if renamed.busy.contains(&queued.id) || (holds && state.held.stops(&queued)) {
                    continue;
                }
                if state.lanes.push(queued) {
                    state.ledger.queued(commit);
                }
            }
            if whole {
                state.backlog.loaded();
                state.ledger.loaded(commit);
            }
        }
        Ok(())
    }

    /// Starts as much work as may leave; returns when to look again.
    fn start(&self, state: &mut State) -> Option<Instant> {
        loop {
            if *self.paused.borrow() {
                return None;
            }
            let now = Instant::now();
            // While the way to Auth0 is closed, one call at a time finds out whether it has opened.
            let most = match state.hold {
                Some((until, _)) if until > now => return Some(until),
                Some(_) => 1,
                None => TASKS,
            };
            if state.tasks.len() >= most || !self.context.room.has_place() {
                return None;
            }
            match state.lanes.next(now) {
                Next::Work(todo) => {
                    let leaves = !todo.uncertain && todo.terms.discarded.is_none();
                    if leaves && let Some(until) = state.blocks.wait(&todo, now) {
                        state.lanes.put_back(&todo, until, false);
                        continue;
                    }
                    let (context, ahead) = (self.context.clone(), self.context.room.enter());
                    let tries = todo.ids.first().and_then(|id| state.tries.get(id)).copied().unwrap_or(0);
                    state.tasks.spawn(async move {
                        let ended = work(&context, &todo, ahead, tries).await;
                        (todo, ended)
                    });
                }
                Next::WaitUntil(until) => return Some(until),
                Next::Idle => return None,
            }
        }
    }

    fn took(
        &self,
        state: &mut State,
        ended: std::result::Result<(Work, Result<Ended>), tokio::task::JoinError>,
    ) -> Result<()> {
        let (mut work, ended) =
            ended.map_err(|error| Error::with(Kind::Internal, "a worker of writeback broke", error))?;
        let first = work.ids.first().copied().unwrap_or_default();
        match ended {
            Ok(Ended::Settled(settled)) => {
                state.hold = None;
                state.tries.remove(&first);
                if settled.answered && state.blocks.lift(&work) {
                    tracing::info!(table = %work.node.0, operation = work.operation.as_str(), "Auth0 allows these writes again");
                }
                if let Some(new) = &settled.rekeyed {
                    state.lanes.rekey(&work.node.0, &work.node.1, new);
                    work.node.1 = new.clone();
                }
                if settled.orphans {
                    self.cancel_dependents(state, &work, first);
                }
                if settled.read_again {
                    // The receiver is gone only at shutdown.
                    let _ = self.suspicions.send(Suspicion::Row(work.node.0.clone(), work.node.1.clone()));
                }
                if settled.gone {
                    let _ = self.suspicions.send(Suspicion::Gone(work.node.0.clone()));
                }
                for ask in settled.asks {
                    let _ = self.suspicions.send(ask);
                }
                state.settled += settled.ids.len() as u64;
                for commit in state.lanes.settled(&work, &settled.ids) {
                    state.ledger.ended(commit);
                }
            }
            Ok(Ended::Back { at, alone, holds }) => {
                *state.tries.entry(first).or_default() += 1;
                match holds {
                    Holds::Everything(kind) => {
                        if state.hold.as_ref().is_none_or(|(_, held)| *held != kind) {
                            tracing::warn!(kind = kind.as_str(), "writes wait: {}", kind.policy().hint);
                        }
                        state.hold = Some((at, kind));
                    }
                    Holds::Alike(kind) => {
                        state.hold = None;
                        if state.blocks.add(&work, at, kind) {
                            let hint = kind.policy().hint;
                            tracing::warn!(table = %work.node.0, operation = work.operation.as_str(), "Auth0 does not allow these writes, they wait: {hint}");
                        }
                    }
                    Holds::Itself => state.hold = None,
                }
                state.lanes.put_back(&work, at, alone);
            }
            Err(error) => {
                // The row in the table says how far it got: look again before anything is sent.
                tracing::error!(%error, table = %work.node.0, "a mutation could not be brought to its end, it is taken up again");
                let tries = state.tries.entry(first).or_default();
                *tries += 1;
                let at = Instant::now() + delay(*tries);
                state.lanes.put_back_in_doubt(&work, at);
            }
        }
        Ok(())
    }

    /// What hangs on a refused insert is reverted without a call.
    fn cancel_dependents(&self, state: &mut State, work: &Work, cause: i64) {
        for id in state.lanes.dependents(&work.node, cause) {
            if let Some(todo) = state.lanes.take(id) {
                let context = self.context.clone();
                state.tasks.spawn(async move {
                    let ended = cancel(&context.store, &context.catalog, &todo, cause).await;
                    (todo, ended.map(Ended::Settled))
                });
            }
        }
    }

    fn tell(&self, state: &mut State) {
        let applied = state.ledger.done().copied().unwrap_or(0);
        self.applied.send_if_modified(|there| {
            let newer = applied > *there;
            *there = applied.max(*there);
            newer
        });
        self.report.send_replace(Report {
            held: state.lanes.len(),
            in_flight: self.context.room.under_way(),
            settled: state.settled,
            waiting_for: state.hold.map(|(_, kind)| kind),
            blocked: state.blocks.all(),
            paused: *self.paused.borrow() && self.context.room.is_clear(),
        });
    }
}

fn far() -> Instant {
    Instant::now() + std::time::Duration::from_secs(3600)
}
