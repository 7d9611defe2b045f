//! What the filling of tables takes, how far it is, and when it is over.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{Emulator, Postgres, Stand, compare, wait_until};
use crate::{SECONDS, count, execute, fault, no_faults, text};

/// The next message that tells of a filling.
async fn told(listener: &mut PgListener) -> Value {
    loop {
        let message = tokio::time::timeout(SECONDS, listener.recv()).await.unwrap().unwrap();
        let message: Value = serde_json::from_str(message.payload()).unwrap();
        if message.get("event").is_some() {
            return message;
        }
    }
}

#[tokio::test]
async fn the_end_is_told_once_with_tables_and_rows() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(20).await).await;
    let pool = stand.admin().await;
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    stand.restart_service().await;
    let first = told(&mut listener).await;
    assert_eq!((&first["event"], &first["schema"]), (&json!("backfilled"), &json!("auth0")), "{first}");
    let tables = count(&pool, "select count(*) from _auth0_sync.backfill where state = 'done'").await;
    let rows = count(&pool, "select sum(rows)::bigint from _auth0_sync.backfill").await;
    assert_eq!((&first["tables"], &first["rows"]), (&json!(tables), &json!(rows)), "{first}");
    assert!(first["seconds"].as_f64().unwrap() > 0.0 && first["unfilled"] == 0, "{first}");

    // A restart fills nothing and says nothing; the next message is that of the table asked for.
    stand.kill_service().await;
    stand.restart_service().await;
    let (status, out, log) = stand.run(&["backfill", "role"]).await;
    assert!(status.success(), "{out}{log}");
    let second = told(&mut listener).await;
    assert_eq!((&second["tables"], &second["rows"]), (&json!(1), &json!(5)), "{second}");
    let log = stand.service.as_ref().unwrap().log();
    assert_eq!(log.matches("tables are to be filled").count(), 1, "for the one table: {log}");
}

#[tokio::test]
async fn the_estimate_is_told_and_progress_is_shown_while_it_goes_on() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(700).await).await;
    stand.configuration = "[auth0]\nplan = \"enterprise\"\n[backfill]\nusers = \"search\"\n".into();
    let pool = stand.admin().await;
    // Auth0 tells how many there are, then three pages; the fourth waits.
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 4, "do": "delay", "delay_ms": 60_000})).await;
    stand.launch_service();
    let row = "select concat_ws(' ', state, rows, rows_expected, calls_expected, method) from _auth0_sync.backfill where \"table\" = 'user'";
    wait_until("three pages are counted", SECONDS, async || {
        text(&pool, row).await.as_deref() == Some("running 300 700 7 search")
    })
    .await;
    let minutes = "select minutes_expected::text from _auth0_sync.backfill where \"table\" = 'user'";
    let minutes: f64 = text(&pool, minutes).await.unwrap().parse().unwrap();
    assert!((minutes - 7.0 / 768.0).abs() < 0.001, "seven calls at 16 a second less a fifth: {minutes}");
    let (_, out, log) = stand.run(&["status"]).await;
    assert!(
        out.contains("being filled: user 42 % (300 of 700 rows, ") && out.contains("by search)"),
        "{out}{log}"
    );
    stand.kill_service().await;
    no_faults(&stand).await;
    stand.restart_service().await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    let calls = count(&pool, "select calls from _auth0_sync.backfill where \"table\" = 'user'").await;
    assert!((7..=8).contains(&calls), "{calls}");
    let log = stand.service.as_ref().unwrap().log();
    assert!(log.contains("tables are to be filled") && log.contains("every table is filled"), "{log}");
}

#[tokio::test]
async fn a_table_that_is_skipped_stays_unfilled_until_it_is_asked_for() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(20).await).await;
    stand.configuration = "[backfill]\nskip = [\"user_role\"]\n".into();
    stand.restart_service().await;
    let pool = stand.admin().await;
    let state = "select state from _auth0_sync.backfill where \"table\" = 'user_role'";
    assert_eq!(text(&pool, state).await.as_deref(), Some("skipped"));
    let rows = "select count(*) from auth0.user_role";
    assert_eq!(count(&pool, rows).await, 0);
    // A client's write goes its way all the same.
    execute(&stand.app().await, "insert into auth0.user_role (user_id, role_id) select u.user_id, r.id from auth0.\"user\" u, auth0.role r limit 1").await;
    wait_until("it is settled", SECONDS, async || {
        count(&pool, "select count(*) from auth0._sync_cdc where settled_at is null").await == 0
    })
    .await;
    assert!(count(&pool, rows).await <= 1);
    let (status, out, log) = stand.run(&["backfill", "user_role"]).await;
    assert!(status.success(), "{out}{log}");
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    // And it stays so.
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(text(&pool, state).await.as_deref(), Some("done"));
}

#[tokio::test]
async fn a_table_is_not_filled_below_parents_that_are_still_missing() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(150).await).await;
    let pool = stand.admin().await;
    // The second page of users fails once with what passes by itself.
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "after": 2, "times": 1, "do": "status", "status": 503})).await;
    stand.launch_service();
    tokio::time::timeout(Duration::from_secs(20), stand.until_ready()).await.unwrap();
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.backfill where state <> 'done'").await, 0);
}
