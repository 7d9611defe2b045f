//! New rows that wait for company, pure: which of them go together and when, and which go by themselves
//! after all. It owns none of the lanes: what waits here is kept in its lane.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Order;
use crate::retry::pause;
use crate::writeback::lanes::{Company, Lanes, Queued, Work};

/// Rows in one order at most.
const MOST: usize = 5_000;
/// After a look that found no row fit, others go by themselves for so long without one.
const UNFIT: Duration = Duration::from_secs(60);

/// All that waits, by table.
#[derive(Debug, Default)]
pub(in crate::writeback) struct Gather {
    tables: BTreeMap<String, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Where that is cheaper.
    cheaper: BTreeSet<i64>,
    /// Whatever it costs, or because it has been decided of all that came with them.
    always: BTreeSet<i64>,
    /// A call for them may have left, by its request.
    gone: BTreeMap<String, BTreeSet<i64>>,
    under_way: usize,
    /// Orders in a row that came too early.
    early: u32,
    not_before: Option<Instant>,
    /// None of those that may go either way was fit: they go by themselves until then.
    unfit_until: Option<Instant>,
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.cheaper.is_empty() && self.always.is_empty() && self.gone.is_empty()
    }

    /// Those that may go either way go by themselves.
    fn release(&mut self, lanes: &mut Lanes) {
        for id in std::mem::take(&mut self.cheaper) {
            lanes.release(id);
        }
    }
}

impl Gather {
    /// Keeps a mutation that may go together with others.
    pub(in crate::writeback) fn keep(&mut self, queued: &Queued, lanes: &mut Lanes) {
        let Some(together) = &queued.terms.together else { return };
        let waiting = self.tables.entry(queued.node.0.clone()).or_default();
        match together {
            Company::IfCheaper => waiting.cheaper.insert(queued.id),
            Company::Always => waiting.always.insert(queued.id),
            Company::Gone(request) => waiting.gone.entry(request.clone()).or_default().insert(queued.id),
        };
        lanes.keep(queued.id);
    }

    /// Rows that went into no file yet go into the next: what is worth it for many is not asked again for the rest.
    pub(in crate::writeback) fn keep_decided(&mut self, work: &Work, lanes: &mut Lanes) {
        let waiting = self.tables.entry(work.node.0.clone()).or_default();
        for id in &work.ids {
            waiting.always.insert(*id);
            lanes.keep(*id);
        }
    }

    /// Whether nothing waits.
    pub(in crate::writeback) fn is_empty(&self) -> bool {
        self.tables.values().all(Waiting::is_idle)
    }

    /// When to look again, where something waits for a time.
    pub(in crate::writeback) fn not_before(&self) -> Option<Instant> {
        let waiting = self.tables.values().filter(|waiting| !waiting.is_idle());
        waiting.filter_map(|waiting| waiting.not_before).min()
    }

    /// Rows to create together now. All that is told and fits has been loaded: what is too few goes by itself.
    pub(in crate::writeback) fn next(
        &mut self,
        lanes: &mut Lanes,
        at_a_time: &dyn Fn(&str) -> usize,
        is_worth: &dyn Fn(&str, usize) -> bool,
        now: Instant,
    ) -> Option<Order> {
        for (table, waiting) in &mut self.tables {
            if waiting.is_idle() {
                continue;
            }
            if waiting.unfit_until.is_some_and(|until| until > now) {
                waiting.release(lanes);
            }
            if waiting.not_before.is_some_and(|until| until > now) {
                continue;
            }
            waiting.not_before = None;
            if let Some((request, ids)) = waiting.gone.pop_first() {
                let works = take(lanes, ids.iter().copied());
                for id in ids.iter().filter(|id| works.iter().all(|work| !work.ids.contains(id))) {
                    lanes.by_itself(*id);
                }
                waiting.under_way += 1;
                // What waits beside it has come with it, mostly: it has been decided of all of them.
                waiting.always.append(&mut waiting.cheaper);
                return Some(Order { table: table.clone(), works, decided: true, gone: Some(request) });
            }
            if waiting.under_way >= at_a_time(table) {
                continue;
            }
            let mut works = take(lanes, waiting.always.iter().copied());
            let decided = !works.is_empty();
            let either = take(lanes, waiting.cheaper.iter().copied().take(MOST - works.len()));
            // More than an order holds are worth as much as all of them.
            let rows = if either.len() + works.len() == MOST { waiting.cheaper.len() } else { either.len() };
            if either.is_empty() || !is_worth(table, rows + works.len()) {
                for work in either {
                    lanes.give_back(&work);
                }
                waiting.release(lanes);
            } else {
                works.extend(either);
            }
            for id in works.iter().flat_map(|work| &work.ids) {
                waiting.cheaper.remove(id);
                waiting.always.remove(id);
            }
            if !works.is_empty() {
                waiting.under_way += 1;
                return Some(Order { table: table.clone(), works, decided, gone: None });
            }
        }
        None
    }

    /// An order has ended, or `goes_on` with some of its rows; where it came too `early` the next waits, longer each time.
    pub(in crate::writeback) fn ended(
        &mut self,
        table: &str,
        early: Option<Instant>,
        unfit: bool,
        goes_on: bool,
        now: Instant,
    ) {
        let Some(waiting) = self.tables.get_mut(table) else { return };
        if unfit {
            waiting.unfit_until = Some(now + UNFIT);
        }
        if goes_on {
            return;
        }
        waiting.under_way = waiting.under_way.saturating_sub(1);
        match early {
            Some(at) => {
                let patience = pause(waiting.early, Duration::from_secs(1), Duration::from_secs(60));
                waiting.not_before = Some(at.max(now + patience));
                waiting.early += 1;
            }
            None => waiting.early = 0,
        }
    }

    /// A mutation that has settled in another way waits no more.
    pub(in crate::writeback) fn forget(&mut self, table: &str, ids: &[i64]) {
        let Some(waiting) = self.tables.get_mut(table).filter(|waiting| !waiting.is_idle()) else { return };
        for id in ids {
            waiting.cheaper.remove(id);
            waiting.always.remove(id);
        }
    }
}

/// Those of them that nothing stands in the way of, as many as an order holds.
fn take(lanes: &mut Lanes, ids: impl Iterator<Item = i64>) -> Vec<Work> {
    ids.filter_map(|id| lanes.take_kept(id)).take(MOST).collect()
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
