//! Calls of ours whose answers never came. What such a call does it may do at any time later, even after its
//! row was read back: what Auth0's log tells of it is news.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered; the log tells of a call within minutes.
const MOST: usize = 10_000;

/// Correlation ids of such calls.
#[derive(Debug, Default)]
pub struct Doubtful(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

/// A call that has left; dropped without [`Unanswered::end`] it is doubtful.
#[derive(Debug)]
pub struct Unanswered<'a> {
    of: &'a Doubtful,
    id: Option<String>,
}

impl Unanswered<'_> {
    /// Its answer is there, or it has never left.
    pub fn end(mut self) {
        self.id = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.of.add(id);
        }
    }
}

impl Doubtful {
    /// A call with this correlation id leaves.
    pub fn leaves(&self, id: &str) -> Unanswered<'_> {
        Unanswered { of: self, id: Some(id.to_owned()) }
    }

    /// A call with this correlation id may have left in an earlier process.
    pub fn add(&self, id: String) {
        let mut state = self.state();
        if state.ids.insert(id.clone()) {
            state.order.push_back(id);
        }
        if state.order.len() > MOST
            && let Some(oldest) = state.order.pop_front()
        {
            state.ids.remove(&oldest);
        }
    }

    /// Whether nobody has heard what became of the call with this correlation id.
    pub fn has(&self, id: &str) -> bool {
        self.state().ids.contains(id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_doubtful_that_ends_without_an_answer_and_the_oldest_are_forgotten() {
        let doubtful = Doubtful::default();
        let (answered, cut_off) = (doubtful.leaves("a"), doubtful.leaves("b"));
        assert!(!doubtful.has("a") && !doubtful.has("b"), "their answers may come");
        answered.end();
        drop(cut_off);
        assert!(!doubtful.has("a") && doubtful.has("b"));
        (1..MOST).for_each(|n| doubtful.add(n.to_string()));
        doubtful.add("b".into());
        assert!(doubtful.has("b") && doubtful.has("1"));
        doubtful.add("one more".into());
        assert!(!doubtful.has("b") && doubtful.has("1"));
    }
}
