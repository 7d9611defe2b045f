//! Commits that have been told and are not in lanes yet, in their order. It holds ids, and the rows of
//! the latest few; when there are too many it holds a snapshot instead: the table has the rest.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::store::Which;
use super::unseen::Rows;
use crate::ledger::{Ledger, Token};

/// The longest that a told commit may take to become visible; later the periodic scan finds it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// So long it is looked for without a pause: it is told a moment before it can be seen.
const AT_ONCE: Duration = Duration::from_millis(3);
/// A commit that takes longer than this, where Postgres has commits wait for us, waits for us.
const WAITS_AFTER: Duration = Duration::from_millis(5);
/// Between two looks for a commit that is not visible yet.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// The same for one that has been put aside, at most.
const RARELY: Duration = Duration::from_millis(100);
/// Rows are held of so many segments.
const WITH_ROWS: usize = 100;

/// How much is held in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Mutations in lanes; the rest waits in the table.
    pub(super) held: usize,
    /// Mutations loaded together, but for those that the stream has named.
    pub(super) page: i64,
    /// Segments, before they are folded into one scan of the table.
    pub(super) segments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { held: 10_000, page: 1_000, segments: 10_000 }
    }
}

/// Mutations to load together.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) which: Which,
    /// Counts its mutations in the ledger.
    pub(super) commit: Token,
    /// Some of it has been loaded, so all of it can be seen.
    pub(super) seen: bool,
    /// Mutations to load together at most.
    pub(super) limit: i64,
    /// What the stream has told of it besides.
    pub(super) rows: Option<Rows>,
    /// The rest of its commit has been loaded before.
    pub(super) again: bool,
    told: Instant,
}

impl Segment {
    /// The first mutation of a commit that the stream has told, unless some of it has been seen.
    fn first(&self) -> Option<i64> {
        if self.seen { None } else { self.which.first() }
    }

    /// Whether it has just been told, so that it comes into sight at any moment.
    pub(super) fn is_new(&self, now: Instant) -> bool {
        !self.seen && now < self.told + AT_ONCE
    }
}

/// A commit that nobody waits for and that cannot be seen yet.
#[derive(Debug)]
struct Aside {
    segment: Segment,
    /// It was not seen although its transaction had ended: once more, and it is given up.
    ended: bool,
}

/// Whether a commit that has been put aside can be seen by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It can.
    Seen,
    /// Its transaction has not ended for others yet.
    Unseen,
    /// Its transaction has ended and has left nothing.
    Nothing,
}

/// Segments in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    limits: Limits,
    segments: VecDeque<Segment>,
    /// Those that hold up nobody, in the order of their commits.
    aside: VecDeque<Aside>,
    /// What could not be queued when the rest of its commit was, and when it is to be loaded again.
    again: VecDeque<(Instant, Segment)>,
    /// The first segment cannot be seen yet: not before this time again.
    not_before: Option<Instant>,
    /// The next look at those aside, and the pause before it.
    look: Option<(Instant, Duration)>,
}

impl Backlog {
    #[cfg(test)]
    pub(super) fn limited(limits: Limits) -> Self {
        Backlog { limits, ..Backlog::default() }
    }

    /// A commit has been told.
    pub(super) fn told(&mut self, which: Which, commit: Token, rows: Option<Rows>, now: Instant) {
        let limit = if matches!(which, Which::Ids(_)) { i64::MAX } else { self.limits.page };
        let rows = rows.map(|rows| if self.segments.len() < WITH_ROWS { rows } else { rows.forgotten() });
        self.segments.push_back(Segment { which, commit, seen: false, limit, rows, again: false, told: now });
    }

    /// The table is to be scanned before anything else.
    pub(super) fn scan_first(&mut self, which: Which, commit: Token, now: Instant) {
        let limit = self.limits.page;
        self.segments.push_front(Segment {
            which,
            commit,
            seen: true,
            limit,
            rows: None,
            again: false,
            told: now,
        });
        self.not_before = None;
    }

