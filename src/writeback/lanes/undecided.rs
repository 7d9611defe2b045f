//! What Auth0 has answered and what is not settled yet: because the row is held, or because its transaction is
//! all or nothing and not decided. Pure.

use super::{Lane, Lanes, Node, Queued, Work};
use crate::ledger::Token;
use crate::pg::mirror::PROVISIONAL;

/// A mutation of a transaction that is all or nothing at Auth0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atomic {
    /// The transaction.
    pub txid: u64,
    /// Auth0 has it, and the transaction is not decided: nothing is to be sent for it, and nobody else's
    /// mutation of the row leaves.
    pub applied: bool,
    /// The transaction has failed: nothing of it leaves that has not left yet.
    pub withdrawn: bool,
}

impl Lanes {
    /// Whether something of an undecided transaction is held of this row.
    pub fn has_atomic(&self, node: &Node) -> bool {
        let own = self.lanes.get(node).into_iter().flat_map(|lane| &lane.own);
        own.filter_map(|id| self.queued.get(id)).any(|queued| queued.terms.atomic.is_some())
    }

    /// Auth0 has the mutation of `work`, and its transaction is not decided: it stays in its lane. No commit
    /// waits for it from now on; the commits come back for the ledger.
    pub fn applied(&mut self, work: &Work) -> Vec<Token> {
        if let Some(lane) =
            self.lanes.get_mut(&work.node).filter(|lane| lane.busy == work.ids.first().copied())
        {
            (lane.busy, lane.delayed) = (None, None);
        }
        for id in &work.ids {
            let Some(queued) = self.queued.get_mut(id) else { continue };
            let Some(atomic) = queued.terms.atomic.as_mut().filter(|atomic| !atomic.applied) else {
                continue;
            };
            (atomic.applied, queued.uncertain) = (true, false);
            self.applied += 1;
            let parents: Vec<Node> = queued.references.iter().map(|(node, _)| node.clone()).collect();
            for node in parents {
                self.wake(&node);
            }
        }
        let children = self.lanes.get(&work.node).map(|lane| lane.referenced_by.clone());
        self.candidates.extend(children.unwrap_or_default());
        self.wake(&work.node);
        self.let_go(&work.ids)
    }

    /// No commit waits for these any more; the commits come back for the ledger.
    pub fn let_go(&mut self, ids: &[i64]) -> Vec<Token> {
        let mut commits = Vec::new();
        for id in ids {
            let Some(queued) = self.queued.get_mut(id) else { continue };
            commits.extend(queued.commit.take());
            commits.extend(self.also.remove(id).into_iter().flatten());
            self.answered.insert(*id);
        }
        commits
    }

    /// The work stays where it is, until [`Lanes::gone`] takes it away.
    pub fn rest(&mut self, work: &Work) {
        if let Some(lane) =
            self.lanes.get_mut(&work.node).filter(|lane| lane.busy == work.ids.first().copied())
        {
            lane.busy = None;
        }
    }

    /// These mutations, none of them under way, have settled; their commits come back for the ledger.
    pub fn gone(&mut self, ids: &[i64]) -> Vec<Token> {
        let mut commits = Vec::new();
        for id in ids {
            let Some(node) = self.queued.get(id).map(|queued| queued.node.clone()) else { continue };
            if let Some(lane) = self.lanes.get_mut(&node) {
                // It may be this one that the lane was waiting with.
                lane.delayed = None;
            }
            commits.extend(self.remove(*id));
            commits.extend(self.also.remove(id).into_iter().flatten());
            self.wake(&node);
        }
        commits
    }

    /// The outcome of `work` is known, and it is not settled yet: no commit waits for it from now on, and what
    /// comes after it goes on, unless the row has no key at Auth0 before. The commits come back for the ledger.
    pub fn answered(&mut self, work: &Work) -> Vec<Token> {
        let commits = self.let_go(&work.ids);
        let is_provisional = work.node.1.0.iter().any(|part| part.starts_with(PROVISIONAL));
        let first = work.ids.first().copied();
        if let Some(lane) = self.lanes.get_mut(&work.node)
            && lane.busy == first
            && !is_provisional
            // Others of its row wait for the decision of its transaction.
            && work.terms.atomic.is_none()
        {
            lane.busy = None;
            for id in &work.ids {
                self.step_out(*id);
            }
            self.wake(&work.node);
        }
        commits
    }

    /// Whether its outcome is known.
    pub fn is_answered(&self, id: i64) -> bool {
        self.answered.contains(&id)
    }

    /// The first mutation of a lane that has not left: behind those that are applied only if it is of the
    /// same transaction.
    pub(super) fn first_to_leave(&self, lane: &Lane) -> Option<&Queued> {
        let mut undecided = None;
        for queued in lane.own.iter().filter_map(|id| self.queued.get(id)) {
            let of = queued.terms.atomic.map(|atomic| atomic.txid);
            if !is_applied(queued) {
                return (undecided.is_none() || undecided == of).then_some(queued);
            }
            undecided = of;
        }
        None
    }
}

/// Whether Auth0 has it, and its transaction is not decided.
pub(super) fn is_applied(queued: &Queued) -> bool {
    queued.terms.atomic.is_some_and(|atomic| atomic.applied)
}
