//! What a tenant costs in which nothing happens. Time runs 3,000 times as fast: the log's longest
//! pause is 0.1 s instead of 5 minutes, and a day of comparisons takes 28.8 s.

use std::time::Duration;

use crate::support::{Emulator, Postgres, Stand, wait_until};
use crate::{SECONDS, calls, text};

const SCALED: &str = "events = false\nlog_interval_ms = 100\nlog_idle_interval_seconds = 0.1\n\
                      [sweep]\nevery_hours = 0.008\ngrace_seconds = 0.02\n";
/// Readings of the log in an idle day.
const READINGS: u64 = 288;
/// Auth0 closes the event stream every few minutes, and each time it is opened anew.
const RECONNECTS: u64 = 288;

#[tokio::test]
async fn an_idle_tenant_costs_fewer_than_a_thousand_calls_a_day() {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(30).await, &["*"]).await;
    stand.configuration = SCALED.to_owned();
    stand.restart_service().await;
    let pool = stand.admin().await;
    let open = "select string_agg(\"table\", ' ') from _auth0_sync.backfill where state not in ('done', 'unavailable')";
    wait_until("every table is filled", SECONDS, async || text(&pool, open).await.is_none()).await;
    stand.emulator.forget_calls().await;
    let day = Duration::from_secs(120);
    wait_until("a day has passed", day, async || calls(&stand, "GET /logs").await >= READINGS).await;
    let compared = "select string_agg(b.\"table\", ' ') from _auth0_sync.backfill b left join _auth0_sync.sweep s using (schema, \"table\") \
                    where b.state = 'done' and b.\"table\" <> 'log' and s.finished_at is null and coalesce(s.lists, 0) > 10";
    let rare = text(&pool, compared).await;
    let mut made: Vec<(String, u64)> = stand
        .emulator
        .api
        .get("/_emulator/calls")
        .await
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, count)| (name.clone(), count.as_u64().unwrap()))
        .collect();
    made.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    let swept: u64 =
        made.iter().filter(|(name, _)| !name.starts_with("GET /logs")).map(|(_, count)| count).sum();
    println!("{swept} calls besides the log: {made:?}; compared less often: {rare:?}");
    let day = swept + READINGS + RECONNECTS;
    assert!(swept > 50, "tables are compared: {made:?}");
    assert!(day < 1_000, "{day} calls: {made:?}");
}
