//! How many changes of strict statements are undecided, as a metric. It never decides anything.

use metrics::Gauge;

use crate::telemetry::metric;

/// The part that one transaction has in the gauge; it goes with the transaction.
pub(super) struct Open {
    gauge: Gauge,
    changes: usize,
}

impl Open {
    /// Of a transaction of the schema with so many changes.
    pub(super) fn new(schema: &str, changes: usize) -> Open {
        let mut open =
            Open { gauge: metrics::gauge!(metric::STRICT_OPEN, "schema" => schema.to_owned()), changes: 0 };
        open.set(changes);
        open
    }

    /// It has so many by now.
    pub(super) fn set(&mut self, changes: usize) {
        self.gauge.increment(changes as f64 - self.changes as f64);
        self.changes = changes;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.set(0);
    }
}
