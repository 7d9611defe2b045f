//! Commits that have been told and are not in lanes yet, in their order. It holds ids, never rows,
//! and when there are too many it holds a snapshot instead: the table has the rest.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::store::Which;
use crate::ledger::{Ledger, Token};

/// Segments held at most before they are folded into one scan of the table.
const SEGMENTS: usize = 10_000;
/// The longest that a told commit may take to become visible; later the periodic scan finds it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// So long it is looked for without a pause: it is told a moment before it can be seen.
const AT_ONCE: Duration = Duration::from_millis(3);
/// Between two looks for a commit that is not visible yet.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Mutations loaded together at most, but for those that the stream has named.
const PAGE: i64 = 1_000;

/// Mutations to load together.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) which: Which,
    /// Counts its mutations in the ledger.
    pub(super) commit: Token,
    /// Some of it has been loaded, so all of it can be seen.
    pub(super) seen: bool,
    told: Instant,
}

impl Segment {
    /// Whether it has just been told, so that it comes into sight at any moment.
    pub(super) fn is_new(&self, now: Instant) -> bool {
        !self.seen && now < self.told + AT_ONCE
    }

    /// How many of its mutations to load together.
    pub(super) fn limit(&self) -> i64 {
        if matches!(self.which, Which::Ids(_)) { i64::MAX } else { PAGE }
    }
}

/// Segments in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    segments: VecDeque<Segment>,
    /// The first segment cannot be seen yet: not before this time again.
    pub(super) not_before: Option<Instant>,
}

impl Backlog {
    /// A commit has been told.
    pub(super) fn told(&mut self, which: Which, commit: Token, now: Instant) {
        self.segments.push_back(Segment { which, commit, seen: false, told: now });
    }

    /// The table is to be scanned before anything else.
    pub(super) fn scan_first(&mut self, which: Which, commit: Token, now: Instant) {
        self.segments.push_front(Segment { which, commit, seen: true, told: now });
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
        self.segments.len() > SEGMENTS
    }

    /// Puts one scan by `snapshot` in place of everything: what it saw is loaded from the table,
    /// in id order, and counts for the first commit, so that the later ones wait for it.
    pub(super) fn fold(&mut self, snapshot: String, ledger: &mut Ledger<u64>, now: Instant) {
        let Some(first) = self.segments.pop_front() else { return };
        for segment in self.segments.drain(..) {
            ledger.loaded(segment.commit);
        }
        self.scan_first(Which::Snapshot { snapshot, after: 0 }, first.commit, now);
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
        backlog.fold("1:1:".into(), &mut ledger, Instant::now());
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
