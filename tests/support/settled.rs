//! Waiting until nothing is under way and both sides are the same.

use std::time::{Duration, Instant};

use super::{Stand, compare, wait_until};

const WITHIN: Duration = Duration::from_secs(25);

/// Waits until no mutation is unsettled.
pub async fn all_settled(stand: &Stand) {
    let mut root = stand.root().await;
    let unsettled = "select count(*) from auth0._sync_cdc where settled_at is null";
    wait_until("every mutation is settled", WITHIN, async || root.count(unsettled).await == 0).await;
}

/// Waits until every mutation is settled and the tables are what the emulator has.
pub async fn equal(stand: &Stand) {
    all_settled(stand).await;
    let begun = Instant::now();
    loop {
        let differences = compare(stand).await;
        if differences.is_empty() {
            return;
        }
        let shown = differences[..differences.len().min(20)].join("\n");
        assert!(begun.elapsed() < WITHIN, "{} differences:\n{shown}", differences.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
