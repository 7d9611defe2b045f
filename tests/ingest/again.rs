//! `auth0-sync backfill`: tables are filled a second time.

use serde_json::{Value, json};

use crate::support::{Emulator, Postgres, Stand, compare};
use crate::{calls, count, execute, path, same, user};

#[tokio::test]
async fn a_second_filling_finds_what_was_missed() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(20).await).await;
    // Nobody tells what happens while the service is down.
    stand.configuration = "events = false\n".to_owned();
    stand.restart_service().await;
    let pool = stand.admin().await;
    let (changed, deleted) = (user(&pool, 0).await, user(&pool, 1).await);
    stand.kill_service().await;
    stand.emulator.api.patch(&path(&changed), json!({"nickname": "missed"})).await;
    stand.emulator.api.delete(&path(&deleted)).await;
    stand.emulator.api.post("/api/v2/roles", json!({"name": "missed"})).await;
    // The log has been read by nobody, and nobody will: it begins after all this.
    let logs = stand.emulator.api.get("/api/v2/logs?sort=date:-1&per_page=1&page=0").await;
    let newest = logs[0]["log_id"].as_str().unwrap();
    execute(&pool, &format!("update _auth0_sync.checkpoint set position = '{newest}'")).await;
    stand.restart_service().await;
    assert!(!compare(&stand).await.is_empty(), "nobody has told the service");
    stand.emulator.api.delete("/_emulator/calls").await;
    let (status, out, log) = stand.run(&["backfill"]).await;
    assert!(status.success(), "{out}{log}");
    assert!(out.contains("user: 19 rows\n") && out.contains("role: 6 rows\n"), "{out}");
    same(&stand).await;
    assert_eq!(calls(&stand, "GET /users/{user_id}").await, 1, "the deleted one is asked for by its key");

    let (status, out, _) = stand.run(&["backfill", "role"]).await;
    assert!(status.success() && out == "role: 6 rows\n", "{out}");
}

#[tokio::test]
async fn without_a_service_it_says_so_and_the_next_start_fills() {
    let mut stand = Stand::start(5).await;
    let pool = stand.admin().await;
    let (status, _, log) = stand.run(&["backfill", "users"]).await;
    assert!(!status.success() && log.contains("there is no table users; tables: "), "{log}");
    stand.service.take().unwrap().terminate().await;
    let (status, _, log) = stand.run(&["backfill", "user"]).await;
    assert!(!status.success() && log.contains("auth0-sync run"), "{log}");
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.backfill where state = 'waiting'").await, 1);
    stand.restart_service().await;
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.backfill where state <> 'done'").await, 0);
}

/// More rows than a list holds back to read them by themselves.
const MANY: usize = 1_200;

#[tokio::test]
async fn a_filling_after_which_a_thousand_rows_are_gone_reads_each_of_them_once() {
    let emulator = Emulator::start(5).await;
    let role = |n: usize| json!({"id": format!("rol_{n:016}"), "name": format!("role {n}")});
    let roles: Vec<_> = (0..MANY).map(role).collect();
    let preload = |rows: Vec<Value>| json!({"collections": {"/roles": rows}});
    emulator.api.post("/_emulator/preload", preload(roles)).await;
    let mut stand = Stand::with_objects(Postgres::start(), emulator, &["role"]).await;
    stand.configuration = "events = false\nlog_interval_ms = 3600000\n[sweep]\nevery_hours = 0\n".to_owned();
    stand.restart_service().await;
    let pool = stand.admin().await;
    let rows = "select count(*) from auth0.role";
    assert!(count(&pool, rows).await > 1_000);
    // A tenant that was set up anew, of which nothing tells.
    stand.emulator.api.post("/_emulator/reset", json!({})).await;
    stand.emulator.api.post("/_emulator/preload", preload(vec![role(MANY)])).await;
    stand.emulator.forget_calls().await;
    let (status, out, log) = stand.run(&["backfill", "role"]).await;
    assert!(status.success(), "{out}{log}");
    same(&stand).await;
    let left = stand.emulator.state().await["role"].as_array().unwrap().len();
    assert_eq!(count(&pool, rows).await, i64::try_from(left).unwrap());
    let asked = calls(&stand, "GET /roles/{id}").await;
    assert!((1_000..=1_300).contains(&asked), "{asked} calls for {MANY} rows");
}