    /// These of a commit could not be queued: they are loaded again, soon and before anything else.
    pub(super) fn again(&mut self, ids: Vec<i64>, commit: Token, now: Instant) {
        let (which, limit) = (Which::Ids(ids), i64::MAX);
        let segment = Segment { which, commit, seen: true, limit, rows: None, again: true, told: now };
        self.again.push_back((now + RARELY, segment));
    }

    /// Puts first what is due to be loaded again; not while anything is being loaded.
    pub(super) fn due(&mut self, now: Instant) {
        if let Some((_, segment)) = self.again.pop_front_if(|(at, _)| *at <= now) {
            self.segments.push_front(segment);
            self.not_before = None;
        }
    }

    /// The segment to load next, unless it has to wait.
    pub(super) fn first(&mut self, now: Instant) -> Option<&mut Segment> {
        if self.not_before.is_some_and(|until| until > now) {
            return None;
        }
        self.segments.front_mut()
    }

    /// The segment that is being loaded.
    pub(super) fn head(&mut self) -> Option<&mut Segment> {
        self.segments.front_mut()
    }

    /// The first segment is loaded whole.
    pub(super) fn loaded(&mut self) {
        self.segments.pop_front();
        self.not_before = None;
    }

    /// The first segment cannot be seen yet; true where it has had long enough.
    pub(super) fn unseen(&mut self, now: Instant) -> bool {
        let late = self.segments.front().is_some_and(|segment| now > segment.told + VISIBLE_WITHIN);
        self.not_before = (!late).then(|| now + LOOK_AGAIN);
        late
    }

    /// Whether the first segment takes so long to become visible that it may wait for us.
    pub(super) fn may_wait(&self, now: Instant) -> bool {
        self.segments.front().is_some_and(|segment| !segment.seen && now > segment.told + WAITS_AFTER)
    }

    /// Lets those behind the first segment go on; it is loaded when it can be seen.
    pub(super) fn put_aside(&mut self, now: Instant) -> Option<Token> {
        let segment = self.segments.pop_front()?;
        self.not_before = None;
        let commit = segment.commit;
        self.aside.push_back(Aside { segment, ended: false });
        self.look = Some((now + LOOK_AGAIN, LOOK_AGAIN));
        Some(commit)
    }

    /// Those aside: the first id of each, and the low half of its txid.
    pub(super) fn aside(&self) -> Vec<(i64, Option<u32>)> {
        self.aside.iter().map(|aside| (aside.segment.which.first().unwrap_or(0), aside.xid())).collect()
    }

    /// Whether it is time to look at those aside.
    pub(super) fn is_look_due(&self, now: Instant) -> bool {
        !self.aside.is_empty() && self.look.is_none_or(|(at, _)| at <= now)
    }

    /// Takes what a look at all of [`Backlog::aside`] has shown; true where some are to be loaded, before
    /// anything else: what comes later may depend on them.
    pub(super) fn looked(&mut self, sights: &[Sight], now: Instant) -> bool {
        let mut seen = Vec::new();
        let aside = std::mem::take(&mut self.aside);
        for (mut aside, sight) in aside.into_iter().zip(sights) {
            match sight {
                Sight::Seen => seen.push(Segment { seen: true, ..aside.segment }),
                Sight::Nothing if aside.ended => {
                    tracing::warn!("a commit that the stream told has left nothing in the table");
                }
                Sight::Nothing | Sight::Unseen => {
                    aside.ended = *sight == Sight::Nothing;
                    self.aside.push_back(aside);
                }
            }
        }
        let any = !seen.is_empty();
        if any {
            self.not_before = None;
        }
        seen.into_iter().rev().for_each(|segment| self.segments.push_front(segment));
        let pause = self.look.map_or(LOOK_AGAIN, |(_, pause)| (pause * 2).min(RARELY));
        self.look = (!self.aside.is_empty()).then(|| (now + pause, pause));
        any
    }

    /// When something is to be looked for again.
    pub(super) fn not_before(&self) -> Option<Instant> {
        let again = self.again.front().map(|(at, _)| *at);
        self.not_before.into_iter().chain(self.look.map(|(at, _)| at)).chain(again).min()
    }

