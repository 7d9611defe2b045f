//! What the dispatcher decides of new rows that go together, pure.

use tokio::time::Instant;

use super::{Desk, Follows};
use crate::writeback::bulk;
use crate::writeback::lanes::Company;
use crate::writeback::worker::Ended;

impl Desk {
    /// Whether rows wait to go together.
    pub(in crate::writeback) fn gathers(&self) -> bool {
        !self.gather.is_empty()
    }

    /// Rows to create together, `at_a_time` orders of a table, those that may go either way where it `is_worth` it.
    pub(in crate::writeback) fn next_import(
        &mut self,
        at_a_time: &dyn Fn(&str) -> usize,
        is_worth: &dyn Fn(&str, usize) -> bool,
        now: Instant,
    ) -> Option<bulk::Order> {
        if self.paused || self.hold.is_some_and(|(until, _)| until > now) {
            return None;
        }
        self.lanes.end_delays(now);
        self.gather.next(&mut self.lanes, at_a_time, is_worth, now)
    }

    /// Takes the end of an order of rows to create together.
    pub(in crate::writeback) fn import_ended(&mut self, done: bulk::Done, now: Instant) -> Follows {
        self.gather.ended(&done.table, done.early, done.unfit, done.goes_on, now);
        let mut follows = Follows::default();
        for (work, end) in done.ends {
            let again = match end {
                bulk::End::Settled(settled) => {
                    let more = self.took(work, Ok(Ended::Settled(settled)), now);
                    follows.cancel.extend(more.cancel);
                    follows.to_read.extend(more.to_read);
                    continue;
                }
                bulk::End::Alone => {
                    work.ids.iter().for_each(|id| self.lanes.by_itself(*id));
                    self.lanes.put_back(&work, now, false);
                    continue;
                }
                bulk::End::InDoubt => {
                    work.ids.iter().for_each(|id| self.lanes.by_itself(*id));
                    self.lanes.put_back_in_doubt(&work, now);
                    continue;
                }
                bulk::End::Later => {
                    self.lanes.put_back(&work, now, false);
                    self.gather.keep_decided(&work, &mut self.lanes);
                    continue;
                }
                bulk::End::Gone(request) => {
                    self.lanes.put_back_in_doubt(&work, now);
                    Company::Gone(request)
                }
            };
            for mut queued in
                work.ids.iter().filter_map(|id| self.lanes.get(*id)).cloned().collect::<Vec<_>>()
            {
                queued.terms.together = Some(again.clone());
                self.gather.keep(&queued, &mut self.lanes);
            }
        }
        follows
    }
}
