//! What the last lists have found, so that a list which is read page by page is searched once. What
//! was found holds until a row changes, of whatever table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// So many lists can be read at the same time.
const KEPT: usize = 4;

/// Numbers of rows by what was asked for.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Found>>);

#[derive(Debug)]
struct Found {
    asked: String,
    version: u64,
    numbers: Arc<Vec<u64>>,
}

impl Recent {
    /// What was found for this when the rows were those of `version`; else what `find` finds.
    ///
    /// # Errors
    /// Those of `find`.
    pub(super) fn or_find<E>(
        &self,
        asked: String,
        version: u64,
        find: impl FnOnce() -> Result<Vec<u64>, E>,
    ) -> Result<Arc<Vec<u64>>, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|found| found.version == version);
        if let Some(found) = kept.iter().find(|found| found.asked == asked) {
            return Ok(Arc::clone(&found.numbers));
        }
        let numbers = Arc::new(find()?);
        kept.truncate(KEPT - 1);
        kept.push_front(Found { asked, version, numbers: Arc::clone(&numbers) });
        Ok(numbers)
    }
}
