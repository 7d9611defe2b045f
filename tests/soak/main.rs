//! Random changes on both sides and random faults between them, from a printed seed; at the end
//! nothing is lost, nothing was done twice, and every table is what the tenant has. One test lasts for a
//! time, the other for a number of kills.
//!
//! `AUTH0_SYNC_SOAK_SECONDS` (20), `AUTH0_SYNC_SOAK_KILLS` (200); `AUTH0_SYNC_SOAK_SEED` repeats the choices.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod diary;
mod entries;
mod holder;
mod link;
mod noticed;
mod pace;
mod statements;
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod tenant;
mod trouble;
mod verdict;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pace::Pace;
use support::stand::DATABASE;
use support::{Emulator, Postgres, Stand, own_port};
use tally::Tally;
use tokio_util::sync::CancellationToken;
use trouble::Much;

/// What is mirrored: tables of every shape that both sides can change.
const TABLES: &[&str] = &[
    "client",
    "client_grant",
    "connection",
    "organization",
    "organization_connection",
    "organization_member",
    "organization_member_role",
    "resource_server",
    "role",
    "role_permission",
    "tenant",
    "user",
    "user_permission",
    "user_role",
];
const USERS: u32 = 40;
const WRITERS: u64 = 4;
const CLIENTS: u64 = 3;
const STRICT_CLIENTS: u64 = 2;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// A tenant with the tables of the soak. Nothing compares them by itself: a sweep would mend what
/// the live sources have missed, and hide it.
async fn stand() -> Stand {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(USERS).await, TABLES).await;
    let port = own_port();
    stand.configuration = format!(
        "[sweep]\nevery_hours = 0\n[webhook]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}\"\n"
    );
    stand
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_on_both_sides_under_faults_end_with_both_sides_equal() {
    let length = setting("AUTH0_SYNC_SOAK_SECONDS").unwrap_or(20);
    play(Much::Time(Duration::from_secs(length)), &format!("AUTH0_SYNC_SOAK_SECONDS={length}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_service_tenant_and_postgres_under_load_lose_nothing_and_do_nothing_twice() {
    let kills = setting("AUTH0_SYNC_SOAK_KILLS").unwrap_or(200);
    play(Much::Kills(kills), &format!("AUTH0_SYNC_SOAK_KILLS={kills}")).await;
}

/// All of it, and the verdict.
async fn play(much: Much, replay: &str) {
    let seed = setting("AUTH0_SYNC_SOAK_SEED").unwrap_or_else(rand::random);
    println!("Again: AUTH0_SYNC_SOAK_SEED={seed} {replay} scripts/test --test soak");
    let mut stand = stand().await;
    stand.restart_service().await;
    let (tally, stop) = (Arc::new(Tally::default()), CancellationToken::new());
    let (clients_pace, writers_pace) = much.paces();
    let other = tenant::application(&stand.emulator).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            tenant::Writer::new(n, seed, other.clone(), Arc::clone(&tally))
                .work(Pace::new(writers_pace, stop.clone()))
        })
        .map(tokio::spawn)
        .collect();
    let admin = stand.postgres.admin_url(DATABASE);
    let watched = CancellationToken::new();
    let looks = tokio::spawn(watch::look(admin, watched.clone()));
    let listens = tokio::spawn(watch::listen(stand.app_url.clone(), watched.clone()));
    // All have their own rows before one of them takes an e-mail that it finds free.
    let (mut first, mut strict) = (Vec::new(), Vec::new());
    for n in 0..CLIENTS {
        first.push(clients::Client::begin(n, seed, &stand, Arc::clone(&tally)).await);
    }
    let holder = holder::Holder::begin(seed, &stand, Arc::clone(&tally)).await;
    if stand.postgres.major() >= 17 {
        for n in 0..STRICT_CLIENTS {
            strict.push(strict::Strict::begin(n, seed, &stand, Arc::clone(&tally)).await);
        }
    }
    let pace = || Pace::new(clients_pace, stop.clone());
    let mut clients = vec![tokio::spawn(holder.work(pace()))];
    clients.extend(first.into_iter().map(|client| tokio::spawn(client.work(pace()))));
    clients.extend(strict.into_iter().map(|client| tokio::spawn(client.work(pace()))));

    let begun = Instant::now();
    trouble::make(&mut stand, seed, much, &tally).await;
    stop.cancel();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut books = Vec::new();
    for client in clients {
        books.push(client.await.unwrap());
    }
    stand.emulator.fault(serde_json::json!({"clear": true})).await;
    let trouble = begun.elapsed();
    tally.add(&format!("trouble for {} s", trouble.as_secs()));

    holder::let_go(&stand).await;
    let quiet = verdict::quiet(&mut stand, trouble).await;
    tally.add(&format!("quiet {:.1} s after the last change", quiet.as_secs_f64()));
    println!("{tally}");
    watched.cancel();
    let (seen, heard) = (looks.await.unwrap(), listens.await.unwrap());
    assert_eq!(seen.hidden, Vec::<String>::new(), "in {} looks", seen.looks);
    verdict::equal(&stand).await;
    let (log, state) = (verdict::log(&stand).await, stand.emulator.state().await);
    verdict::once(&stand, &log).await;
    for book in &books {
        verdict::kept(&state, book);
        for diary in &book.diaries {
            let told = entries::told(&stand, &log, &state, diary).await;
            entries::judge(diary, &told).unwrap_or_else(|what| panic!("{what}"));
        }
    }
    watch::told_once(&stand, &heard).await;
    println!("{} looks at rows, every one as it had to be", seen.looks);
}
