//! Works whose outcome is known and that are not settled yet, because a row is held or cannot be seen. The
//! dispatcher hears of them, so that nobody waits for their settlement who waits for the answer alone; among
//! themselves they settle in the order of their row. It knows no outcome.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::writeback::lanes::{Node, Work};

/// Whether commits wait for the service is asked no more often: it is a setting of the server.
const ASKED: Duration = Duration::from_secs(1);

/// Those of one tenant.
#[derive(Debug, Default)]
pub struct Answered {
    state: Mutex<State>,
    /// Whether commits wait for the service, and when that was asked.
    awaited: tokio::sync::Mutex<Option<(Instant, bool)>>,
    noted: Notify,
    gone: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Not heard of by the dispatcher.
    new: Vec<Work>,
    /// The first mutation of each, by row.
    waiting: HashMap<Node, BTreeSet<i64>>,
}

/// Stands while a work waits.
#[derive(Debug)]
pub(in crate::writeback) struct Mark<'a> {
    of: &'a Answered,
    node: Node,
    first: i64,
}

impl Answered {
    /// The outcome of a work is known.
    pub(in crate::writeback) fn note(&self, work: &Work) -> Mark<'_> {
        let first = first(work);
        let mut state = self.state();
        state.new.push(work.clone());
        state.waiting.entry(work.node.clone()).or_default().insert(first);
        drop(state);
        self.noted.notify_one();
        Mark { of: self, node: work.node.clone(), first }
    }

    /// Waits until there is something to take.
    pub(in crate::writeback) async fn noted(&self) {
        self.noted.notified().await;
    }

    /// What has been noted since the last time.
    pub(in crate::writeback) fn take(&self) -> Vec<Work> {
        std::mem::take(&mut self.state().new)
    }

    /// Waits until no earlier work of the same row waits.
    pub(in crate::writeback) async fn turn(&self, work: &Work) {
        let mut gone = self.gone.subscribe();
        let first = first(work);
        let waits = || {
            let state = self.state();
            state.waiting.get(&work.node).is_some_and(|of_row| of_row.range(..first).next().is_some())
        };
        while waits() {
            // The sender lives as long as `self`.
            let _ = gone.changed().await;
        }
    }

    /// Whether commits may wait for the service, by what `ask` tells; whoever comes soon afterwards, or while it
    /// is asked, takes that.
    pub(in crate::writeback) async fn is_awaited<F>(&self, ask: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = bool>,
    {
        let mut awaited = self.awaited.lock().await;
        match *awaited {
            Some((asked, waits)) if asked.elapsed() < ASKED => waits,
            _ => {
                let waits = ask().await;
                *awaited = Some((Instant::now(), waits));
                waits
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        if let Some(of_row) = state.waiting.get_mut(&self.node) {
            of_row.remove(&self.first);
            if of_row.is_empty() {
                state.waiting.remove(&self.node);
            }
        }
        drop(state);
        self.of.gone.send_replace(());
    }
}

fn first(work: &Work) -> i64 {
    work.ids.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::catalog::RowKey;
    use crate::pg::mirror::Operation;
    use crate::writeback::lanes::Terms;

    fn work(key: &str, id: i64) -> Work {
        Work {
            ids: vec![id],
            node: ("t".to_owned(), RowKey::single(key)),
            operation: Operation::Update,
            uncertain: false,
            terms: Terms::default(),
        }
    }

    #[tokio::test]
    async fn works_of_a_row_settle_in_its_order_and_others_do_not_wait() {
        let answered = Answered::default();
        let (first, second) = (answered.note(&work("a", 1)), answered.note(&work("a", 2)));
        assert!(answered.noted().now_or_never().is_some());
        assert_eq!(answered.take(), [work("a", 1), work("a", 2)]);
        assert_eq!(answered.take(), []);
        assert!(answered.turn(&work("a", 1)).now_or_never().is_some());
        assert!(answered.turn(&work("b", 9)).now_or_never().is_some());
        let third = work("a", 3);
        let mut turn = Box::pin(answered.turn(&third));
        assert!(turn.as_mut().now_or_never().is_none());
        drop(first);
        assert!(turn.as_mut().now_or_never().is_none(), "the second stands before it");
        drop(second);
        assert!(turn.now_or_never().is_some());
        assert!(answered.state().waiting.is_empty());
    }
}
