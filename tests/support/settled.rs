//! Waiting until nothing is under way and both sides are the same.

use std::time::{Duration, Instant};

use super::{Stand, compare, wait_until};

const WITHIN: Duration = Duration::from_secs(25);

/// What one write may take longer, on a machine that has much else to do.
const FOR_A_WRITE: Duration = Duration::from_millis(25);

/// Waits until no mutation is unsettled.
pub async fn all_settled(stand: &Stand) {
    settled_within(stand, WITHIN).await;
}

async fn settled_within(stand: &Stand, within: Duration) {
    let mut root = stand.root().await;
    let unsettled = "select count(*) from auth0._sync_cdc where settled_at is null";
    wait_until("every mutation is settled", within, async || root.count(unsettled).await == 0).await;
}

/// Waits until every mutation is settled and the tables are what the emulator has.
pub async fn equal(stand: &Stand) {
    equal_after(stand, 0).await;
}

/// The same after so many writes: the more there were, the longer it may take.
pub async fn equal_after(stand: &Stand, writes: u32) {
    let within = WITHIN + FOR_A_WRITE * writes;
    settled_within(stand, within).await;
    let begun = Instant::now();
    loop {
        let differences = compare(stand).await;
        if differences.is_empty() {
            return;
        }
        let shown = differences[..differences.len().min(20)].join("\n");
        assert!(begun.elapsed() < within, "{} differences:\n{shown}", differences.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
