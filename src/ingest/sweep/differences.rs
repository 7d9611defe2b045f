//! What a comparison has found, and what became of it. While a table is compared its lists are read
//! as ever, and a row that differs is held back here instead of being stored: what is on its way by
//! a live source must get the chance to come by it. Only so many are held; the others are stored at
//! once. It never decides what a row becomes: that is [`super::super::apply`]'s.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalog::{Resource, RowKey};
use crate::error::Result;
use crate::ingest::Context;
use crate::ingest::bulk::{Rows, look};
use crate::ingest::bulk_sql::Statements;
use crate::pg::mirror::{Row, Tick};

/// What a reading has done to a mirror row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) enum Change {
    /// The row was not there.
    Inserted,
    /// It had other values.
    Updated,
    /// Auth0 has it no more.
    Deleted,
}

impl Change {
    /// From what Auth0 had by the mirror to what it has; none where that is the same.
    pub(in crate::ingest) fn between(before: Option<&Row>, now: Option<&Row>) -> Option<Change> {
        match (before, now) {
            (None, Some(_)) => Some(Change::Inserted),
            (Some(_), None) => Some(Change::Deleted),
            (before, now) => (before != now).then_some(Change::Updated),
        }
    }
}

/// Rows that a comparison has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ingest) struct Counts {
    /// Rows that the mirror lacked.
    pub(in crate::ingest) inserted: u64,
    /// Rows with other values.
    pub(in crate::ingest) updated: u64,
    /// Rows that Auth0 has no more.
    pub(in crate::ingest) deleted: u64,
}

impl Counts {
    /// Both together.
    pub(super) fn plus(self, other: Counts) -> Counts {
        Counts {
            inserted: self.inserted + other.inserted,
            updated: self.updated + other.updated,
            deleted: self.deleted + other.deleted,
        }
    }

    /// All of them.
    pub(in crate::ingest) fn total(self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// A reading that differs from the mirror and is not applied yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) key: RowKey,
    /// None: Auth0 does not show the row.
    pub(super) row: Option<Row>,
    pub(super) began: Tick,
    /// It shows every column; else the row has to be read by itself.
    pub(super) whole: bool,
}

/// The differences of one table.
#[derive(Debug)]
pub struct Differences {
    /// How many are held back.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Vec<Held>,
    counts: Counts,
}

impl Differences {
    /// Holds back this many; the others are stored and counted at once.
    pub(super) fn new(limit: usize) -> Differences {
        Differences { limit, state: Mutex::default() }
    }

    /// Takes what has been held back.
    pub(super) fn take(&self) -> Vec<Held> {
        std::mem::take(&mut self.state().held)
    }

    /// Whether nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.state().held.is_empty()
    }

    /// What has been changed.
    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// So many rows have been changed so.
    pub(in crate::ingest) fn count(&self, change: Change, rows: usize) {
        let mut state = self.state();
        let counts = &mut state.counts;
        let count = match change {
            Change::Inserted => &mut counts.inserted,
            Change::Updated => &mut counts.updated,
            Change::Deleted => &mut counts.deleted,
        };
        *count += rows as u64;
    }

    /// Holds back the rows of a page that differ from the mirror; returns those that differ and are
    /// to be stored at once. What is the same goes no further; what has unsettled mutations may differ by them
    /// alone, which the rebase rule finds out.
    ///
    /// # Errors
    /// Database errors.
    pub(in crate::ingest) async fn hold_back(
        &self,
        context: &Context,
        resource: &Resource,
        statements: &Statements,
        rows: Rows,
        began: Tick,
    ) -> Result<Rows> {
        let found = look(context, resource, statements, &rows).await?;
        let differs = |key: &RowKey| found.get(key).is_some_and(|found| found.differs && !found.newer);
        let mut differing = rows.into_iter().filter(|(key, _)| differs(key));
        let whole = statements.is_whole();
        let mut state = self.state();
        let room = self.limit.saturating_sub(state.held.len());
        let held = differing.by_ref().take(room).map(|(key, row)| Held { key, row: Some(row), began, whole });
        state.held.extend(held);
        Ok(differing.collect())
    }

    /// Holds back that Auth0 does not show a row; false where it is to be applied at once.
    pub(in crate::ingest) fn hold_absent(&self, key: &RowKey, began: Tick) -> bool {
        let mut state = self.state();
        let room = state.held.len() < self.limit;
        if room {
            state.held.push(Held { key: key.clone(), row: None, began, whole: true });
        }
        room
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_change_is_what_differs_between_two_bases() {
        let row = |value: Value| value.as_object().cloned().unwrap();
        let (a, b) = (row(json!({"id": "1", "n": 1})), row(json!({"id": "1", "n": 2})));
        assert_eq!(Change::between(None, Some(&a)), Some(Change::Inserted));
        assert_eq!(Change::between(Some(&a), Some(&b)), Some(Change::Updated));
        assert_eq!(Change::between(Some(&a), None), Some(Change::Deleted));
        assert_eq!(Change::between(Some(&a), Some(&a)), None);
        assert_eq!(Change::between(None, None), None);
    }

    #[test]
    fn only_so_many_are_held_back() {
        let differences = Differences::new(2);
        let key = |n: usize| RowKey::single(n.to_string());
        let held: Vec<_> = (0..3).map(|n| differences.hold_absent(&key(n), Tick::default())).collect();
        assert_eq!(held, [true, true, false]);
        assert_eq!(differences.take().len(), 2);
        differences.count(Change::Deleted, 1);
        assert_eq!(differences.counts().total(), 1);
    }
}
