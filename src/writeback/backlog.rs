//! Commits that have been told and are not in lanes yet, in their order. It holds ids, never rows,
//! and when there are too many it holds a snapshot instead: the table has the rest.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::store::Which;
use crate::ledger::{Ledger, Token};

/// The longest that a told commit may take to become visible; later the periodic scan finds it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// So long it is looked for without a pause: it is told a moment before it can be seen.
const AT_ONCE: Duration = Duration::from_millis(3);
/// Between two looks for a commit that is not visible yet.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

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
    told: Instant,
}

impl Segment {
    /// The first mutation of a commit that the stream has told.
    fn first(&self) -> Option<i64> {
        match &self.which {
            Which::Ids(ids) => ids.first().copied(),
            Which::Transaction { after, .. } if !self.seen => Some(after + 1),
            Which::Transaction { .. } | Which::Snapshot { .. } => None,
        }
    }

    /// Whether it has just been told, so that it comes into sight at any moment.
    pub(super) fn is_new(&self, now: Instant) -> bool {
        !self.seen && now < self.told + AT_ONCE
    }
}

/// Segments in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    limits: Limits,
    segments: VecDeque<Segment>,
    /// The first segment cannot be seen yet: not before this time again.
    pub(super) not_before: Option<Instant>,
}

impl Backlog {
    pub(super) fn limited(limits: Limits) -> Self {
        Backlog { limits, ..Backlog::default() }
    }

    /// A commit has been told.
    pub(super) fn told(&mut self, which: Which, commit: Token, now: Instant) {
        let limit = if matches!(which, Which::Ids(_)) { i64::MAX } else { self.limits.page };
        self.segments.push_back(Segment { which, commit, seen: false, limit, told: now });
    }

    /// The table is to be scanned before anything else.
    pub(super) fn scan_first(&mut self, which: Which, commit: Token, now: Instant) {
        let limit = self.limits.page;
        self.segments.push_front(Segment { which, commit, seen: true, limit, told: now });
        self.not_before = None;
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

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
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
    /// could not be seen before the snapshot was taken stay.
    pub(super) fn fold(
        &mut self,
        snapshot: String,
        unseen: &HashSet<i64>,
        ledger: &mut Ledger<u64>,
        now: Instant,
    ) {
        let all = std::mem::take(&mut self.segments).into_iter();
        let (stay, folded): (VecDeque<_>, VecDeque<_>) =
            all.partition(|segment| segment.first().is_some_and(|first| unseen.contains(&first)));
        self.segments = stay;
        // A scan that came later stands before what had been told.
        let Some(first) = folded.iter().map(|segment| segment.commit).min() else { return };
        let others = folded.iter().map(|segment| segment.commit).filter(|commit| *commit != first);
        others.for_each(|commit| ledger.loaded(commit));
        self.scan_first(Which::Snapshot { snapshot, after: 0 }, first, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_counts_everything_for_the_first_commit() {
        let (mut ledger, mut backlog) = (Ledger::default(), Backlog::default());
        for lsn in [10, 20, 30] {
            let commit = ledger.received(lsn);
            backlog.told(Which::Ids(vec![1]), commit, Instant::now());
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
        backlog.told(Which::Ids(vec![1]), told, now);
        backlog.scan_first(Which::Snapshot { snapshot: "1:1:".into(), after: 0 }, ledger.received(0), now);
        backlog.fold("1:1:".into(), &HashSet::new(), &mut ledger, now);
        assert_eq!(backlog.first(now).unwrap().commit, told);
    }

    #[test]
    fn a_fold_leaves_alone_what_its_snapshot_does_not_see() {
        let (mut ledger, mut backlog, now) = (Ledger::default(), Backlog::default(), Instant::now());
        for (lsn, id) in [(10, 1), (20, 5), (30, 3)] {
            let commit = ledger.received(lsn);
            backlog.told(Which::Ids(vec![id]), commit, now);
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
        backlog.told(Which::Ids(vec![1]), ledger.received(10), now);
        assert!(!backlog.unseen(now));
        assert!(backlog.first(now).is_none());
        assert!(backlog.first(now + LOOK_AGAIN).is_some());
        assert!(backlog.unseen(now + 2 * VISIBLE_WITHIN));
    }
}
