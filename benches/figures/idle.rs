//! What a tenant costs in a day in which nothing happens. Time runs 3,000 times as fast: the log's longest
//! pause is 0.1 s instead of 5 minutes, and a day of comparisons takes 28.8 s.

use std::time::Duration;

use crate::figures::{Aim, Figures};
use crate::support::{Emulator, Postgres, Stand, wait_until};

const SCALED: &str = "events = false\nlog_interval_ms = 100\nlog_idle_interval_seconds = 0.1\n\
                      [sweep]\nevery_hours = 0.008\ngrace_seconds = 0.02\n";
/// Readings of the log in an idle day.
const READINGS: u64 = 288;
/// Auth0 closes the event stream every few minutes, and each time it is opened anew.
const RECONNECTS: u64 = 288;
const LONG: Duration = Duration::from_secs(180);

pub(crate) async fn measure(figures: &mut Figures) {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(30).await, &["*"]).await;
    stand.configuration = SCALED.to_owned();
    stand.restart_service().await;
    let mut root = stand.root().await;
    let open = "select count(*) from _auth0_sync.backfill where state not in ('done', 'unavailable')";
    while root.count(open).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tables = root.count("select count(*) from _auth0_sync.backfill where state = 'done'").await;
    stand.emulator.forget_calls().await;
    let logs = "GET /logs";
    wait_until("a day has passed", LONG, async || stand.emulator.calls(logs).await >= READINGS).await;
    let made = stand.emulator.api.get("/_emulator/calls").await;
    let others = made.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with(logs));
    let compared: u64 = others.map(|(_, count)| count.as_u64().unwrap()).sum();
    assert!(compared > 50, "tables are compared: {made}");
    figures.note("idle day: tables", "", tables as f64);
    figures.note("idle day: calls that compare them", "", compared as f64);
    figures.note("idle day: readings of the log, one in 5 minutes", "", READINGS as f64);
    figures.note("idle day: openings of the event stream, reckoned at as many", "", RECONNECTS as f64);
    let all = (compared + READINGS + RECONNECTS) as f64;
    figures.aim("idle day: calls", "", all, Aim::Below(1000.0));
}
