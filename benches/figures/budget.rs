//! How a plan's permitted rate is used: a backfill that always has work, and a write now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auth0_sync::auth0::{Client, Lane, Request, Settings};
use auth0_sync::catalog::{Limits, share};
use futures_util::future::join_all;
use tokio::time::interval;

use crate::figures::{Aim, Figures, at};
use crate::options::Options;
use crate::support::{Emulator, wait_until};

const PLANS: [&str; 4] = ["free", "professional", "enterprise", "private-1x"];
const READERS: usize = 12;
/// Percent of a plan's rate that is left to the tenant's own applications, as by default.
const RESERVE: u8 = 20;
const PATH: &str = "/roles";
/// Between two writes.
const PACE: Duration = Duration::from_millis(370);
/// Milliseconds of a call itself, beside its wait.
const CALL: f64 = 50.0;

/// What was seen of one plan.
struct Used {
    plan: &'static str,
    /// Of the rate that the plan permits us.
    share: f64,
    calls: u64,
    throttled: u64,
    /// Milliseconds of each write.
    writes: Vec<f64>,
    /// Milliseconds until the bucket has one call more.
    refill: f64,
}

pub(crate) async fn measure(figures: &mut Figures, options: &Options) {
    let all = join_all(PLANS.map(|plan| saturate(plan, options.budget))).await;
    let sum = |of: fn(&Used) -> u64| all.iter().map(of).sum::<u64>() as f64;
    let refused = sum(|used| used.throttled) * 1000.0 / sum(|used| used.calls);
    figures.aim("budget of all plans: 429 in 1,000 calls", "", refused, Aim::Below(1.0));
    for used in all {
        let name = |what: &str| format!("budget of {}: {what}", used.plan);
        figures.aim(&name("used of what is permitted"), "%", used.share * 100.0, Aim::AtLeast(95.0));
        figures.note(&name("calls"), "", used.calls as f64);
        figures.note(&name("429"), "", used.throttled as f64);
        figures.note(&name("one refill"), "ms", used.refill);
        figures.note(&name("a write behind a backfill, p50"), "ms", at(&used.writes, 0.5));
        let most = Aim::Below(used.refill + CALL);
        figures.aim(&name("a write behind a backfill, slowest"), "ms", at(&used.writes, 1.0), most);
    }
}

async fn saturate(plan: &'static str, time: Duration) -> Used {
    let emulator = Emulator::with(&["--users", "0", "--rate-limits", plan]).await;
    let mut settings = Settings::new(
        emulator.domain().to_owned(),
        emulator.client_id.clone(),
        emulator.client_secret.clone(),
    );
    settings.base_url = Some(emulator.url.parse().unwrap());
    settings.plan = Some(plan.to_owned());
    settings.reserve_percent = RESERVE;
    let client = Client::new(&settings).unwrap();
    let limits = Limits::load().unwrap();
    let group = limits.group("GET", PATH, |_| false);
    let limits = limits.plan(plan).unwrap();
    let rate = limits.per_minute(group, RESERVE).unwrap() / 60.0;
    let burst = limits.buckets(group).map(|(_, rate)| f64::from(rate.burst)).fold(f64::MAX, f64::min);
    let stop = Arc::new(AtomicBool::new(false));
    let (reading, stopped) = (client.clone(), Arc::clone(&stop));
    let readers = tokio::spawn(async move {
        join_all((0..READERS).map(|_| async {
            while !stopped.load(Ordering::Relaxed) {
                let _ = reading.send(&Request::get(PATH, Lane::Backfill)).await;
            }
        }))
        .await;
    });
    let made = || {
        let calls = client.budget().calls();
        (calls.by_lane.iter().sum::<u64>(), calls.throttled.iter().sum::<u64>())
    };
    // What the bucket held at the start is no part of the rate.
    wait_until("the burst is used up", time, async || made().0 as f64 > burst * share(RESERVE)).await;
    let (began, (before, _)) = (Instant::now(), made());
    let (mut writes, mut pace) = (Vec::new(), interval(PACE));
    while began.elapsed() < time {
        let asked = Instant::now();
        client.send(&Request::get(PATH, Lane::Write)).await.unwrap();
        writes.push(asked.elapsed().as_secs_f64() * 1000.0);
        pace.tick().await;
    }
    let (calls, throttled) = made();
    let permitted = rate * began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    readers.abort();
    let share = (calls - before) as f64 / permitted;
    Used { plan, share, calls, throttled, writes, refill: 1000.0 / rate }
}
