//! What must hold after every step, and at the end.

use std::collections::BTreeSet;

use super::Flaw;
use super::service::Service;
use super::tables::{LINK, name, normal, replay};
use super::world::World;
use crate::pg::mirror::{Operation, Row, base_of};
use crate::writeback::lanes::Node;

impl World {
    /// After every step.
    pub(super) fn check(&mut self, service: &mut Service<'_>) -> Result<(), String> {
        if let Some(broken) = self.tenant.broken.take() {
            return Err(broken);
        }
        for node in std::mem::take(&mut self.db.touched) {
            self.check_row(&node)?;
        }
        while let Some(id) = self.db.told.get(self.told_checked).copied() {
            self.told_checked += 1;
            self.check_settled(id)?;
        }
        let applied = match self.flaw {
            Some(Flaw::PositionsRunAhead) => self.received,
            _ => service.desk.applied(),
        };
        while let Some(commit) = self.db.log.get(self.applied_checked).filter(|commit| commit.lsn <= applied)
        {
            let settled = |id: &&i64| self.db.mutations.get(*id).is_some_and(|mutation| mutation.settled);
            // What is held, or waits for it, keeps no position back.
            let counts = !self.holding;
            if let Some(id) = commit.ids.iter().find(|id| counts && !settled(id)) {
                return Err(format!("the apply position is {applied}, and mutation {id} has not settled"));
            }
            self.applied_checked += 1;
        }
        Ok(())
    }

    /// Visible = base + unsettled mutations, and the base is what Auth0 had at some time, never
    /// an earlier one than before.
    fn check_row(&mut self, node: &Node) -> Result<(), String> {
        let resource = self.catalog.resource(&node.0).unwrap();
        let (unsettled, visible) = (self.db.unsettled(node), self.db.rows.get(node));
        let base = base_of(resource, visible, &unsettled);
        let seen = replay(base.clone(), &unsettled)
            .map_err(|id| format!("mutation {id} of {} has nothing to stand on", name(node)))?;
        if normal(seen.as_ref()) != normal(visible) {
            return Err(format!("{}: visible is {visible:?}, base + unsettled is {seen:?}", name(node)));
        }
        let known = self.known.get(node).copied();
        let base = normal(base.as_ref());
        if known.is_none() && base.is_none() {
            return Ok(());
        }
        let history = self.tenant.history.get(node).map(Vec::as_slice).unwrap_or_default();
        let time = |at: usize| history.get(at).and_then(Option::as_ref)?.get("updated_at").cloned();
        let mut from = known.unwrap_or(0);
        // Which of two changes at the same time came first nobody can tell; it is read again.
        while from > 0 && time(from).is_some() && time(from) == time(from - 1) {
            from -= 1;
        }
        let mut states = history.iter().enumerate().skip(from);
        let found = states.find(|(_, state)| normal(Option::as_ref(state)) == base);
        let Some((at, _)) = found else {
            let past = history.iter().take(from).any(|state| normal(state.as_ref()) == base);
            let what = if past { "went back to what Auth0 had before" } else { "is what Auth0 never had" };
            return Err(format!("the base of {} {what}: {base:?}", name(node)));
        };
        self.known.insert(node.clone(), at);
        Ok(())
    }

    /// A mutation's end is what happened to it at Auth0.
    fn check_settled(&self, id: i64) -> Result<(), String> {
        let Some(mutation) = self.db.mutations.get(&id) else {
            return Err(format!("{id} was never committed"));
        };
        let (tenant, row) = (&self.tenant, name(&mutation.node));
        let done = tenant.done.get(&id);
        match mutation.state {
            "confirmed" => {
                // Somebody else may have done the same.
                let had = |wanted: &Row| tenant.has_had(&mutation.node, wanted);
                let nothing = match (mutation.operation, &mutation.after) {
                    (Operation::Insert, _) => {
                        mutation.node.0 == LINK && tenant.history.contains_key(&mutation.node)
                    }
                    (_, Some(wanted)) => had(wanted),
                    (_, None) => tenant.was_gone(&mutation.node, 0),
                };
                if done.is_none() && !nothing {
                    return Err(format!("mutation {id} of {row} is confirmed, and Auth0 never had it"));
                }
            }
            "merged" => {}
            state => {
                if let Some(done) = done
                    && !tenant.was_gone(&done.node, done.at)
                {
                    return Err(format!("mutation {id} of {row} is {state}, and Auth0 has it"));
                }
                // 404: the row, or an end of the link, was not there.
                let may_miss = mutation.operation != Operation::Insert || mutation.node.0 == LINK;
                let missed = may_miss && tenant.was_gone(&mutation.node, 0);
                let refused = tenant.refused.contains_key(&id) || missed || mutation.discarded;
                if state == "reverted" && !refused {
                    return Err(format!("mutation {id} of {row} is reverted, and Auth0 never refused it"));
                }
            }
        }
        Ok(())
    }

    /// When nothing is left to do.
    pub(super) fn check_end(&self) -> Result<(), String> {
        let mut told = BTreeSet::new();
        if let Some(twice) = self.db.told.iter().find(|id| !told.insert(**id)) {
            return Err(format!("the end of mutation {twice} was told twice"));
        }
        if let Some(lost) = self.db.mutations.values().find(|mutation| !mutation.settled) {
            return Err(format!("mutation {} of {} is lost: {}", lost.id, name(&lost.node), lost.state));
        }
        let nodes: BTreeSet<&Node> = self.db.rows.keys().chain(self.tenant.rows.keys()).collect();
        for node in nodes {
            let (here, there) = (self.db.rows.get(node), self.tenant.shown(node));
            if normal(here) != normal(there.as_ref()) {
                return Err(format!("{} is {here:?} here, and at Auth0 {there:?}", name(node)));
            }
        }
        Ok(())
    }
}
