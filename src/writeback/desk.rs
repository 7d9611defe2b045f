//! What the dispatcher holds and decides, pure: which mutations to load, which work may leave, what
//! follows from its end. It owns the lanes; memory stays bounded because loading stops when they are full.

mod import;

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::atomic::{Fate, Groups};
use super::backlog::{Backlog, Limits, Segment, Sight};
use super::blocked::Blocks;
use super::bulk;
use super::call::{Holds, delay};
use super::dispatch::{Arrival, Report};
use super::held::Held;
use super::lanes::{Lanes, Next, Node, Queued, Work};
use super::settlement::Settled;
use super::store::Which;
use super::unseen::Rows;
use super::worker::Ended;
use crate::error::{Kind, Result};
use crate::ledger::{Ledger, Token};
use crate::pg::to_read::ToRead;

/// The state of one tenant's dispatcher.
#[derive(Debug, Default)]
pub(super) struct Desk {
    limits: Limits,
    lanes: Lanes,
    ledger: Ledger<u64>,
    backlog: Backlog,
    held: Held,
    /// Something that stayed in the table may be loaded.
    look: bool,
    atomic: Groups,
    /// New rows that may go together.
    gather: bulk::Gather,
    /// Calls that brought no decision, by the first mutation of their work.
    tries: HashMap<i64, u32>,
    /// Works whose outcome is known and that are not settled yet, by their first mutations.
    answered: HashSet<i64>,
    /// The way to Auth0 is closed: nothing leaves before this time.
    hold: Option<(Instant, Kind)>,
    /// What Auth0 does not allow.
    blocks: Blocks,
    /// An operator wants nothing to leave.
    paused: bool,
    settled: u64,
}

/// What else is known of a page.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Mutations beyond it that are queued with it.
    pub(super) rest: Vec<Queued>,
    /// Mutations whose rows a client holds: they are loaded again.
    pub(super) busy: HashSet<i64>,
    /// Where something is held: held mutations of the page's rows, and of those that they reference.
    pub(super) held: Option<Vec<(Node, i64)>>,
    /// Transactions of the page that are all or nothing and have failed.
    pub(super) failed: Vec<u64>,
}

/// What follows from the end of work.
#[derive(Debug, Default)]
pub(super) struct Follows {
    /// To be reverted without a call, with the refused mutation that they depend on.
    pub(super) cancel: Vec<(Work, i64)>,
    /// What ingest should read.
    pub(super) to_read: Vec<ToRead>,
}

impl Desk {
    #[cfg(test)]
    pub(super) fn limited(limits: Limits) -> Self {
        Desk { limits, backlog: Backlog::limited(limits), ..Desk::default() }
    }

    /// What `snapshot` (as text) sees unsettled is to be loaded before anything else.
    pub(super) fn rescan(&mut self, snapshot: String, now: Instant) {
        // What waited for something held is read again with the rest.
        self.held.forget();
        // Position 0 moves nothing, and holds back later commits until the scan has settled.
        let commit = self.ledger.received(0);
        self.backlog.scan_first(Which::Snapshot { snapshot, after: 0 }, commit, now);
    }

    /// Takes what the stream tells; true where the table is to be scanned.
    pub(super) fn arrived(&mut self, arrival: Arrival, now: Instant) -> bool {
        match arrival {
            Arrival::Commit { lsn, ids, rows } => {
                let commit = self.ledger.received(lsn);
                self.backlog.told(Which::Ids(ids), commit, rows, now);
            }
            Arrival::Large { lsn, xid, first, last } => {
                let commit = self.ledger.received(lsn);
                self.backlog.told(Which::Transaction { xid, after: first - 1, last }, commit, None, now);
            }
            Arrival::Quiet { lsn } => {
                let nothing = self.ledger.received(lsn);
                self.ledger.loaded(nothing);
            }
            Arrival::Rescan => return true,
        }
        false
    }

