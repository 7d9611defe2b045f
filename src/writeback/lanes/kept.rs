//! Mutations that wait in their lanes for others to go together with. Pure.

use serde_json::Value;

use super::{Company, Lanes, Work};

impl Company {
    /// By the `options` of a new row; `gone` is the request under which it has left with others.
    pub fn of(options: Option<&Value>, pending: bool, gone: Option<String>) -> Option<Company> {
        match options.and_then(|options| options.get("bulk")).and_then(Value::as_str) {
            _ if !pending => gone.map(Company::Gone),
            Some("single") => None,
            Some("import") => Some(Company::Always),
            _ => Some(Company::IfCheaper),
        }
    }
}

impl Lanes {
    /// A mutation waits for others.
    pub fn keep(&mut self, id: i64) {
        if self.queued.contains_key(&id) {
            self.kept.insert(id);
        }
    }

    /// A mutation that waited for others goes by itself.
    pub fn release(&mut self, id: i64) {
        if self.kept.remove(&id) {
            self.candidates.insert(id);
        }
    }

    /// The same, and it never waits for others again.
    pub fn by_itself(&mut self, id: i64) {
        if let Some(queued) = self.queued.get_mut(&id) {
            queued.terms.together = None;
        }
        self.release(id);
    }

    /// A mutation that waits for others, as work of its own, where nothing else stands in its way.
    pub fn take_kept(&mut self, id: i64) -> Option<Work> {
        if !self.kept.remove(&id) {
            return None;
        }
        let work = self.work_from(id).filter(|work| work.ids == [id]);
        match work.as_ref().and_then(|work| self.lanes.get_mut(&work.node)) {
            Some(lane) => lane.busy = Some(id),
            None => {
                self.kept.insert(id);
            }
        }
        work
    }

    /// Work that was taken is not done; its mutation waits again.
    pub fn give_back(&mut self, work: &Work) {
        if let Some(lane) = self.lanes.get_mut(&work.node) {
            lane.busy = None;
        }
        self.kept.extend(&work.ids);
    }
}
