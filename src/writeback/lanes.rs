//! Lanes, pure: one a row, in order; different rows in parallel; parents before children.
//!
//! A mutation may leave when nothing unsettled before it stands in its way: an earlier one of its
//! own row, the insert or delete of a row that it references, or, for an insert or delete, an
//! earlier mutation of a row that references it. Time and answers come in, work goes out.

mod kept;
mod undecided;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::time::Instant;

pub use undecided::Atomic;
use undecided::is_applied;

use super::unseen::Unseen;
use crate::catalog::RowKey;
use crate::ledger::Token;
use crate::pg::mirror::{Operation, PROVISIONAL};

/// A row of a mirror table.
pub type Node = (String, RowKey);

/// How a new row may be created together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Company {
    /// Where that is cheaper.
    IfCheaper,
    /// Whatever it costs: its client wants it.
    Always,
    /// A call for all of them may have left, under this request.
    Gone(String),
}

/// What a client has asked beyond the change itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Who has taken it back before it left.
    pub discarded: Option<String>,
    /// It leaves only where Auth0 still has what the client had read.
    pub checked: bool,
    /// Its commit waits for the answer and cannot be seen: what there is to send.
    pub(super) unseen: Option<Unseen>,
    /// It may go together with other rows.
    pub together: Option<Company>,
    /// Its transaction is all or nothing at Auth0.
    pub atomic: Option<Atomic>,
}

impl Terms {
    /// Whether it never shares a call with another mutation.
    fn are_its_own(&self) -> bool {
        self.discarded.is_some() || self.checked || self.unseen.is_some() || self.atomic.is_some()
    }
}

/// A mutation as it is queued.
#[derive(Clone, Debug)]
pub struct Queued {
    /// `_sync_cdc.id`.
    pub id: i64,
    /// Its row.
    pub node: Node,
    /// What it does.
    pub operation: Operation,
    /// Rows that must be there first, each with the part of the own key that holds the last part of theirs.
    pub references: Vec<(Node, Option<usize>)>,
    /// A call for it may have left before the service was stopped.
    pub uncertain: bool,
    /// What its client has asked beyond the change.
    pub terms: Terms,
    /// The commit that brought it, for the apply position.
    pub commit: Option<Token>,
}

/// One call to make: mutations of one row that go out together, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// `_sync_cdc` ids, ascending.
    pub ids: Vec<i64>,
    /// The row.
    pub node: Node,
    /// What the call does: that of the last mutation.
    pub operation: Operation,
    /// A call for them may have left already: read back first.
    pub uncertain: bool,
    /// What the client of a single mutation has asked beyond the change.
    pub terms: Terms,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and most of them are calls")]
pub enum Next {
    /// Make this call.
    Work(Work),
    /// Nothing may leave before this time.
    WaitUntil(Instant),
    /// Nothing may leave before something else settles or arrives.
    Idle,
}

#[derive(Debug, Default)]
struct Lane {
    own: BTreeSet<i64>,
    /// Mutations of other rows that reference this one.
    referenced_by: BTreeSet<i64>,
    /// The first mutation of the work under way.
    busy: Option<i64>,
    /// Nothing leaves before this time.
    delayed: Option<Instant>,
    /// A call with several mutations was refused: they go one by one.
    alone: BTreeSet<i64>,
}

/// All lanes of one tenant.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<Node, Lane>,
    queued: HashMap<i64, Queued>,
    /// Further commits that mutations count for.
    also: HashMap<i64, Vec<Token>>,
    /// Their outcome is known; they stand in nobody's way, and no commit waits for them.
    answered: HashSet<i64>,
    /// Heads of lanes that may be able to leave.
    candidates: BTreeSet<i64>,
    delayed: BTreeSet<(Instant, i64)>,
    /// They wait for others to go together with, and do not leave by themselves.
    kept: HashSet<i64>,
    /// How many are applied and not decided.
    applied: usize,
}

