//! What happened, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts by sentence.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    written: AtomicU64,
}

impl Tally {
    /// Counts one.
    pub(crate) fn add(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    /// A statement of a client has returned.
    pub(crate) fn written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// How many have.
    pub(crate) fn statements(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap();
        counts.iter().try_for_each(|(what, count)| writeln!(f, "{count:>8}  {what}"))
    }
}
