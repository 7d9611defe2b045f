//! The budget of the API against an emulator that keeps the limits of a plan, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

#[path = "../support/mod.rs"]
mod support;

mod service;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auth0_sync::auth0::{Budget, Client, Lane, Request, Settings};
use auth0_sync::catalog::{Limits, share};
use auth0_sync::emulator::{Emulator, Options};
use futures_util::future::join_all;
use reqwest::Method;
use tokio::net::TcpListener;
use tokio::time::interval;

/// An emulated tenant with the limits of a plan, and what a client of it needs.
struct Tenant {
    settings: Settings,
    task: tokio::task::JoinHandle<()>,
}

impl Tenant {
    async fn start(plan: &str) -> Tenant {
        let emulator = Emulator::open(Options { plan: Some(plan.into()), ..Options::default() }).unwrap();
        let credentials = emulator.client().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            emulator.serve(listener, std::future::pending()).await.unwrap();
        });
        let mut settings = Settings::new(address.to_string(), credentials.id, credentials.secret);
        settings.base_url = Some(format!("http://{address}").parse().unwrap());
        Tenant { settings, task }
    }

    /// A client that was told the plan, or none.
    fn client(&self, plan: Option<&str>, reserve_percent: u8) -> Client {
        let plan = plan.map(str::to_owned);
        Client::new(&Settings { plan, reserve_percent, ..self.settings.clone() }).unwrap()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn read(path: &str, lane: Lane) -> Request {
    Request::get(path, lane)
}

/// Twelve readers that always have work, until they are told to stop.
fn backfill(client: &Client, path: &'static str) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (client, stopped) = (client.clone(), Arc::clone(&stop));
    let readers = async move {
        join_all((0..12).map(|_| async {
            while !stopped.load(Ordering::Relaxed) {
                let _ = client.send(&read(path, Lane::Backfill)).await;
            }
        }))
        .await;
    };
    (stop, tokio::spawn(readers))
}

/// Calls that have left, and refusals among them.
fn made(client: &Client) -> (u64, u64) {
    let calls = client.budget().calls();
    (calls.by_lane.iter().sum(), calls.throttled.iter().sum())
}

/// Runs a backfill for so many seconds and checks what was used, what was refused, and how long
/// writes waited.
async fn saturate(plan: &str, seconds: u64, path: &'static str) {
    let tenant = Tenant::start(plan).await;
    let client = tenant.client(Some(plan), 20);
    let (stop, readers) = backfill(&client, path);
    // What the bucket held at the start is no part of the rate.
    let limits = Limits::load().unwrap();
    let group = limits.group("GET", path, |_| false);
    let rate = limits.plan(plan).unwrap().per_minute(group, 20).unwrap() / 60.0;
    let burst: f64 = limits
        .plan(plan)
        .unwrap()
        .buckets(group)
        .map(|(_, rate)| f64::from(rate.burst))
        .fold(f64::MAX, f64::min);
    let full = burst * share(20);
    support::wait_until("the burst is used up", Duration::from_secs(20), async || {
        made(&client).0 as f64 > full
    })
    .await;
    let (began, (before, _)) = (Instant::now(), made(&client));
    let (mut slowest, mut next) = (Duration::ZERO, interval(Duration::from_millis(370)));
    while began.elapsed() < Duration::from_secs(seconds) {
        let asked = Instant::now();
        client.send(&read(path, Lane::Write)).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        next.tick().await;
    }
    let (calls, throttled) = made(&client);
    let took = began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    readers.abort();
    let (used, permitted) = ((calls - before) as f64, rate * took);
    println!("{plan} {path}: {used} of {permitted:.1} calls, {throttled} refused, slowest write {slowest:?}");
    assert!(used >= permitted * 0.95 - 1.0, "{plan}: {used} calls of {permitted:.1} permitted ones");
    assert_eq!(throttled, 0, "{plan}: of {calls} calls");
    let refill = Duration::from_secs_f64(1.0 / rate) + Duration::from_millis(150);
    assert!(slowest < refill, "{plan}: a write waited {slowest:?}");
}

#[tokio::test]
async fn every_plan_is_used_to_its_limit_without_refusals_and_a_write_waits_one_refill() {
    tokio::join!(
        saturate("free", 6, "/roles"),
        saturate("professional", 6, "/clients"),
        saturate("enterprise", 6, "/roles"),
        saturate("enterprise-development", 6, "/roles"),
    );
}

#[tokio::test]
async fn a_private_cloud_is_used_to_its_limit() {
    saturate("private-1x", 4, "/roles").await;
}

#[tokio::test]
async fn another_application_with_the_reserve_does_not_make_auth0_refuse_us() {
    let tenant = Tenant::start("enterprise-development").await;
    let (ours, theirs) = (tenant.client(Some("enterprise-development"), 20), tenant.client(None, 20));
    let (stop, readers) = backfill(&ours, "/roles");
    // A fifth of two calls a second.
    let (began, mut next) = (Instant::now(), interval(Duration::from_millis(2_500)));
    while began.elapsed() < Duration::from_secs(8) {
        let _ = theirs.send(&read("/roles", Lane::Write)).await;
        next.tick().await;
    }
    stop.store(true, Ordering::Relaxed);
    readers.abort();
    let (calls, throttled) = made(&ours);
    assert!(calls >= 8 + 12, "the burst and 8 seconds: {calls}");
    // All that there is is used: where the machine stalls for half a second, calls arrive closer together than they left.
    assert!(throttled <= 1, "{throttled} of {calls} calls were refused");
}

#[tokio::test]
async fn a_full_group_keeps_no_call_of_other_groups() {
    let tenant = Tenant::start("enterprise").await;
    let client = tenant.client(Some("enterprise"), 20);
    let (stop, readers) = backfill(&client, "/organizations");
    let waits = || client.budget().report().waiting.backfill;
    support::wait_until("the group is full", Duration::from_secs(10), async || waits() >= 10).await;
    let began = Instant::now();
    for _ in 0..10 {
        client.send(&read("/roles", Lane::Backfill)).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    let report = client.budget().report();
    let group = report.buckets.iter().find(|bucket| bucket.name == "organizations_read").unwrap();
    assert!(group.waiting.backfill >= 10 && group.available == 0, "{group:?}");
    stop.store(true, Ordering::Relaxed);
    readers.abort();
}

#[tokio::test]
async fn without_a_plan_the_limits_are_learnt_from_answers() {
    let tenant = Tenant::start("enterprise").await;
    let client = tenant.client(None, 20);
    // One after the other, as the first answers tell the limit: the reserve of ten stays in the bucket.
    let began = Instant::now();
    for _ in 0..60 {
        client.read(&read("/roles", Lane::Backfill)).await.unwrap();
    }
    assert_eq!(made(&client).1, 0, "no call was refused");
    assert!(began.elapsed() > Duration::from_millis(300), "the last ones waited");
    let report = client.budget().report();
    assert_eq!((report.plan.as_deref(), report.buckets[0].limit), (None, 50));
}

#[tokio::test]
async fn a_wrong_plan_gives_way_to_what_auth0_says() {
    let tenant = Tenant::start("free").await;
    let client = tenant.client(Some("enterprise"), 20);
    for _ in 0..6 {
        client.read(&read("/roles", Lane::Backfill)).await.unwrap();
    }
    let (calls, throttled) = made(&client);
    assert!(throttled <= 1, "{throttled} of {calls} calls were refused");
    assert_eq!(client.budget().report().buckets[0].limit, 2);
}

#[tokio::test]
async fn who_stops_waiting_gives_the_place_to_the_next() {
    let settings = Settings { plan: Some("free".into()), ..Settings::new("acme.auth0.com", "id", "secret") };
    let budget = Budget::new(&settings).unwrap();
    let permit = |lane| {
        let budget = budget.clone();
        async move { budget.permit(lane, &Method::GET, "/roles", &[]).await }
    };
    permit(Lane::Write).await.leaves();
    let mut gone: Vec<_> = (0..50).map(|_| Box::pin(permit(Lane::Write))).collect();
    for waiter in &mut gone {
        assert!(tokio::time::timeout(Duration::ZERO, waiter).await.is_err());
    }
    assert_eq!(budget.report().waiting.write, 50);
    let began = Instant::now();
    let last = tokio::spawn(permit(Lane::Backfill));
    support::wait_until("the last one waits", Duration::from_secs(1), async || {
        budget.report().waiting.backfill == 1
    })
    .await;
    drop(gone);
    assert_eq!(budget.report().waiting.write, 0);
    // The tokens of a permit that is not used go back.
    drop(last.await.unwrap());
    permit(Lane::Backfill).await.leaves();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(budget.calls().by_lane, [1, 0, 0, 1]);
}

#[tokio::test]
async fn the_more_urgent_lane_leaves_first_and_arrival_decides_within_one() {
    let settings =
        Settings { plan: Some("private-1x".into()), ..Settings::new("acme.auth0.com", "id", "secret") };
    let budget = Budget::new(&settings).unwrap();
    // Nothing has told yet that the bucket is full: one call leaves and the others wait.
    budget.permit(Lane::Write, &Method::GET, "/roles", &[]).await.leaves();
    let (order, mut all) = (Arc::new(std::sync::Mutex::new(Vec::new())), Vec::new());
    let lanes = [Lane::Backfill, Lane::Sweep, Lane::Refetch, Lane::Write, Lane::Backfill, Lane::Write];
    for (n, lane) in lanes.into_iter().enumerate() {
        let (budget, order) = (budget.clone(), Arc::clone(&order));
        let mut waiter = Box::pin(async move {
            budget.permit(lane, &Method::GET, "/roles", &[]).await.leaves();
            order.lock().unwrap().push((lane, n));
        });
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiter).await.is_err());
        all.push(waiter);
    }
    join_all(all).await;
    let expected = [
        (Lane::Write, 3),
        (Lane::Write, 5),
        (Lane::Refetch, 2),
        (Lane::Sweep, 1),
        (Lane::Backfill, 0),
        (Lane::Backfill, 4),
    ];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_call_costs_little_where_nothing_limits_it() {
    let settings = Settings::new("acme.auth0.com", "id", "secret");
    let budget = Budget::new(&settings).unwrap();
    let began = Instant::now();
    for _ in 0..10_000 {
        budget.permit(Lane::Backfill, &Method::GET, "/users/auth0%7C1/roles", &[]).await.leaves();
    }
    let each = began.elapsed() / 10_000;
    println!("{each:?} a call");
    assert!(each < Duration::from_micros(200), "{each:?} in a build without optimisation");
}
