//! The service ends at a bad moment and starts again.

use std::time::Duration;

use serde_json::json;

use crate::support::{Emulator, Postgres, Program, Stand, wait_until};
use crate::{SECONDS, becomes, called, calls, count, fault, no_faults, path, same, text, user};

#[tokio::test]
async fn what_changes_while_the_service_is_down_is_there_after_a_restart() {
    let mut stand = Stand::start(20).await;
    let pool = stand.admin().await;
    let (changed, deleted) = (user(&pool, 0).await, user(&pool, 1).await);
    stand.kill_service().await;
    stand.emulator.api.patch(&path(&changed), json!({"nickname": "meanwhile"})).await;
    stand.emulator.api.delete(&path(&deleted)).await;
    stand.emulator.api.post("/api/v2/roles", json!({"name": "meanwhile"})).await;
    stand.emulator.api.delete("/_emulator/calls").await;
    stand.restart_service().await;
    same(&stand).await;
    assert!(calls(&stand, "GET /users").await <= 3, "by the log, not by a second filling");
}

#[tokio::test]
async fn the_checkpoint_waits_for_what_the_log_named() {
    let mut stand = Stand::start(20).await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    let checkpoint = "select position from _auth0_sync.checkpoint";
    let before = text(&pool, checkpoint).await;
    stand.emulator.api.delete("/_emulator/calls").await;
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users/"}, "do": "delay_after", "delay_ms": 60_000})).await;
    stand.emulator.api.patch(&path(&user), json!({"nickname": "meanwhile"})).await;
    called(&stand, "GET /users/").await;
    // Another row is read and applied; the log stands still before the first all the same.
    stand.emulator.api.post("/api/v2/roles", json!({"name": "later"})).await;
    becomes(&pool, "select name from auth0.role where name = 'later'", "later").await;
    assert_eq!(text(&pool, checkpoint).await, before);
    stand.kill_service().await;
    no_faults(&stand).await;
    stand.restart_service().await;
    same(&stand).await;
    wait_until("the checkpoint moves", SECONDS, async || text(&pool, checkpoint).await != before).await;
}

#[tokio::test]
async fn a_long_log_is_read_page_after_page_without_a_pause() {
    let mut stand = Stand::start(20).await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    stand.kill_service().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (api, path) = (stand.emulator.api.clone(), path(&user));
        writers.spawn(async move {
            for n in 0..500 {
                api.patch(&path, json!({"nickname": format!("{writer} {n}")})).await;
            }
        });
    }
    writers.join_all().await;
    let newest = stand.emulator.api.get("/api/v2/logs?sort=date:-1&per_page=1").await;
    let newest = newest[0]["log_id"].as_str().unwrap();
    stand.restart_service().await;
    // Twenty pages: one in a second would take twenty.
    let position = "select position from _auth0_sync.checkpoint where source = 'logs'";
    wait_until("the log is read", Duration::from_secs(10), async || {
        text(&pool, position).await.as_deref() >= Some(newest)
    })
    .await;
    same(&stand).await;
}

/// A service that is told to start and how to read users, not waited for.
pub(crate) fn launch(stand: &Stand, users: &str) -> Program {
    let variables = stand.variables();
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("AUTH0_SYNC_BACKFILL_USERS", users));
    Program::start(&["run", "--json"], &variables)
}

#[tokio::test]
async fn a_filling_that_is_cut_short_is_taken_up_and_misses_nothing() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(300).await).await;
    let pool = stand.admin().await;
    for round in 0..3 {
        // The count of users and their first page pass, the second page hangs.
        fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 2, "do": "delay", "delay_ms": 60_000})).await;
        let mut service = launch(&stand, "search");
        wait_until("the first page is in", SECONDS, async || {
            count(&pool, "select count(*) from auth0.\"user\"").await >= 100
        })
        .await;
        // What is changed in the middle of it is not lost: rows already read, and rows yet to come.
        for n in 0..5 {
            let user = user(&pool, round * 10 + n).await;
            stand.emulator.api.patch(&path(&user), json!({"nickname": format!("round {round}")})).await;
        }
        stand.emulator.api.delete(&path(&user(&pool, 60 + round).await)).await;
        service.kill().await;
        no_faults(&stand).await;
    }
    stand.restart_service().await;
    same(&stand).await;
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.backfill where state <> 'done'").await, 0);
}

#[tokio::test]
async fn what_changes_while_the_tables_are_filled_is_not_lost() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(200).await).await;
    let pool = stand.admin().await;
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 2, "times": 1, "do": "delay_after", "delay_ms": 1500})).await;
    let mut service = launch(&stand, "search");
    wait_until("the first page is in", SECONDS, async || {
        count(&pool, "select count(*) from auth0.\"user\"").await >= 100
    })
    .await;
    called(&stand, "GET /users").await;
    let state = stand.emulator.api.get("/_emulator/state").await;
    for n in [3, 150] {
        let id = state["user"][n]["user_id"].as_str().unwrap();
        stand.emulator.api.patch(&path(id), json!({"nickname": "meanwhile"})).await;
    }
    for n in [4, 151] {
        let id = state["user"][n]["user_id"].as_str().unwrap();
        stand.emulator.api.delete(&path(id)).await;
    }
    service.ready().await;
    stand.service = Some(service);
    same(&stand).await;
}

/// Entries that the tenant log has before anything is mirrored.
const ENTRIES: u64 = 3_000;

#[tokio::test]
async fn the_table_of_log_entries_is_read_on_where_a_killed_service_stopped() {
    let emulator = Emulator::start(0).await;
    let entry = |n: u64| {
        let id = format!("90020261101000000000000000000000001223372{n:012}");
        json!({"log_id": id, "_id": id, "date": "2026-11-01T00:00:00.000Z", "type": "f", "ip": "198.51.100.1"})
    };
    let entries: Vec<_> = (0..ENTRIES).map(entry).collect();
    emulator.api.post("/_emulator/preload", json!({"collections": {"/logs": entries}})).await;
    let mut stand = Stand::with_objects(Postgres::start(), emulator, &["log", "role"]).await;
    let pool = stand.admin().await;
    let rows = "select count(*) from auth0.log";
    // Slow enough to be met in the middle.
    let slowly = json!({"match": {"method": "GET", "path": "^/api/v2/logs$"}, "do": "delay", "delay_ms": 40});
    let mut least = 0;
    for part in [1_000, 2_000] {
        fault(&stand, slowly.clone()).await;
        stand.launch_service();
        wait_until("a part is there", 2 * SECONDS, async || count(&pool, rows).await >= part).await;
        stand.kill_service().await;
        no_faults(&stand).await;
        let there = count(&pool, rows).await;
        assert!(there > least && there < 3_000, "{there}");
        least = there;
    }
    stand.emulator.forget_calls().await;
    stand.restart_service().await;
    // Of 30 pages at least 20 are there; the follower looks a few times meanwhile.
    let done = "select state from _auth0_sync.backfill where \"table\" = 'log'";
    becomes(&pool, done, "done").await;
    let read = calls(&stand, "GET /logs").await;
    assert!(read < 18, "{read} calls");
    let shown = "select rows from _auth0_sync.backfill where \"table\" = 'log'";
    assert!(count(&pool, shown).await >= 3_000);
    assert_eq!(
        count(&pool, "select count(*) from _auth0_sync.checkpoint where source = 'logs_filling'").await,
        0
    );
    // What comes afterwards is the follower's.
    stand.emulator.api.post("/api/v2/roles", json!({"name": "later"})).await;
    wait_until("it is there", SECONDS, async || count(&pool, rows).await > 3_000).await;
    same(&stand).await;
}
