//! The queue of what to read again: duplicates folded, nothing forgotten until it has been read.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::catalog::Target;
use crate::ledger::{Ledger, Token};
use crate::pg::to_read::ToRead;
use crate::retry::pause;

/// A source whose positions are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The tenant log.
    Log,
    /// The stream of events.
    Events,
}

/// What waits until a target has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Batch {
    /// A batch of a source, with its position.
    Of(Source, Token),
    /// What keeps the target over a crash: a row of `_auth0_sync.to_read`.
    Kept(i64),
}

/// A queue of targets, shared by every source and the tasks that read.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// Raised whenever a batch of a source is done.
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Target>,
    delayed: BTreeSet<(Instant, u64)>,
    delayed_targets: HashMap<u64, Target>,
    next_delayed: u64,
    known: HashMap<Target, Known>,
    /// Positions of each source up to which everything has been read.
    ledgers: HashMap<Source, Ledger<String>>,
    /// Rows of `_auth0_sync.to_read` whose targets are not read.
    kept: HashSet<i64>,
    /// Those whose targets have been read.
    spent: Vec<i64>,
    done: u64,
    /// When whole tables may be read again: a big one must not be read without end.
    rests: HashMap<Target, Instant>,
}

/// A whole table, or a large part of one, rests for so many times as long as its reading took, at most [`LONGEST_REST`].
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
struct Known {
    reading: bool,
    began: Option<Instant>,
    /// Asked for again while it was being read: that reading may have been too early.
    again: bool,
    tries: u32,
    batches: HashSet<Batch>,
    /// Batches that asked while it was being read: only the next reading serves them.
    next_batches: HashSet<Batch>,
}

/// What the status page shows of the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueReport {
    /// Targets waiting or being read.
    pub open: usize,
    /// Targets read since the start.
    pub done: u64,
}

