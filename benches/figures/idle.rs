//! What a tenant costs in a day in which nothing happens. Time runs 3,000 times as fast: the log's longest
//! pause is 0.1 s instead of 5 minutes, and a day of comparisons takes 28.8 s.

use std::time::{Duration, Instant};

use auth0_sync::catalog::Catalog;
use auth0_sync::ingest::is_compared;

use crate::figures::{Aim, Figures};
use crate::support::{Emulator, Postgres, Stand, wait_until};

const SCALED: &str = "events = false\nlog_interval_ms = 100\nlog_idle_interval_seconds = 0.1\n\
                      [sweep]\nevery_hours = 0.008\ngrace_seconds = 0.02\n";
const DAY: Duration = Duration::from_millis(28_800);
/// Tables that take many lists are compared every few days: so many are waited for.
const DAYS: u32 = 4;
/// What such a table takes a day at most.
const RARE: f64 = 10.0;
/// Readings of the log in an idle day.
const READINGS: f64 = 288.0;
/// Auth0 closes the event stream every few minutes, and each time it is opened anew.
const RECONNECTS: f64 = 288.0;
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
    let catalog = Catalog::bundled().unwrap();
    let names: Vec<_> = catalog.iter().filter(|resource| is_compared(resource)).collect();
    let names: Vec<_> = names.iter().map(|resource| format!("'{}'", resource.table)).collect();
    let compared = format!(
        "from _auth0_sync.backfill b left join _auth0_sync.sweep s using (schema, \"table\") \
         where b.state = 'done' and b.\"table\" in ({})",
        names.join(", ")
    );
    let tables = root.count(&format!("select count(*) {compared}")).await;
    stand.emulator.forget_calls().await;
    let began = Instant::now();
    wait_until("the days have passed", LONG, async || began.elapsed() > DAY * DAYS).await;
    let days = (began.elapsed().as_secs_f64() / DAY.as_secs_f64()).floor();
    let made = stand.emulator.api.get("/_emulator/calls").await;
    let others = made.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with("GET /logs"));
    let counted: u64 = others.map(|(_, count)| count.as_u64().unwrap()).sum();
    let rare = root.count(&format!("select count(*) {compared} and s.finished_at is null")).await;
    assert!(tables > 2 * rare, "{rare} of {tables} tables were not compared: {made}");
    let (counted, rare) = (counted as f64 / days, rare as f64 * RARE);
    figures.note("idle day: tables that are compared", "", tables as f64);
    figures.note("idle day: calls that compare them, of several days", "", counted);
    figures.note("idle day: calls of tables not compared yet, at most", "", rare);
    figures.note("idle day: readings of the log, one in 5 minutes", "", READINGS);
    figures.note("idle day: openings of the event stream, reckoned at as many", "", RECONNECTS);
    figures.aim("idle day: calls", "", counted + rare + READINGS + RECONNECTS, Aim::Below(1000.0));
}
