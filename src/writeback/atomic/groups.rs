//! The transactions that are all or nothing and have mutations in lanes: which of these may leave, and when
//! one that has failed is quiet enough to be taken back. Pure; it knows of no row.

use std::collections::{BTreeMap, HashMap};

use crate::writeback::lanes::{Queued, Work};

/// Where a mutation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In its lane.
    Waits,
    /// A worker has it.
    UnderWay,
    /// A call may have left; it is to be read back.
    InDoubt,
    /// Auth0 has it.
    Applied,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<i64, Place>,
    failed: bool,
    /// Somebody is taking it back.
    comes_back: bool,
}

/// Undecided transactions.
#[derive(Debug, Default)]
pub(in crate::writeback) struct Groups(HashMap<u64, Group>);

impl Groups {
    /// A mutation goes into its lane; one that is known already stays where it is.
    pub(in crate::writeback) fn queued(&mut self, queued: &Queued) {
        let Some(atomic) = queued.terms.atomic else { return };
        let place = match (atomic.applied, queued.uncertain) {
            (true, _) => Place::Applied,
            (false, true) => Place::InDoubt,
            (false, false) => Place::Waits,
        };
        self.0.entry(atomic.txid).or_default().members.entry(queued.id).or_insert(place);
    }

    /// Something of the transaction has settled without effect.
    pub(in crate::writeback) fn failed(&mut self, txid: u64) {
        self.0.entry(txid).or_default().failed = true;
    }

    /// Whether work may leave: of a transaction that has failed, only what has to be read back.
    pub(in crate::writeback) fn leaves(&mut self, work: &mut Work) -> bool {
        let Some(atomic) = work.terms.atomic.as_mut() else { return true };
        let group = self.0.entry(atomic.txid).or_default();
        if group.failed && !work.uncertain {
            return false;
        }
        atomic.withdrawn = group.failed;
        group.members.extend(work.ids.iter().map(|id| (*id, Place::UnderWay)));
        true
    }

    /// Nothing has happened, or nobody knows whether (`in_doubt`).
    pub(in crate::writeback) fn back(&mut self, work: &Work, in_doubt: bool) {
        self.put(work, if in_doubt { Place::InDoubt } else { Place::Waits });
    }

    /// Auth0 has it.
    pub(in crate::writeback) fn applied(&mut self, work: &Work) {
        self.put(work, Place::Applied);
    }

    /// These have settled.
    pub(in crate::writeback) fn settled(&mut self, work: &Work, ids: &[i64]) {
        if work.terms.atomic.is_some() || !self.0.is_empty() {
            self.forget(ids);
        }
    }

    /// The transaction is confirmed.
    pub(in crate::writeback) fn confirmed(&mut self, txid: u64) {
        self.0.remove(&txid);
    }

    /// A transaction that is to be taken back: it has failed, and nothing of it is under way.
    pub(in crate::writeback) fn due(&mut self) -> Option<u64> {
        let quiet = |group: &Group| {
            group.members.values().all(|place| matches!(place, Place::Waits | Place::Applied))
        };
        let due = self.0.iter_mut().find(|(_, group)| group.failed && !group.comes_back && quiet(group));
        due.map(|(txid, group)| {
            group.comes_back = true;
            *txid
        })
    }

    /// Its mutations that are in lanes.
    pub(in crate::writeback) fn of(&self, txid: u64) -> Vec<i64> {
        self.0.get(&txid).map(|group| group.members.keys().copied().collect()).unwrap_or_default()
    }

    /// A transaction has been taken back: these are all of its mutations that have settled.
    pub(in crate::writeback) fn came_back(&mut self, txid: u64, ids: &[i64]) {
        if let Some(group) = self.0.get_mut(&txid) {
            group.comes_back = false;
            group.members.retain(|id, _| !ids.contains(id));
            if group.members.is_empty() {
                self.0.remove(&txid);
            }
        }
    }

    fn put(&mut self, work: &Work, place: Place) {
        let Some(group) = work.terms.atomic.and_then(|atomic| self.0.get_mut(&atomic.txid)) else { return };
        group.members.extend(work.ids.iter().map(|id| (*id, place)));
    }

    /// A failed transaction stays until it has come back: the table may have more of it.
    fn forget(&mut self, ids: &[i64]) {
        self.0.retain(|_, group| {
            group.members.retain(|id, _| !ids.contains(id));
            group.failed || !group.members.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RowKey;
    use crate::pg::mirror::Operation;
    use crate::writeback::lanes::{Atomic, Terms};

    const OF: Atomic = Atomic { txid: 7, applied: false, withdrawn: false };

    fn queued(id: i64, applied: bool, uncertain: bool) -> Queued {
        Queued {
            id,
            node: ("t".to_owned(), RowKey::single(id.to_string())),
            operation: Operation::Update,
            references: Vec::new(),
            uncertain,
            terms: Terms { atomic: Some(Atomic { applied, ..OF }), ..Terms::default() },
            commit: None,
        }
    }

    fn work(id: i64, uncertain: bool) -> Work {
        let Queued { node, operation, terms, .. } = queued(id, false, uncertain);
        Work { ids: vec![id], node, operation, uncertain, terms }
    }

    #[test]
    fn what_has_failed_comes_back_when_nothing_of_it_is_under_way() {
        let mut groups = Groups::default();
        (1..=4).for_each(|id| groups.queued(&queued(id, false, false)));
        assert!(groups.leaves(&mut work(1, false)) && groups.leaves(&mut work(2, false)));
        groups.applied(&work(1, false));
        groups.settled(&work(3, false), &[3]);
        groups.failed(7);
        assert!(!groups.leaves(&mut work(4, false)), "nothing more leaves");
        assert_eq!(groups.due(), None, "the second is under way");
        groups.back(&work(2, false), false);
        assert_eq!((groups.due(), groups.due()), (Some(7), None), "once");
        groups.came_back(7, &[1, 2, 3, 4]);
        assert!(groups.0.is_empty());
    }

    #[test]
    fn what_is_in_doubt_is_read_back_before_the_rest_comes_back() {
        let mut groups = Groups::default();
        groups.queued(&queued(1, true, false));
        groups.queued(&queued(2, false, true));
        groups.failed(7);
        assert_eq!(groups.due(), None);
        let mut read_back = work(2, true);
        assert!(groups.leaves(&mut read_back) && read_back.terms.atomic.unwrap().withdrawn);
        groups.back(&read_back, true);
        assert_eq!(groups.due(), None);
        groups.applied(&read_back);
        assert_eq!(groups.due(), Some(7));
    }

    #[test]
    fn what_is_loaded_again_stays_where_it_is_and_a_failed_transaction_until_it_has_come_back() {
        let mut groups = Groups::default();
        groups.queued(&queued(1, false, false));
        assert!(groups.leaves(&mut work(1, false)));
        groups.queued(&queued(1, false, false));
        groups.failed(7);
        assert_eq!(groups.due(), None, "it is under way still");
        groups.settled(&work(1, false), &[1]);
        assert_eq!(groups.due(), Some(7), "the table may have more of it");
        groups.queued(&queued(2, false, false));
        groups.came_back(7, &[1]);
        assert_eq!(groups.due(), Some(7), "and so may the lanes");
        groups.came_back(7, &[1, 2]);
        assert_eq!(groups.due(), None);
        groups.queued(&queued(3, false, false));
        groups.confirmed(7);
        assert!(groups.0.is_empty());
    }
}
