//! Which readings of Auth0 may still be applied to a row.
//!
//! Three rules, each needed: not while a call for the row is in flight; not if the reading began
//! before the row's last settlement; not if another one has been applied since it began, which may have been read
//! later, whichever began first. Time is counted in ticks of this process, never by a clock: readings do not outlive
//! a process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Row;
use super::answers::Answers;
use super::doubtful::Doubtful;
use super::undecided::Undecided;
use crate::catalog::{Resource, RowKey};

/// A moment of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

type Name = (String, RowKey);

#[derive(Debug, Default)]
struct Marks {
    in_flight: u32,
    settled: Tick,
    /// When a reading was applied, and when that began.
    applied: (Tick, Tick),
    /// When one that began at another time was applied before.
    applied_before: Tick,
}

#[derive(Debug, Default)]
struct State {
    now: u64,
    rows: HashMap<Name, Marks>,
    /// Of whole tables: nothing that was read before is applied to any row.
    tables: HashMap<String, Tick>,
    /// Rows that are gone with what hung on them, since when.
    gone: HashMap<Name, Tick>,
    gone_at: usize,
    /// How many readings are outstanding that began at a tick.
    outstanding: BTreeMap<Tick, u32>,
    /// The same of calls.
    calls: BTreeMap<Tick, u32>,
    forgotten_at: usize,
}

/// The marks of one tenant's rows.
#[derive(Debug, Default)]
pub struct Freshness {
    marks: Mutex<State>,
    answers: Answers,
    undecided: Undecided,
    doubtful: Doubtful,
}

/// A reading that has begun; while it lives, the marks that it needs are kept.
#[derive(Debug)]
pub struct Reading<'a> {
    of: &'a Freshness,
    began: Tick,
}

impl Reading<'_> {
    /// When it began.
    pub fn began(&self) -> Tick {
        self.began
    }
}

/// A call that is under way.
#[derive(Debug)]
pub struct Flight<'a> {
    of: &'a Freshness,
    name: Name,
    began: Tick,
}

impl Flight<'_> {
    /// When the call left.
    pub fn began(&self) -> Tick {
        self.began
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        let now = state.tick();
        if let Some(marks) = state.rows.get_mut(&self.name) {
            marks.in_flight = marks.in_flight.saturating_sub(1);
            marks.settled = now;
        }
        end(&mut state.calls, self.began);
        state.forget();
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        end(&mut state.outstanding, self.began);
        state.forget();
    }
}

impl Freshness {
    /// Rows of which no reading may be applied, whenever it began.
    pub fn undecided(&self) -> &Undecided {
        &self.undecided
    }

    /// Calls of which nobody has heard what became of them.
    pub fn doubtful(&self) -> &Doubtful {
        &self.doubtful
    }

