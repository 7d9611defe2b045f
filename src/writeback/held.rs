//! What waits because something before it is held, pure. A held mutation is in no lane, however many
//! there are; what stands behind it stays in the table with it.

use std::collections::{BTreeSet, HashMap};

use super::lanes::{Node, Queued};

/// Rows behind whose mutations others wait, each with these.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<Node, BTreeSet<i64>>);

impl Held {
    /// A mutation of the row stays in the table.
    pub(super) fn note(&mut self, node: Node, id: i64) {
        self.0.entry(node).or_default().insert(id);
    }

    /// A mutation has come into its lane: what comes after it waits there.
    pub(super) fn left(&mut self, queued: &Queued) {
        if let Some(ids) = self.0.get_mut(&queued.node) {
            ids.remove(&queued.id);
        }
    }

    /// These of the row have settled; true where others may have waited for one that was in no lane.
    pub(super) fn settled(&mut self, node: &Node, ids: &[i64]) -> bool {
        let noted = self.0.get_mut(node);
        noted.is_some_and(|noted| ids.iter().filter(|id| noted.remove(*id)).count() > 0)
    }

    /// Nothing is held any more, or all is read again.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a mutation has to wait: for an earlier one of its own row, or of a row that it references.
    /// Then others wait for it. Mutations are shown in the order of their ids.
    pub(super) fn stops(&mut self, queued: &Queued) -> bool {
        let before =
            |node: &Node| self.0.get(node).and_then(BTreeSet::first).is_some_and(|first| *first < queued.id);
        let stopped = before(&queued.node) || queued.references.iter().any(|(node, _)| before(node));
        if stopped {
            self.note(queued.node.clone(), queued.id);
        }
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RowKey;
    use crate::pg::mirror::Operation;
    use crate::writeback::lanes::Terms;

    fn node(table: &str, key: &str) -> Node {
        (table.to_owned(), RowKey::single(key))
    }

    fn queued(id: i64, own: Node, references: &[Node]) -> Queued {
        Queued {
            id,
            node: own,
            operation: Operation::Update,
            references: references.iter().map(|node| (node.clone(), None)).collect(),
            uncertain: false,
            terms: Terms::default(),
            commit: None,
        }
    }

    #[test]
    fn what_comes_after_a_held_change_waits_and_so_does_what_comes_after_that() {
        let mut held = Held::default();
        held.note(node("parent", "p"), 10);
        assert!(!held.stops(&queued(9, node("parent", "p"), &[])), "it was there before");
        assert!(!held.stops(&queued(11, node("parent", "other"), &[])));
        assert!(held.stops(&queued(12, node("child", "c"), &[node("parent", "p")])));
        assert!(held.stops(&queued(13, node("grandchild", "g"), &[node("child", "c")])));
        assert!(held.stops(&queued(14, node("parent", "p"), &[])));
        held.forget();
        assert!(!held.stops(&queued(15, node("parent", "p"), &[])));
    }

    #[test]
    fn what_settles_without_having_been_in_a_lane_lets_others_go() {
        let (mut held, own) = (Held::default(), node("parent", "p"));
        held.note(own.clone(), 10);
        assert!(held.stops(&queued(11, node("child", "c"), std::slice::from_ref(&own))));
        assert!(!held.settled(&own, &[9]));
        assert!(held.settled(&own, &[9, 10]));
        assert!(!held.stops(&queued(12, node("child", "d"), &[own])));
    }

    #[test]
    fn what_was_released_keeps_nothing_back_once_it_is_in_its_lane() {
        let (mut held, own) = (Held::default(), node("parent", "p"));
        held.note(own.clone(), 10);
        held.note(own.clone(), 12);
        held.left(&queued(10, own.clone(), &[]));
        assert!(!held.stops(&queued(11, own.clone(), &[])));
        assert!(held.stops(&queued(13, own.clone(), &[])), "12 is held still");
        held.left(&queued(12, own.clone(), &[]));
        assert!(held.stops(&queued(14, own, &[])), "13 stays in the table");
    }
}
