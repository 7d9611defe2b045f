//! How often those under test do something, and until when.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// One step after another: what takes long is not made up for.
pub(crate) struct Pace {
    ticks: Interval,
    stop: CancellationToken,
}

impl Pace {
    pub(crate) fn new(between: Duration, stop: CancellationToken) -> Pace {
        let mut ticks = interval(between);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace { ticks, stop }
    }

    /// Waits for the next step; false when there is none any more.
    pub(crate) async fn step(&mut self) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        self.ticks.tick().await;
        true
    }
}
