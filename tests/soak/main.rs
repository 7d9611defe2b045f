//! Random changes on both sides and random faults between them, from a printed seed; at the end
//! nothing is lost, nothing was done twice, and every table is what the tenant has.
//!
//! `AUTH0_SYNC_SOAK_SECONDS` is its length (20), `AUTH0_SYNC_SOAK_SEED` repeats its choices.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod noticed;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod tenant;
mod trouble;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Emulator, Postgres, Stand};
use tally::Tally;
use tokio_util::sync::CancellationToken;

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

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// A tenant with the tables of the soak. Nothing compares them by itself: a sweep would mend what
/// the live sources have missed, and hide it.
async fn stand() -> Stand {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(USERS).await, TABLES).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    stand.configuration = format!(
        "[sweep]\nevery_hours = 0\n[webhook]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}\"\n"
    );
    stand
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_on_both_sides_under_faults_end_with_both_sides_equal() {
    let seed = setting("AUTH0_SYNC_SOAK_SEED").unwrap_or_else(rand::random);
    let length = Duration::from_secs(setting("AUTH0_SYNC_SOAK_SECONDS").unwrap_or(20));
    println!("AUTH0_SYNC_SOAK_SEED={seed} AUTH0_SYNC_SOAK_SECONDS={}", length.as_secs());
    let mut stand = stand().await;
    stand.restart_service().await;
    let (tally, stop) = (Arc::new(Tally::default()), CancellationToken::new());
    let other = tenant::application(&stand.emulator).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tenant::Writer::new(n, seed, other.clone(), Arc::clone(&tally)).work(stop.clone()))
        .map(tokio::spawn)
        .collect();
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let client = clients::Client::begin(n, seed, &stand, Arc::clone(&tally)).await;
        clients.push(tokio::spawn(client.work(stop.clone())));
    }

    let begun = Instant::now();
    trouble::make(&mut stand, seed, length, &tally).await;
    stop.cancel();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut books = Vec::new();
    for client in clients {
        books.push(client.await.unwrap());
    }
    stand.emulator.fault(serde_json::json!({"clear": true})).await;
    tally.add(&format!("trouble for {} s", begun.elapsed().as_secs()));

    let quiet = verdict::quiet(&mut stand, length).await;
    tally.add(&format!("quiet {:.1} s after the last change", quiet.as_secs_f64()));
    println!("{tally}");
    verdict::equal(&stand).await;
    verdict::once(&stand).await;
    for book in &books {
        verdict::kept(&stand, book).await;
    }
}
