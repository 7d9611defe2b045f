//! What happened, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// Counts by sentence.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    /// Counts one.
    pub(crate) fn add(&self, what: &str) {
        *self.0.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap();
        counts.iter().try_for_each(|(what, count)| writeln!(f, "{count:>8}  {what}"))
    }
}
