//! The service ends at a bad moment and starts again.

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
        // The first page of users passes, the second hangs.
        fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 1, "do": "delay", "delay_ms": 60_000})).await;
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
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 1, "times": 1, "do": "delay_after", "delay_ms": 1500})).await;
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
