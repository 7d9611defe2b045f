//! What the filling of tables takes, how far it is, and when it is over.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::support::{Emulator, Postgres, Stand, compare, program, wait_until};
use crate::{SECONDS, calls, count, execute, fault, no_faults, text};

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

#[tokio::test]
async fn an_estimate_takes_a_few_calls_and_fills_nothing() {
    let stand = Stand::set_up(Postgres::start(), Emulator::start(700).await).await;
    let pool = stand.admin().await;
    let file = NamedTempFile::with_prefix("auth0-sync-").unwrap();
    let path = file.path().to_str().unwrap();
    let lines = async |configuration: &str, tables: &[&str]| {
        std::fs::write(path, configuration).unwrap();
        let (status, out, log) =
            stand.run(&[&["backfill", "--estimate", "--config", path], tables].concat()).await;
        assert!(status.success(), "{out}{log}");
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    stand.emulator.forget_calls().await;
    let told = lines("[auth0]\nplan = \"enterprise\"\n", &[]).await;
    assert_eq!(told[0], "table by rows calls minutes");
    assert!(told.contains(&"user export 700 2 0.0".to_owned()), "{told:?}");
    // 5 roles, and at most a link for each user.
    assert!(told.iter().any(|line| line.starts_with("user_role list ? 1")), "{told:?}");
    assert!(
        told.last().unwrap().ends_with("at the limits of plan enterprise, 20 % left to others"),
        "{told:?}"
    );
    assert_eq!(told.len(), 1 + stand.objects.len() + 2, "a line a table: {told:?}");
    let made = calls(&stand, "").await;
    assert!((1..=6).contains(&made), "{made} calls");
    let touched =
        "select count(*) from _auth0_sync.backfill where state <> 'waiting' or calls_expected is not null";
    assert_eq!(count(&pool, touched).await, 0);
    assert_eq!(count(&pool, "select count(*) from auth0.\"user\"").await, 0);

    // By search it takes a call a page; without a plan no minutes are made up.
    let told = lines("[backfill]\nusers = \"search\"\n", &["user"]).await;
    assert_eq!(told[1], "user search 700 7 ?");
    assert_eq!(told[3], "in all 7 calls; name the plan to see minutes: auth0.plan (AUTH0_SYNC_PLAN)");
}

#[tokio::test]
async fn bars_are_drawn_on_a_terminal_and_nowhere_else() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(700).await).await;
    stand.configuration = "[backfill]\nusers = \"search\"\n".into();
    stand.restart_service().await;
    let (status, out, log) = stand.run(&["backfill", "role", "user"]).await;
    assert!(status.success() && out.contains("user: 700 rows\n"), "{out}{log}");
    assert!(!out.contains('\u{1b}') && !log.contains('\u{1b}'), "no bar in a file: {out}{log}");

    // Seven pages of half a second each.
    fault(
        &stand,
        json!({"match": {"method": "GET", "path": "^/api/v2/users$"}, "do": "delay", "delay_ms": 500}),
    )
    .await;
    let shown = Command::new("python3")
        .args(["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"])
        .arg(program())
        .args(["backfill", "role", "user"])
        .envs(stand.variables())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    for part in ["user: 700 rows", "█", "of 700 rows, ", ", by search", " of 2 tables, "] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[tokio::test]
async fn who_asks_where_no_service_runs_is_told_so() {
    let stand = Stand::set_up(Postgres::start(), Emulator::start(0).await).await;
    for (command, does) in [("backfill", "fills"), ("sweep", "compares")] {
        let pool = stand.admin().await;
        execute(
            &pool,
            "update _auth0_sync.backfill set state = 'done', finished_at = now() where \"table\" = 'role'",
        )
        .await;
        let (status, _, log) = stand.run(&[command, "role"]).await;
        let told = format!("no service runs here; start `auth0-sync run`, and it {does} role");
        assert!(!status.success() && log.contains(&told), "{log}");
        let (status, _, log) = stand.run(&[command, "roles"]).await;
        assert!(!status.success() && log.contains("there is no table roles; tables: "), "{log}");
    }
}

#[tokio::test]
async fn status_shows_comparisons_drift_and_what_comes_from_auth0() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(5).await).await;
    stand.configuration = "[sweep]\ngrace_seconds = 0.2\n".into();
    stand.restart_service().await;
    let shown = async || {
        let (status, out, log) = stand.run(&["status"]).await;
        assert!(status.success(), "{out}{log}");
        out
    };
    let before = shown().await;
    assert!(before.contains("compared   0 of 8 tables; the next is due in 23 h\n"), "{before}");
    assert!(before.contains("drift      none\n"), "{before}");
    // The log does not tell of this.
    let role = json!({"id": "rol_ffffffffffffffff", "name": "smuggled", "description": "d"});
    stand.emulator.api.post("/_emulator/preload", json!({"collections": {"/roles": [role]}})).await;
    let (status, out, log) = stand.run(&["sweep"]).await;
    assert!(status.success() && out.contains("role: 6 rows, 1 differed"), "{out}{log}");
    let after = shown().await;
    assert!(after.contains("compared   8 of 8 tables, the last one "), "{after}");
    assert!(
        after.contains("drift      1 row in 1 table that only a comparison has found\n  role: 1 inserted, "),
        "{after}"
    );
    let (_, json, _) = stand.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&status["sweep"]["compared"], &status["webhook"]), (&json!(8), &Value::Null));
    let drift = status["drift"]["role"].as_object().unwrap().values().next().unwrap();
    assert_eq!(drift["inserted"], 1);
}
