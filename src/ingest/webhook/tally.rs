//! What has come to the webhook since the start, for the status page and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// Counts of one service.
#[derive(Debug, Default)]
pub struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
    last: Mutex<Option<DateTime<Utc>>>,
    /// Whether what the service makes at Auth0 is there; none while nothing is wanted or known.
    deployed: Mutex<Option<Result<(), String>>>,
}

/// A [`Tally`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallyReport {
    /// Messages that counted.
    pub taken: u64,
    /// Messages that did not.
    pub refused: u64,
    /// When the last one came that counted.
    pub last: Option<DateTime<Utc>>,
    /// Whether what the service makes at Auth0 is there, or why it is not.
    pub deployed: Option<Result<(), String>>,
}

impl Tally {
    pub(super) fn taken(&self, now: DateTime<Utc>) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::ingest) fn deployed(&self, outcome: Option<Result<(), String>>) {
        *self.deployed.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// The counts now.
    pub fn report(&self) -> TallyReport {
        TallyReport {
            taken: self.taken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            last: *self.last.lock().unwrap_or_else(PoisonError::into_inner),
            deployed: self.deployed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
