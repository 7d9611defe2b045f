//! Tables that Auth0 does not show to this service: the scope, the plan or the feature is missing.
//! They are not asked for with every change; the backfill tries them again.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tables of one tenant that Auth0 has refused to show.
#[derive(Debug, Default)]
pub struct Refused(Mutex<HashSet<String>>);

impl Refused {
    /// Auth0 refuses this table; true where that is new.
    pub fn add(&self, table: &str) -> bool {
        self.tables().insert(table.to_owned())
    }

    /// Auth0 shows it again.
    pub fn lift(&self, table: &str) {
        self.tables().remove(table);
    }

    /// Whether Auth0 refuses this table.
    pub fn has(&self, table: &str) -> bool {
        self.tables().contains(table)
    }

    fn tables(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