impl Queue {
    /// Asks for targets that another source tells again if they are forgotten.
    pub fn ask(&self, targets: impl IntoIterator<Item = Target>) {
        let mut state = self.state();
        for target in targets {
            state.add(target, []);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Asks for what stands in `_auth0_sync.to_read`; what has been asked for is not asked for again.
    pub fn ask_kept(&self, targets: impl IntoIterator<Item = ToRead>) {
        let mut state = self.state();
        for ToRead { id, target } in targets {
            if id.is_none_or(|id| !state.is_known(id)) {
                state.add(target, id.map(Batch::Kept));
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes the rows of `_auth0_sync.to_read` whose targets have been read; they are to be forgotten, or
    /// given back by [`Queue::not_forgotten`].
    pub fn spent(&self) -> Vec<i64> {
        std::mem::take(&mut self.state().spent)
    }

    /// These could not be forgotten yet.
    pub fn not_forgotten(&self, ids: Vec<i64>) {
        self.state().spent.extend(ids);
    }

    /// Asks for the targets of a batch of an ordered source that ends at `position`.
    pub fn ask_for(&self, source: Source, targets: impl IntoIterator<Item = Target>, position: String) {
        let mut state = self.state();
        let token = state.ledger(source).received(position);
        for target in targets {
            state.add(target, [Batch::Of(source, token)]);
        }
        state.ledger(source).loaded(token);
        drop(state);
        self.changed.notify_waiters();
        self.progress.notify_waiters();
    }

    /// The position of a source up to which every target has been read.
    pub fn position(&self, source: Source) -> Option<String> {
        self.state().ledger(source).done().cloned()
    }

    /// Batches of a source that are not behind its position.
    pub fn behind(&self, source: Source) -> usize {
        let mut state = self.state();
        let ledger = state.ledger(source);
        ledger.done();
        ledger.open()
    }

    /// Whether a target is waiting or being read.
    pub fn has(&self, target: &Target) -> bool {
        self.state().known.contains_key(target)
    }

    /// Resolves when [`Queue::position`] may have moved; arm it before looking.
    pub fn progress(&self) -> Notified<'_> {
        self.progress.notified()
    }

    /// Waits until none of these targets is waiting or being read.
    pub async fn read(&self, targets: &[Target]) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if !targets.iter().any(|target| self.state().known.contains_key(target)) {
                return;
            }
            progress.await;
        }
    }

    /// Whether something of this table is waiting or being read.
    pub fn is_open(&self, table: &str) -> bool {
        self.state().known.keys().any(|target| target.table() == table)
    }

    /// The next target to read; waits for one.
    pub async fn next(&self) -> Target {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Armed before the look, so that nothing asked in between is missed.
            changed.as_mut().enable();
            let wake = {
                let mut state = self.state();
                match state.pop(Instant::now()) {
                    Ok(target) => return target,
                    Err(wake) => wake,
                }
            };
            match wake {
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                None => changed.await,
            }
        }
    }

    /// The target has been read and applied.
    pub fn done(&self, target: &Target) {
        let mut state = self.state();
        state.done += 1;
        let Some(mut known) = state.known.remove(target) else { return };
        if let (Target::Table { .. } | Target::Part { .. }, Some(began)) = (target, known.began) {
            let rest = (began.elapsed() * REST).min(LONGEST_REST);
            state.rests.insert(target.clone(), Instant::now() + rest);
        }
        for batch in known.batches.drain() {
            state.ended(batch);
        }
        if known.again {
            let batches = known.next_batches;
            state.known.insert(target.clone(), Known { batches, ..Known::default() });
            state.wait(target.clone());
        }
        drop(state);
        self.changed.notify_waiters();
        self.progress.notify_waiters();
    }

    /// The target could not be read or applied: again after a growing pause.
    pub fn again(&self, target: Target) {
        let mut state = self.state();
        let tries = match state.known.get_mut(&target) {
            Some(known) => {
                known.reading = false;
                known.again = false;
                let next: Vec<_> = known.next_batches.drain().collect();
                known.batches.extend(next);
                known.tries += 1;
                known.tries
            }
            None => 1,
        };
        let pause = pause(tries, Duration::from_millis(20), Duration::from_secs(10));
        state.delay(target, Instant::now() + pause);
        drop(state);
        self.changed.notify_waiters();
    }

    /// What the status page shows.
    pub fn report(&self) -> QueueReport {
        let state = self.state();
        QueueReport { open: state.known.len(), done: state.done }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ledger(&mut self, source: Source) -> &mut Ledger<String> {
        self.ledgers.entry(source).or_default()
    }

    /// Adds a target that these batches wait for.
    fn add(&mut self, target: Target, batches: impl IntoIterator<Item = Batch>) {
        let is_new = !self.known.contains_key(&target);
        let known = self.known.entry(target.clone()).or_default();
        known.again |= known.reading;
        let there = if known.reading { &mut known.next_batches } else { &mut known.batches };
        let attached: Vec<Batch> = batches.into_iter().filter(|batch| there.insert(*batch)).collect();
        for batch in attached {
            match batch {
                Batch::Of(source, token) => self.ledger(source).queued(token),
                Batch::Kept(id) => drop(self.kept.insert(id)),
            }
        }
        if is_new {
            self.wait(target);
        }
    }

    /// A target that a batch waits for has been read.
    fn ended(&mut self, batch: Batch) {
        match batch {
            Batch::Of(source, token) => self.ledger(source).ended(token),
            Batch::Kept(id) => {
                self.kept.remove(&id);
                self.spent.push(id);
            }
        }
    }

    /// Whether a row of `_auth0_sync.to_read` has been asked for, and is not forgotten.
    fn is_known(&self, id: i64) -> bool {
        self.kept.contains(&id) || self.spent.contains(&id)
    }

    /// Puts a target into the queue, to be read as soon as it may.
    fn wait(&mut self, target: Target) {
        match self.rests.remove(&target).filter(|until| *until > Instant::now()) {
            Some(until) => self.delay(target, until),
            None => self.waiting.push_back(target),
        }
    }

    fn delay(&mut self, target: Target, until: Instant) {
        let ticket = self.next_delayed;
        self.next_delayed += 1;
        self.delayed.insert((until, ticket));
        self.delayed_targets.insert(ticket, target);
    }

    fn pop(&mut self, now: Instant) -> Result<Target, Option<Instant>> {
        while let Some(&(until, ticket)) = self.delayed.first().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, ticket));
            self.waiting.extend(self.delayed_targets.remove(&ticket));
        }
        match self.waiting.pop_front() {
            Some(target) => {
                let known = self.known.entry(target.clone()).or_default();
                known.reading = true;
                known.began = Some(now);
                Ok(target)
            }
            None => Err(self.delayed.first().map(|(until, _)| *until)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{RowKey, Target};

    fn row(key: &str) -> Target {
        Target::Row { table: "user".into(), key: RowKey::single(key) }
    }

    #[tokio::test]
    async fn duplicates_fold_and_a_position_waits_for_its_targets() {
        let queue = Queue::default();
        queue.ask_for(Source::Log, [row("a"), row("b")], "1".into());
        queue.ask_for(Source::Log, [row("a")], "2".into());
        let (a, b) = (queue.next().await, queue.next().await);
        assert_eq!((a.clone(), b.clone()), (row("a"), row("b")));
        queue.done(&a);
        assert_eq!(queue.position(Source::Log), None);
        queue.done(&b);
        assert_eq!(queue.position(Source::Log).as_deref(), Some("2"));
        assert_eq!(queue.report().open, 0);
    }

    #[tokio::test]
    async fn what_is_asked_for_while_it_is_read_is_read_again() {
        let queue = Queue::default();
        queue.ask_for(Source::Log, [row("a")], "1".into());
        let a = queue.next().await;
        queue.ask_for(Source::Log, [row("a")], "2".into());
        queue.done(&a);
        assert_eq!(
            queue.position(Source::Log).as_deref(),
            Some("1"),
            "the second batch needs a later reading"
        );
        let a = queue.next().await;
        queue.done(&a);
        assert_eq!(queue.position(Source::Log).as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn what_could_not_be_read_comes_again() {
        let queue = Queue::default();
        queue.ask_for(Source::Log, [row("a")], "1".into());
        let a = queue.next().await;
        queue.again(a);
        assert_eq!(queue.position(Source::Log), None);
        let a = queue.next().await;
        queue.done(&a);
        assert_eq!(queue.position(Source::Log).as_deref(), Some("1"));
    }

    #[test]
    fn a_whole_table_rests_after_it_was_read() {
        let (mut state, table, now) =
            (State::default(), Target::Table { table: "user".into() }, Instant::now());
        let until = now + Duration::from_secs(40);
        state.rests.insert(table.clone(), until);
        state.add(table.clone(), None);
        state.add(row("a"), None);
        assert_eq!(state.pop(now), Ok(row("a")), "others do not wait for it");
        assert_eq!(state.pop(now), Err(Some(until)));
        assert_eq!(state.pop(until), Ok(table));
    }

    #[tokio::test]
    async fn sources_do_not_wait_for_each_other_and_each_keeps_its_order() {
        let queue = Queue::default();
        queue.ask_for(Source::Log, [row("a")], "log".into());
        queue.ask_for(Source::Events, [row("b")], "1".into());
        queue.ask_for(Source::Events, [], "2".into());
        assert_eq!((queue.position(Source::Events), queue.behind(Source::Events)), (None, 2));
        let (a, b) = (queue.next().await, queue.next().await);
        assert!(queue.has(&b));
        queue.done(&b);
        assert_eq!(queue.position(Source::Events).as_deref(), Some("2"));
        assert_eq!(queue.position(Source::Log), None);
        queue.done(&a);
        assert_eq!(queue.position(Source::Log).as_deref(), Some("log"));
    }

    #[tokio::test]
    async fn what_is_kept_is_spent_when_it_has_been_read_since() {
        let queue = Queue::default();
        let kept = |id, key| ToRead { id: Some(id), target: row(key) };
        queue.ask_kept([kept(7, "a"), kept(8, "a"), kept(9, "b")]);
        let a = queue.next().await;
        queue.ask_kept([kept(7, "a"), kept(10, "a")]);
        queue.done(&a);
        let mut spent = queue.spent();
        spent.sort_unstable();
        assert_eq!(spent, [7, 8], "10 came while it was read");
        queue.not_forgotten(spent);
        queue.ask_kept([kept(8, "a")]);
        for key in ["b", "a"] {
            let next = queue.next().await;
            assert_eq!(next, row(key));
            queue.done(&next);
        }
        let mut spent = queue.spent();
        spent.sort_unstable();
        assert_eq!((spent, queue.report().open), (vec![7, 8, 9, 10], 0));
    }

    #[tokio::test]
    async fn a_batch_without_targets_moves_the_position_at_once() {
        let queue = Queue::default();
        queue.ask_for(Source::Log, [], "1".into());
        assert_eq!(queue.position(Source::Log).as_deref(), Some("1"));
    }
}