    /// Whether so much has been told and not loaded that one scan is cheaper.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog.is_full()
    }

    /// The first mutation of each commit that has been told and is not loaded.
    pub(super) fn told(&self) -> Vec<i64> {
        self.backlog.firsts()
    }

    /// Puts one scan by `snapshot` in place of what has been told; `unseen` are those of [`Desk::told`]
    /// that could not be seen before it was taken.
    pub(super) fn fold(&mut self, snapshot: String, unseen: &HashSet<i64>, now: Instant) {
        self.backlog.fold(snapshot, unseen, &mut self.ledger, now);
    }

    /// What could not be queued comes first, where it is time; say it before a load begins.
    pub(super) fn due(&mut self, now: Instant) {
        self.backlog.due(now);
    }

    /// What to load next, unless the lanes are full or it cannot be seen yet.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<&Segment> {
        if self.lanes.len() >= self.limits.held {
            return None;
        }
        self.backlog.first(now).map(|segment| &*segment)
    }

    /// The mutation to load next, with its commit, where nothing else is about and it could leave at once.
    pub(super) fn alone(&self, now: Instant) -> Option<(i64, Token)> {
        let open = !self.paused && self.hold.is_none() && self.blocks.is_empty();
        let free = open && self.lanes.is_empty() && self.held.is_empty();
        self.backlog.alone(now).filter(|_| free)
    }

    /// What is in the lanes.
    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// A page of at most `limit` mutations of what was wanted; some of them stay in the table.
    pub(super) fn loaded(&mut self, page: Vec<Queued>, limit: i64, beside: Beside, now: Instant) {
        let Some(segment) = self.backlog.head() else { return };
        let (commit, again, whole) = (segment.commit, segment.again, (page.len() as i64) < limit);
        if let Some(last) = page.last() {
            segment.seen = true;
            segment.which.advance(last.id);
        }
        let holds = beside.held.is_some();
        let here: HashSet<_> = page.iter().chain(&beside.rest).map(|queued| queued.id).collect();
        for (node, id) in beside.held.into_iter().flatten() {
            // What has been released stands in its lane, comes before the others in this page, or with it.
            if !self.lanes.has(id) && !here.contains(&id) {
                self.held.note(node, id);
            }
        }
        beside.failed.iter().for_each(|txid| self.atomic.failed(*txid));
        let mut busy = Vec::new();
        for queued in page {
            if beside.busy.contains(&queued.id) {
                busy.push(queued.id);
                continue;
            }
            if holds && self.held.stops(&queued) {
                continue;
            }
            self.held.left(&queued);
            self.atomic.queued(&queued);
            let new = queued.terms.together.is_some() && !self.lanes.has(queued.id);
            let gathers = new.then(|| queued.clone());
            if self.lanes.push(queued) {
                self.ledger.queued(commit);
            }
            if let Some(queued) = gathers {
                self.gather.keep(&queued, &mut self.lanes);
            }
        }
        for queued in beside.rest {
            if self.lanes.push(queued) {
                self.ledger.queued(commit);
            }
        }
        if !busy.is_empty() {
            // The position waits for them, whoever loads them.
            self.ledger.queued(commit);
        }
        if whole {
            self.backlog.loaded();
            if again {
                self.ledger.ended(commit);
            } else {
                self.ledger.loaded(commit);
            }
        }
        if !busy.is_empty() {
            self.backlog.again(busy, commit, now);
        }
    }

    /// What was wanted shows nothing unsettled; the table `sees` its commit or does not yet.
    pub(super) fn found_nothing(&mut self, sees: bool, now: Instant) {
        if sees {
            // It may have come into sight between the two looks.
            if let Some(segment) = self.backlog.head() {
                segment.seen = true;
            }
        } else if self.backlog.unseen(now) {
            tracing::warn!("a commit that the stream told cannot be seen in the table");
            self.loaded(Vec::new(), 1, Beside::default(), now);
        }
    }

    /// Whether what was wanted takes so long to become visible that its commit may wait for us.
    pub(super) fn may_wait(&self, now: Instant) -> bool {
        self.backlog.may_wait(now)
    }

    /// What was wanted cannot be seen, and its commit may wait for us: these of its mutations go into the lanes
    /// all the same; where none are given, nobody waits for it any more.
    pub(super) fn loaded_unseen(&mut self, page: Option<Vec<Queued>>, now: Instant) {
        match page {
            Some(page) => {
                let limit = page.len() as i64 + 1;
                self.loaded(page, limit, Beside::default(), now);
            }
            None => {
                if let Some(commit) = self.backlog.put_aside(now) {
                    self.ledger.loaded(commit);
                }
            }
        }
    }

    /// An earlier process has claimed these mutations, and they cannot be seen yet.
    pub(super) fn claimed(&mut self, left: Vec<(u32, i64)>, now: Instant) {
        for (xid, id) in left {
            let commit = self.ledger.received(0);
            self.backlog.told(Which::Ids(vec![id]), commit, Some(Rows::claimed(xid)), now);
        }
    }

    /// Commits that cannot be seen and hold up nobody; nothing where it is not time to look for them.
    pub(super) fn aside(&self, now: Option<Instant>) -> Vec<(i64, Option<u32>)> {
        if now.is_none_or(|now| self.backlog.is_look_due(now)) { self.backlog.aside() } else { Vec::new() }
    }

    /// Takes what a look at them has shown; true where some are to be loaded first.
    pub(super) fn looked(&mut self, sights: &[Sight], now: Instant) -> bool {
        self.backlog.looked(sights, now)
    }

    /// The outcome of a work is known: no commit waits for it any more.
    pub(super) fn answered(&mut self, work: &Work) {
        for commit in self.lanes.answered(work) {
            self.ledger.ended(commit);
        }
        self.answered.extend(work.ids.first().filter(|id| self.lanes.is_answered(**id)));
    }

    /// Works that make no call any more, though they have not ended.
    pub(super) fn past_calls(&self) -> usize {
        self.answered.len()
    }

    /// Whether all that has been told is in the lanes.
    pub(super) fn has_loaded(&self) -> bool {
        self.backlog.is_empty()
    }

    /// When what was told may be seen, and rows that wait to go together may go.
    pub(super) fn not_before(&self) -> Option<Instant> {
        let together = self.gather.not_before().filter(|_| !self.paused);
        let together = together.map(|at| self.hold.map_or(at, |(until, _)| until.max(at)));
        self.backlog.not_before().into_iter().chain(together).min()
    }

    /// Whether nothing is to be taken up.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// The next work to take up beside those `under_way`, at most `most` in all.
    pub(super) fn next(&mut self, under_way: usize, most: usize, now: Instant) -> Next {
        if self.paused {
            return Next::Idle;
        }
        // While the way to Auth0 is closed, one call at a time finds out whether it has opened.
        let most = match self.hold {
            Some((until, _)) if until > now => return Next::WaitUntil(until),
            Some(_) => 1,
            None => most,
        };
        if under_way >= most {
            return Next::Idle;
        }
        loop {
            let next = self.lanes.next(now);
            let Next::Work(mut work) = next else { return next };
            let leaves = !work.uncertain && work.terms.discarded.is_none();
            if let Some(until) = leaves.then(|| self.blocks.wait(&work, now)).flatten() {
                self.lanes.put_back(&work, until, false);
                continue;
            }
            if self.atomic.leaves(&mut work) {
                return Next::Work(work);
            }
            // It comes back with the rest of its transaction.
            self.lanes.rest(&work);
        }
    }

    /// A transaction that is to be taken back, unless the way to Auth0 is closed.
    pub(super) fn next_withdrawal(&mut self, now: Instant) -> Option<u64> {
        let closed = self.paused || self.hold.is_some_and(|(until, _)| until > now);
        let due = if closed { None } else { self.atomic.due() };
        // No commit waits for what comes back: its client may hold a row that is needed for that.
        for commit in due.map(|txid| self.lanes.let_go(&self.atomic.of(txid))).unwrap_or_default() {
            self.ledger.ended(commit);
        }
        due
    }

    /// A transaction has come back: these are all of its mutations.
    pub(super) fn came_back(&mut self, txid: u64, ids: &[i64]) {
        self.atomic.came_back(txid, ids);
        self.gone(ids);
    }

    /// These have settled, none of them by work of their own.
    fn gone(&mut self, ids: &[i64]) {
        self.settled += ids.iter().filter(|id| self.lanes.has(**id)).count() as u64;
        for commit in self.lanes.gone(ids) {
            self.ledger.ended(commit);
        }
    }

    /// How many calls of this work have brought no decision.
    pub(super) fn tries(&self, work: &Work) -> u32 {
        work.ids.first().and_then(|id| self.tries.get(id)).copied().unwrap_or(0)
    }

    /// Takes the end of work; an error leaves open how far it got.
    pub(super) fn took(&mut self, mut work: Work, ended: Result<Ended>, now: Instant) -> Follows {
        self.lanes.follow(&mut work);
        let first = work.ids.first().copied().unwrap_or_default();
        let mut follows = Follows::default();
        self.answered.remove(&first);
        match ended {
            Ok(Ended::Settled(settled)) => {
                self.hold = None;
                self.tries.remove(&first);
                if settled.answered && self.blocks.lift(&work) {
                    tracing::info!(table = %work.node.0, operation = work.operation.as_str(), "Auth0 allows these writes again");
                }
                self.settled(&mut work, first, settled, &mut follows);
            }
            Ok(Ended::Back { at, alone, holds }) => {
                *self.tries.entry(first).or_default() += 1;
                match holds {
                    Holds::Everything(kind) => {
                        if self.hold.as_ref().is_none_or(|(_, held)| *held != kind) {
                            tracing::warn!(kind = kind.as_str(), "writes wait: {}", kind.policy().hint);
                        }
                        self.hold = Some((at, kind));
                    }
                    Holds::Alike(kind) => {
                        self.hold = None;
                        if self.blocks.add(&work, at, kind) {
                            let hint = kind.policy().hint;
                            tracing::warn!(table = %work.node.0, operation = work.operation.as_str(), "Auth0 does not allow these writes, they wait: {hint}");
                        }
                    }
                    Holds::Itself => self.hold = None,
                }
                self.atomic.back(&work, false);
                self.lanes.put_back(&work, at, alone);
            }
            Ok(Ended::Renamed { key, uncertain }) => {
                self.atomic.back(&work, uncertain);
                self.lanes.rekey(&work.node.0, &work.node.1, &key);
                work.node.1 = key;
                match uncertain {
                    true => self.lanes.put_back_in_doubt(&work, now),
                    false => self.lanes.put_back(&work, now, false),
                }
            }
            Err(error) => {
                // The row in the table says how far it got: look again before anything is sent.
                tracing::error!(%error, table = %work.node.0, "a mutation could not be brought to its end, it is taken up again");
                let tries = self.tries.entry(first).or_default();
                *tries += 1;
                let at = now + delay(*tries);
                self.atomic.back(&work, true);
                self.lanes.put_back_in_doubt(&work, at);
            }
        }
        follows
    }

    /// Whether something that stayed in the table may be loaded now; it is asked once.
    pub(super) fn is_to_look(&mut self) -> bool {
        std::mem::take(&mut self.look)
    }

    fn settled(&mut self, work: &mut Work, first: i64, settled: Settled, follows: &mut Follows) {
        self.look |= self.held.settled(&work.node, &settled.ids);
        if let Some(new) = &settled.rekeyed {
            self.lanes.rekey(&work.node.0, &work.node.1, new);
            work.node.1 = new.clone();
        }
        if settled.orphans {
            // What hangs on a refused insert is reverted without a call.
            for id in self.lanes.dependents(&work.node, first) {
                let Some(mut taken) = self.lanes.take(id) else { continue };
                if self.atomic.leaves(&mut taken) {
                    follows.cancel.push((taken, first));
                } else {
                    self.lanes.rest(&taken);
                }
            }
        }
        follows.to_read.extend(settled.to_read);
        self.gather.forget(&work.node.0, &settled.ids);
        if settled.applied {
            self.atomic.applied(work);
            for commit in self.lanes.applied(work) {
                self.ledger.ended(commit);
            }
            self.gone(&settled.ids);
        } else {
            self.settled += settled.ids.len() as u64;
            for commit in self.lanes.settled(work, &settled.ids) {
                self.ledger.ended(commit);
            }
        }
        for (txid, fate) in settled.fates {
            match fate {
                Fate::Open => {}
                Fate::Failed => self.atomic.failed(txid),
                Fate::Confirmed(ids) => {
                    self.atomic.confirmed(txid);
                    self.gone(&ids);
                }
            }
        }
        self.atomic.settled(work, &settled.ids);
    }

    /// The position up to which every mutation has settled.
    pub(super) fn applied(&mut self) -> u64 {
        self.ledger.done().copied().unwrap_or(0)
    }

    /// What the status page shows.
    pub(super) fn report(&self, in_flight: usize) -> Report {
        Report {
            held: self.lanes.len(),
            in_flight,
            settled: self.settled,
            waiting_for: self.hold.map(|(_, kind)| kind),
            blocked: self.blocks.all(),
            paused: self.paused,
        }
    }
}