    /// A reading of Auth0 begins now; call it before the request leaves.
    pub fn begin(&self) -> Reading<'_> {
        let mut state = self.state();
        let began = state.tick();
        *state.outstanding.entry(began).or_default() += 1;
        Reading { of: self, began }
    }

    /// A call for the row leaves; it is under way until the flight is dropped, settled or not.
    pub fn send(&self, table: &str, key: &RowKey) -> Flight<'_> {
        let name = (table.to_owned(), key.clone());
        let mut state = self.state();
        let began = state.tick();
        state.rows.entry(name.clone()).or_default().in_flight += 1;
        *state.calls.entry(began).or_default() += 1;
        drop(state);
        Flight { of: self, name, began }
    }

    /// The row has just been settled, under this key too.
    pub fn settled(&self, table: &str, key: &RowKey) {
        let mut state = self.state();
        let now = state.tick();
        state.rows.entry((table.to_owned(), key.clone())).or_default().settled = now;
    }

    /// The table has what Auth0 has answered to a write of ours, or the row is to be read.
    pub fn answered(&self, resource: &Resource, key: &RowKey, row: &Row) {
        self.answers.add(resource, key, row);
    }

    /// Whether what an event shows of a row is such an answer, or older than one.
    pub fn was_answered(&self, resource: &Resource, key: &RowKey, shown: &Row) -> bool {
        self.answers.have(resource, key, shown)
    }

    /// Whether what was read of a row is older than such an answer.
    pub fn is_overtaken(&self, resource: &Resource, key: &RowKey, read: &Row) -> bool {
        self.answers.overtake(resource, key, read)
    }

    /// Whether a reading may be applied by the three rules; ask with the row locked.
    pub fn may_apply(&self, table: &str, key: &RowKey, began: Tick) -> bool {
        let state = self.state();
        if state.tables.get(table).is_some_and(|applied| began < *applied) {
            return false;
        }
        match state.rows.get(&(table.to_owned(), key.clone())) {
            Some(marks) => !marks.hold_back(began),
            None => true,
        }
    }

    /// Keys of a table that a reading from `began` on may not be applied to by what is marked now: few, while the
    /// reading has millions.
    pub fn held_back(&self, table: &str, began: Tick) -> Vec<RowKey> {
        let state = self.state();
        let of_table = state.rows.iter().filter(|((name, _), marks)| name == table && marks.hold_back(began));
        of_table.map(|((_, key), _)| key.clone()).collect()
    }

    /// Whether a call for the row is under way.
    pub fn in_flight(&self, table: &str, key: &RowKey) -> bool {
        self.state().rows.get(&(table.to_owned(), key.clone())).is_some_and(|marks| marks.in_flight > 0)
    }

    /// Whether a call of ours for the row is under way, or has been of late.
    pub fn is_ours(&self, table: &str, key: &RowKey) -> bool {
        let state = self.state();
        let marks = state.rows.get(&(table.to_owned(), key.clone()));
        marks.is_some_and(|marks| marks.in_flight > 0 || marks.settled > Tick::default())
    }

    /// The row is gone at Auth0, and what hangs on it with it: say it before that is removed.
    pub fn gone(&self, table: &str, key: &RowKey) {
        let mut state = self.state();
        let now = state.tick();
        if state.oldest() < now {
            state.gone.insert((table.to_owned(), key.clone()), now);
        }
    }

    /// Whether any row is remembered to be gone.
    pub fn remembers_gone(&self) -> bool {
        !self.state().gone.is_empty()
    }

    /// Whether the row has gone since a reading or a call began.
    pub fn has_gone(&self, table: &str, key: &RowKey, began: Tick) -> bool {
        let state = self.state();
        state.gone.get(&(table.to_owned(), key.clone())).is_some_and(|gone| began <= *gone)
    }

    /// A reading has been applied.
    pub fn applied(&self, table: &str, key: &RowKey, began: Tick) {
        self.applied_all(table, [key], began);
    }

    /// A reading is applied to these rows. It may be said before: what was read earlier is then read again.
    pub fn applied_all<'k>(&self, table: &str, keys: impl IntoIterator<Item = &'k RowKey>, began: Tick) {
        let mut state = self.state();
        if !state.is_awaited_beside(began) {
            return;
        }
        let now = state.tick();
        for key in keys {
            let marks = state.rows.entry((table.to_owned(), key.clone())).or_default();
            if marks.applied.1 != began {
                marks.applied_before = marks.applied.0;
            }
            marks.applied = (now, began);
        }
    }

    /// A reading is applied to every row of a table; say it before.
    pub fn applied_whole(&self, table: &str, began: Tick) {
        let mut state = self.state();
        if state.is_awaited_before(began) {
            let applied = state.tables.entry(table.to_owned()).or_default();
            *applied = (*applied).max(began);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    fn hold_back(&self, began: Tick) -> bool {
        let by_others = if self.applied.1 == began { self.applied_before } else { self.applied.0 };
        self.in_flight > 0 || began <= self.settled || began < by_others
    }
}

impl State {
    /// Whether a reading is outstanding that began earlier: no other can meet the mark of one that is applied.
    fn is_awaited_before(&self, began: Tick) -> bool {
        self.outstanding.range(..began).next().is_some()
    }

    /// Whether another reading is outstanding: no other can meet the mark of a row's reading.
    fn is_awaited_beside(&self, began: Tick) -> bool {
        self.outstanding.keys().any(|other| *other != began)
    }

    fn tick(&mut self) -> Tick {
        self.now += 1;
        Tick(self.now)
    }

    /// When the oldest reading or call that is outstanding began.
    fn oldest(&self) -> Tick {
        let began = [&self.outstanding, &self.calls].into_iter().filter_map(|these| these.keys().next());
        began.min().copied().unwrap_or(Tick(self.now + 1))
    }

    /// Drops marks that no outstanding reading can meet; looks only when a map has doubled.
    fn forget(&mut self) {
        if self.outstanding.is_empty() && self.calls.is_empty() {
            self.gone.clear();
        } else if self.gone.len() >= 2 * self.gone_at.max(1024) {
            let oldest = self.oldest();
            self.gone.retain(|_, gone| *gone >= oldest);
            self.gone_at = self.gone.len();
        }
        if self.rows.len() < 2 * self.forgotten_at.max(1024) {
            return;
        }
        let oldest = self.outstanding.keys().next().copied().unwrap_or(Tick(self.now + 1));
        self.rows
            .retain(|_, marks| marks.in_flight > 0 || marks.settled >= oldest || marks.applied.0 > oldest);
        self.forgotten_at = self.rows.len();
    }
}

/// One of those that began at a tick has ended.
fn end(outstanding: &mut BTreeMap<Tick, u32>, began: Tick) {
    if let Some(count) = outstanding.get_mut(&began) {
        *count -= 1;
        if *count == 0 {
            outstanding.remove(&began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_rules_holds_back_a_reading() {
        let freshness = Freshness::default();
        let key = RowKey::single("u1");
        let early = freshness.begin();
        let flight = freshness.send("user", &key);
        let during = freshness.begin();
        assert!(!freshness.may_apply("user", &key, during.began()), "a call is in flight");
        drop(flight);
        assert!(!freshness.may_apply("user", &key, during.began()), "began before the settlement");
        assert!(!freshness.may_apply("user", &key, early.began()));
        let (older, newer) = (freshness.begin(), freshness.begin());
        assert!(freshness.may_apply("user", &key, newer.began()));
        freshness.applied("user", &key, newer.began());
        assert!(!freshness.may_apply("user", &key, older.began()), "something later was applied");
        assert!(freshness.may_apply("user", &key, newer.began()), "that is itself");
        freshness.applied("user", &key, older.began());
        assert!(
            !freshness.may_apply("user", &key, newer.began()),
            "the other may have been read later all the same"
        );
        assert!(!freshness.may_apply("user", &key, older.began()), "and so may this");
        assert!(freshness.may_apply("user", &RowKey::single("u2"), early.began()));
        assert_eq!(freshness.held_back("user", older.began()), std::slice::from_ref(&key));
        assert_eq!(freshness.held_back("role", older.began()), []);
        freshness.applied_whole("user", newer.began());
        assert!(!freshness.may_apply("user", &RowKey::single("u2"), older.began()));
        assert!(freshness.may_apply("user", &RowKey::single("u2"), newer.began()));
        assert!(freshness.may_apply("role", &RowKey::single("u2"), early.began()));
    }

    #[test]
    fn a_row_that_is_gone_is_remembered_while_an_earlier_reading_is_outstanding() {
        let freshness = Freshness::default();
        let key = RowKey::single("p1");
        freshness.gone("parent", &key);
        assert!(!freshness.remembers_gone(), "nobody reads anything");
        let early = freshness.begin();
        freshness.gone("parent", &key);
        let late = freshness.begin();
        assert!(freshness.has_gone("parent", &key, early.began()));
        assert!(!freshness.has_gone("parent", &key, late.began()), "it began afterwards");
        assert!(!freshness.has_gone("other", &key, early.began()));
        drop(early);
        assert!(freshness.remembers_gone());
        drop(late);
        assert!(!freshness.remembers_gone());
        let call = freshness.send("child", &RowKey::single("c1"));
        freshness.gone("parent", &key);
        assert!(freshness.has_gone("parent", &key, call.began()));
        drop(call);
        assert!(!freshness.remembers_gone());
    }

    #[test]
    fn what_nobody_older_reads_needs_no_marks() {
        let freshness = Freshness::default();
        let reading = freshness.begin();
        freshness.applied("user", &RowKey::single("u1"), reading.began());
        freshness.applied_whole("user", reading.began());
        let state = freshness.state();
        assert!(state.rows.is_empty() && state.tables.is_empty());
    }

    #[test]
    fn marks_are_forgotten_when_no_reading_can_meet_them() {
        let freshness = Freshness::default();
        let held = freshness.begin();
        for n in 0..3000 {
            let key = RowKey::single(n.to_string());
            drop(freshness.send("user", &key));
        }
        assert_eq!(freshness.state().rows.len(), 3000, "a reading is outstanding");
        drop(held);
        for n in 3000..6000 {
            drop(freshness.send("user", &RowKey::single(n.to_string())));
        }
        assert!(freshness.state().rows.len() < 3000, "{}", freshness.state().rows.len());
    }
}