impl Lanes {
    /// How many mutations wait to leave, or are under way: those that are applied wait for nothing of theirs.
    pub fn len(&self) -> usize {
        self.queued.len() - self.applied
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Whether this mutation is held.
    pub fn has(&self, id: i64) -> bool {
        self.queued.contains_key(&id)
    }

    /// Whether a mutation of this row is held.
    pub fn has_row(&self, node: &Node) -> bool {
        self.lanes.get(node).is_some_and(|lane| !lane.own.is_empty() || lane.busy.is_some())
    }

    /// Queues a mutation, or counts one that is held for one more commit; false where it counts for
    /// `commit` already. A scan may have brought it before the commit that the stream has told, whose
    /// position must wait for it all the same.
    pub fn push(&mut self, mut queued: Queued) -> bool {
        let id = queued.id;
        if self.answered.contains(&id) {
            return false;
        }
        let applied = is_applied(&queued);
        if applied {
            // An earlier process has had the answer.
            queued.commit = None;
            self.answered.insert(id);
        }
        if let Some(held) = self.queued.get_mut(&id) {
            let Some(commit) = queued.commit.filter(|commit| held.commit != Some(*commit)) else {
                return false;
            };
            if held.commit.is_none() {
                held.commit = Some(commit);
                return true;
            }
            let also = self.also.entry(id).or_default();
            let new = !also.contains(&commit);
            if new {
                also.push(commit);
            }
            return new;
        }
        self.applied += usize::from(applied);
        self.line_up(&queued);
        self.queued.insert(id, queued);
        self.candidates.insert(id);
        !applied
    }

    fn line_up(&mut self, queued: &Queued) {
        self.lanes.entry(queued.node.clone()).or_default().own.insert(queued.id);
        for (node, _) in &queued.references {
            self.lanes.entry(node.clone()).or_default().referenced_by.insert(queued.id);
        }
    }

    /// The next call to make.
    pub fn next(&mut self, now: Instant) -> Next {
        self.end_delays(now);
        // A candidate that cannot leave comes back when what stands in its way is gone.
        while let Some(id) = self.candidates.pop_first() {
            if let Some(work) = self.work_from(id) {
                if let Some(lane) = self.lanes.get_mut(&work.node) {
                    lane.busy = work.ids.first().copied();
                }
                return Next::Work(work);
            }
        }
        self.delayed.first().map_or(Next::Idle, |(until, _)| Next::WaitUntil(*until))
    }

    /// What was to wait until now waits no more.
    pub fn end_delays(&mut self, now: Instant) {
        while let Some(&(until, id)) = self.delayed.first().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, id));
            if let Some(lane) = self.queued.get(&id).and_then(|queued| self.lanes.get_mut(&queued.node)) {
                lane.delayed = None;
            }
            self.candidates.insert(id);
        }
    }

    /// The mutation, where it is held.
    pub fn get(&self, id: i64) -> Option<&Queued> {
        self.queued.get(&id)
    }

    /// These mutations of `work`'s row have settled; their commits come back for the ledger.
    pub fn settled(&mut self, work: &Work, ids: &[i64]) -> Vec<Token> {
        if let Some(lane) = self.lanes.get_mut(&work.node)
            && lane.busy == work.ids.first().copied()
        {
            lane.busy = None;
            // What it was waiting with may be among those that have settled.
            lane.delayed = None;
        }
        let mut commits: Vec<Token> = ids.iter().filter_map(|id| self.remove(*id)).collect();
        commits.extend(ids.iter().filter_map(|id| self.also.remove(id)).flatten());
        self.wake(&work.node);
        commits
    }

    /// Nothing happened; the work is taken up again at `until`, `alone` if one by one.
    pub fn put_back(&mut self, work: &Work, until: Instant, alone: bool) {
        for id in &work.ids {
            // It goes back to where it was.
            if self.answered.remove(id)
                && let Some(queued) = self.queued.get(id).cloned()
            {
                self.line_up(&queued);
            }
        }
        if let Some(lane) = self.lanes.get_mut(&work.node) {
            if lane.busy == work.ids.first().copied() {
                lane.busy = None;
            }
            lane.delayed = Some(until);
            if alone {
                lane.alone.extend(&work.ids);
            }
        }
        for id in &work.ids {
            if let Some(queued) = self.queued.get_mut(id) {
                queued.uncertain = false;
            }
        }
        if let Some(first) = work.ids.first() {
            self.delayed.insert((until, *first));
        }
    }

    /// How far the work got is not known; it is taken up again at `until` as the table has it.
    pub fn put_back_in_doubt(&mut self, work: &Work, until: Instant) {
        self.put_back(work, until, false);
        for id in &work.ids {
            if let Some(queued) = self.queued.get_mut(id) {
                queued.uncertain = true;
            }
        }
    }

    /// Names the row of `work` as the lanes do: it may have got another key on its way, with a parent that settled.
    pub fn follow(&self, work: &mut Work) {
        if let Some(queued) = work.ids.first().and_then(|id| self.queued.get(id)) {
            work.node.clone_from(&queued.node);
        }
    }

    /// Ids after `id` that hang on the row: they reference it.
    pub fn dependents(&self, node: &Node, id: i64) -> Vec<i64> {
        let lane = self.lanes.get(node);
        lane.map(|lane| lane.referenced_by.range(id..).copied().collect()).unwrap_or_default()
    }

    /// The held mutation as work of its own, where its lane is free: to cancel it without a call.
    pub fn take(&mut self, id: i64) -> Option<Work> {
        let queued = self.queued.get(&id)?;
        let lane = self.lanes.get_mut(&queued.node).filter(|lane| lane.busy.is_none())?;
        lane.busy = Some(id);
        Some(Work {
            ids: vec![id],
            node: queued.node.clone(),
            operation: queued.operation,
            uncertain: false,
            terms: Terms {
                unseen: queued.terms.unseen.clone(),
                atomic: queued.terms.atomic,
                ..Terms::default()
            },
        })
    }

    /// A row's provisional key has been replaced by Auth0's, and with it the part that the keys of
    /// other rows have of it.
    pub fn rekey(&mut self, table: &str, old: &RowKey, new: &RowKey) {
        let (old, new) = ((table.to_owned(), old.clone()), (table.to_owned(), new.clone()));
        self.rename(&old, &new);
        self.wake(&new);
    }

    /// Rows with a provisional key whose insert is under way, or has been.
    pub fn arriving(&self) -> Vec<&Node> {
        let is_provisional = |node: &Node| node.1.0.last().is_some_and(|made| made.starts_with(PROVISIONAL));
        let is_under_way = |lane: &Lane| {
            let first = lane.own.first().and_then(|id| self.queued.get(id));
            lane.busy.is_some() || first.is_some_and(|queued| queued.uncertain)
        };
        let arriving = self.lanes.iter().filter(|(node, lane)| is_provisional(node) && is_under_way(lane));
        arriving.map(|(node, _)| node).collect()
    }

    fn rename(&mut self, old: &Node, new: &Node) {
        let Some(lane) = self.lanes.remove(old) else { return };
        for id in &lane.own {
            if let Some(queued) = self.queued.get_mut(id) {
                queued.node = new.clone();
            }
        }
        let mut below = BTreeMap::new();
        for id in &lane.referenced_by {
            let Some(queued) = self.queued.get_mut(id) else { continue };
            let mut key = queued.node.1.clone();
            for (node, part) in queued.references.iter_mut().filter(|(node, _)| node == old) {
                *node = new.clone();
                if let (Some(part), Some(value)) = (part.and_then(|part| key.0.get_mut(part)), new.1.0.last())
                {
                    part.clone_from(value);
                }
            }
            if key != queued.node.1 {
                below.insert(queued.node.clone(), (queued.node.0.clone(), key));
            }
        }
        self.candidates.extend(lane.own.first());
        let there = self.lanes.entry(new.clone()).or_default();
        there.own.extend(lane.own);
        there.referenced_by.extend(lane.referenced_by);
        there.alone.extend(lane.alone);
        there.busy = there.busy.or(lane.busy);
        there.delayed = there.delayed.or(lane.delayed);
        // Rows below move as a whole lane each, and what hangs on them with them.
        for (old, new) in below {
            self.rename(&old, &new);
        }
    }

    fn remove(&mut self, id: i64) -> Option<Token> {
        let node = self.step_out(id)?;
        self.drop_if_empty(&node);
        self.answered.remove(&id);
        self.kept.remove(&id);
        let queued = self.queued.remove(&id)?;
        self.applied -= usize::from(is_applied(&queued));
        queued.commit
    }

    /// Nothing waits for it any more: rows that reference its row, rows that it references, its own lane.
    fn step_out(&mut self, id: i64) -> Option<Node> {
        let queued = self.queued.get(&id)?;
        let (own, references) = (queued.node.clone(), queued.references.clone());
        if let Some(lane) = self.lanes.get_mut(&own) {
            lane.own.remove(&id);
            lane.alone.remove(&id);
            self.candidates.extend(&lane.referenced_by);
        }
        for (node, _) in &references {
            if let Some(lane) = self.lanes.get_mut(node) {
                lane.referenced_by.remove(&id);
            }
            self.wake(node);
        }
        Some(own)
    }

    fn wake(&mut self, node: &Node) {
        if let Some(first) = self.lanes.get(node).and_then(|lane| lane.own.first().copied()) {
            self.candidates.insert(first);
        }
        self.drop_if_empty(node);
    }

    fn drop_if_empty(&mut self, node: &Node) {
        let empty = |lane: &Lane| lane.own.is_empty() && lane.referenced_by.is_empty() && lane.busy.is_none();
        if self.lanes.get(node).is_some_and(empty) {
            self.lanes.remove(node);
        }
    }

    fn work_from(&self, id: i64) -> Option<Work> {
        let queued = self.queued.get(&id)?;
        let lane = self.lanes.get(&queued.node)?;
        if lane.busy.is_some() || lane.delayed.is_some() {
            return None;
        }
        let first = self.first_to_leave(lane)?;
        if self.kept.contains(&first.id) {
            return None;
        }
        if !self.is_free(first, &HashSet::new()) {
            return None;
        }
        let mut ids = vec![first.id];
        let mut operation = first.operation;
        for next in lane.own.range(first.id + 1..).filter_map(|id| self.queued.get(id)) {
            let apart = first.terms.are_its_own() || next.terms.are_its_own();
            let together = if apart || operation != Operation::Update || next.operation == Operation::Insert {
                false
            } else if first.uncertain || next.uncertain {
                first.uncertain && next.uncertain
            } else {
                !lane.alone.contains(&first.id)
                    && !lane.alone.contains(&next.id)
                    && self.is_free(next, &ids.iter().copied().collect())
            };
            if !together {
                break;
            }
            ids.push(next.id);
            operation = next.operation;
        }
        Some(Work {
            ids,
            node: queued.node.clone(),
            operation,
            uncertain: first.uncertain,
            terms: first.terms.clone(),
        })
    }

    /// Whether nothing outside its own lane stands in the way. What is applied does not, though it may
    /// be taken back: two transactions that wait for each other's decision would wait for ever.
    fn is_free(&self, queued: &Queued, with: &HashSet<i64>) -> bool {
        let waits = |id: &i64| self.queued.get(id).filter(|queued| !is_applied(queued));
        let comes_or_goes = |id: &i64| waits(id).is_some_and(|q| q.operation != Operation::Update);
        let parents_are_there = queued.references.iter().all(|(node, _)| {
            let earlier = self.lanes.get(node).into_iter().flat_map(|lane| lane.own.range(..queued.id));
            !earlier.into_iter().any(comes_or_goes)
        });
        let children_are_done = queued.operation == Operation::Update
            || self.lanes.get(&queued.node).is_none_or(|lane| {
                lane.referenced_by.range(..queued.id).all(|id| with.contains(id) || waits(id).is_none())
            });
        parents_are_there && children_are_done
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