    /// Whether nothing waits; what has been put aside does not count.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The one mutation that waits, with its commit, where just one has been told and it may be looked for.
    pub(super) fn alone(&self, now: Instant) -> Option<(i64, Token)> {
        let waits = self.not_before.is_some_and(|until| until > now);
        let others = !self.aside.is_empty() || !self.again.is_empty();
        match (self.segments.front()?, self.segments.len(), waits || others) {
            (Segment { which: Which::Ids(ids), commit, seen: false, .. }, 1, false) => match ids[..] {
                [id] => Some((id, *commit)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it holds so much that a scan of the table is cheaper.
    pub(super) fn is_full(&self) -> bool {
        self.segments.len() > self.limits.segments
    }

    /// The first mutation of each commit that has been told: who is asked whether it can be seen.
    pub(super) fn firsts(&self) -> Vec<i64> {
        self.segments.iter().filter_map(Segment::first).collect()
    }

    /// Puts one scan by `snapshot` in place of what it saw: that is loaded from the table, in id order,
    /// and counts for the earliest commit, so that the later ones wait for it. Commits whose first mutation
    /// could not be seen before the snapshot was taken stay, and so does what is loaded again.
    pub(super) fn fold(
        &mut self,
        snapshot: String,
        unseen: &HashSet<i64>,
        ledger: &mut Ledger<u64>,
        now: Instant,
    ) {
        let all = std::mem::take(&mut self.segments).into_iter();
        let (stay, folded): (VecDeque<_>, VecDeque<_>) = all.partition(|segment| {
            segment.again || segment.first().is_some_and(|first| unseen.contains(&first))
        });
        self.segments = stay;
        // A scan that came later stands before what had been told.
        let Some(first) = folded.iter().map(|segment| segment.commit).min() else { return };
        let others = folded.iter().map(|segment| segment.commit).filter(|commit| *commit != first);
        others.for_each(|commit| ledger.loaded(commit));
        self.scan_first(Which::Snapshot { snapshot, after: 0 }, first, now);
    }
}

impl Aside {
    fn xid(&self) -> Option<u32> {
        match &self.segment.which {
            Which::Transaction { xid, .. } => Some(*xid),
            Which::Ids(_) | Which::Snapshot { .. } => self.segment.rows.as_ref().map(Rows::xid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mutation_is_alone_until_more_is_told_or_it_cannot_be_seen() {
        let (mut ledger, mut backlog, now) = (Ledger::default(), Backlog::default(), Instant::now());
        assert_eq!(backlog.alone(now), None);
        let commit = ledger.received(10);
        backlog.told(Which::Ids(vec![7]), commit, None, now);
        assert_eq!(backlog.alone(now), Some((7, commit)));
        backlog.unseen(now);
        assert_eq!(backlog.alone(now), None, "it is not to be looked for yet");
        assert_eq!(backlog.alone(now + LOOK_AGAIN), Some((7, commit)));
        backlog.put_aside(now);
        let next = ledger.received(20);
        backlog.told(Which::Ids(vec![8]), next, None, now);
        assert_eq!(backlog.alone(now), None, "it may depend on what cannot be seen");

        let mut backlog = Backlog::default();
        backlog.told(Which::Ids(vec![8, 9]), next, None, now);
        assert_eq!(backlog.alone(now), None, "two of one commit");
        backlog.loaded();
        backlog.told(Which::Ids(vec![8]), next, None, now);
        backlog.told(Which::Ids(vec![9]), next, None, now);
        assert_eq!(backlog.alone(now), None, "two commits");
    }

    #[test]
    fn a_fold_counts_everything_for_the_first_commit() {
        let (mut ledger, mut backlog) = (Ledger::default(), Backlog::default());
        for lsn in [10, 20, 30] {
            let commit = ledger.received(lsn);
            backlog.told(Which::Ids(vec![1]), commit, None, Instant::now());
        }
        backlog.fold("1:1:".into(), &HashSet::new(), &mut ledger, Instant::now());
        let scan = backlog.first(Instant::now()).unwrap().commit;
        ledger.queued(scan);
        ledger.loaded(scan);
        backlog.loaded();
        assert!(backlog.is_empty());
        assert_eq!(ledger.done(), None);
        ledger.ended(scan);
        assert_eq!(ledger.done(), Some(&30));
    }

    #[test]
    fn a_fold_counts_for_what_was_told_before_a_scan_that_stands_first() {
        let (mut ledger, mut backlog, now) = (Ledger::default(), Backlog::default(), Instant::now());
        let told = ledger.received(10);
        backlog.told(Which::Ids(vec![1]), told, None, now);
        backlog.scan_first(Which::Snapshot { snapshot: "1:1:".into(), after: 0 }, ledger.received(0), now);
        backlog.fold("1:1:".into(), &HashSet::new(), &mut ledger, now);
        assert_eq!(backlog.first(now).unwrap().commit, told);
    }

    #[test]
    fn a_fold_leaves_alone_what_its_snapshot_does_not_see() {
        let (mut ledger, mut backlog, now) = (Ledger::default(), Backlog::default(), Instant::now());
        for (lsn, id) in [(10, 1), (20, 5), (30, 3)] {
            let commit = ledger.received(lsn);
            backlog.told(Which::Ids(vec![id]), commit, None, now);
        }
        assert_eq!(backlog.firsts(), [1, 5, 3]);
        backlog.fold("1:1:".into(), &HashSet::from([5]), &mut ledger, now);
        let scan = backlog.first(now).unwrap().commit;
        ledger.loaded(scan);
        backlog.loaded();
        assert_eq!(ledger.done(), Some(&10), "the next one is neither loaded nor settled");
        assert_eq!(backlog.firsts(), [5]);
    }

    #[test]
    fn what_cannot_be_seen_yet_is_looked_for_again_and_given_up_at_last() {
        let (mut ledger, mut backlog) = (Ledger::default(), Backlog::default());
        let now = Instant::now();
        backlog.told(Which::Ids(vec![1]), ledger.received(10), None, now);
        assert!(!backlog.unseen(now));
        assert!(backlog.first(now).is_none());
        assert!(backlog.first(now + LOOK_AGAIN).is_some());
        assert!(backlog.unseen(now + 2 * VISIBLE_WITHIN));
    }

    #[test]
    fn what_is_put_aside_holds_up_nobody_and_comes_first_when_it_is_seen() {
        let (mut ledger, mut backlog) = (Ledger::default(), Backlog::default());
        let now = Instant::now();
        for id in 1..=4 {
            let rows = Some(Rows::new(id, None, None));
            backlog.told(Which::Ids(vec![i64::from(id)]), ledger.received(u64::from(id)), rows, now);
        }
        assert!(!backlog.may_wait(now) && backlog.may_wait(now + 2 * WAITS_AFTER));
        for _ in 0..3 {
            backlog.put_aside(now);
        }
        assert_eq!(backlog.aside(), [(1, Some(1)), (2, Some(2)), (3, Some(3))]);
        assert!(!backlog.is_look_due(now) && backlog.is_look_due(now + LOOK_AGAIN));
        assert!(!backlog.looked(&[Sight::Unseen, Sight::Unseen, Sight::Nothing], now));
        assert_eq!(backlog.not_before(), Some(now + 2 * LOOK_AGAIN));
        assert!(backlog.looked(&[Sight::Seen, Sight::Seen, Sight::Nothing], now));
        assert_eq!(backlog.not_before(), None, "the third is given up");
        let first = |backlog: &mut Backlog| backlog.head().and_then(|segment| segment.which.first());
        for id in [1, 2, 4] {
            assert_eq!(first(&mut backlog), Some(id));
            backlog.loaded();
        }
        assert!(backlog.is_empty());
    }

    #[test]
    fn rows_are_held_of_the_first_few_only() {
        let (mut ledger, mut backlog) = (Ledger::default(), Backlog::default());
        for lsn in 0..=WITH_ROWS as u64 {
            let rows = Some(Rows::new(1, Some(Vec::new()), None));
            backlog.told(Which::Ids(vec![1]), ledger.received(lsn), rows, Instant::now());
        }
        let held = backlog.segments.iter().filter(|segment| segment.rows.as_ref().is_some_and(Rows::has_any));
        assert_eq!(held.count(), WITH_ROWS);
    }
}
