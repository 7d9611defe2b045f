//! From Auth0 to the tables, end to end: Postgres, emulator and service as real processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Stand, compare};

#[tokio::test]
async fn after_the_backfill_every_table_equals_the_tenant() {
    let stand = Stand::start(120).await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
}
