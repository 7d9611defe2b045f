//! What operators do to a running service, and what Auth0 does to its rights: nothing is lost or reverted, those
//! who listen hear of it, and it ends by itself.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{Emulator, Postgres, Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);
const UNSETTLED: &str = "select count(*) from auth0._sync_cdc where settled_at is null";
const NOT_CONFIRMED: &str = "select count(*) from auth0._sync_cdc where state not in ('confirmed', 'merged')";

async fn listener(stand: &Stand) -> PgListener {
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    listener
}

/// The next message about how writes are doing.
async fn told(listener: &mut PgListener) -> Value {
    loop {
        let note = tokio::time::timeout(SOON, listener.recv()).await.unwrap().unwrap();
        let note: Value = serde_json::from_str(note.payload()).unwrap();
        if note["event"] == "writes" {
            assert_eq!(note["schema"], "auth0");
            return note;
        }
    }
}

#[tokio::test]
async fn paused_writes_are_captured_and_wait_through_a_restart_while_reading_goes_on() {
    let mut stand = Stand::start(10).await;
    let (mut session, mut listener) = (stand.session().await, listener(&stand).await);
    session.confirmed("update auth0.user set nickname = 'before'").await;
    let (done, out, log) = stand.run(&["pause", "--reason", "a migration at Auth0"]).await;
    assert!(done.success() && out.contains("nothing is written to Auth0 any more"), "{out}{log}");
    assert_eq!(told(&mut listener).await["state"], "paused");

    stand.emulator.forget_calls().await;
    session.run("update auth0.user set nickname = 'while paused'").await;
    session.run("insert into auth0.role (name) values ('made while paused')").await;
    wait_until("the service holds them", SOON, async || stand.status().await["writeback"]["held"] == 11)
        .await;
    let user = session.text("select min(user_id) from auth0.user").await;
    let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
    stand.emulator.api.patch(&path, json!({"given_name": "Read"})).await;
    let shown = format!("select given_name from auth0.user where user_id = '{user}'");
    wait_until("reading goes on", SOON, async || session.text(&shown).await == "Read").await;
    let (_, out, log) = stand.run(&["status"]).await;
    assert!(out.contains("paused ") && out.contains("ago: a migration at Auth0"), "{out}{log}");

    stand.kill_service().await;
    stand.restart_service().await;
    wait_until("it is paused still", SOON, async || {
        let status = stand.status().await;
        status["writeback"]["writes"]["state"] == "paused" && status["writeback"]["held"] == 11
    })
    .await;
    assert_eq!(session.count(UNSETTLED).await, 11);
    assert_eq!(stand.emulator.calls("POST /roles").await, 0);
    assert_eq!(stand.emulator.calls("PATCH /users/{user_id}").await, 1, "the one from outside");

    let (done, out, log) = stand.run(&["resume"]).await;
    assert!(done.success(), "{out}{log}");
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(told(&mut listener).await["state"], "running");
    assert_eq!(session.count(NOT_CONFIRMED).await, 0);
    equal(&stand).await;
}

#[tokio::test]
async fn a_scope_that_is_taken_away_keeps_its_writes_waiting_and_no_others_until_it_is_back() {
    let emulator = Emulator::with(&["--users", "30", "--rate-limits", "off", "--token-lifetime", "2"]).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.restart_service().await;
    let (mut session, mut listener) = (stand.session().await, listener(&stand).await);
    stand.emulator.fault(json!({"withhold": ["update:users", "update:users_app_metadata"]})).await;
    // Tokens that are out keep what they had.
    let one = "update auth0.user set nickname = clock_timestamp()::text where user_id = (select min(user_id) from auth0.user)";
    wait_until("the service has a token without the scope", SOON, async || {
        session.run(one).await;
        stand.status().await["writeback"]["writes"].to_string().contains("auth0_scope")
    })
    .await;
    let blocked = told(&mut listener).await;
    assert_eq!((&blocked["state"], &blocked["blocked"][0]["table"]), (&json!("blocked"), &json!("user")));
    assert_eq!(blocked["blocked"][0]["operation"], "UPDATE");

    stand.emulator.forget_calls().await;
    session.run("update auth0.user set given_name = 'Waits'").await;
    let mut other = stand.session().await;
    other.confirmed("update auth0.role set description = 'does not wait'").await;
    other.confirmed("insert into auth0.organization (name) values ('does-not-wait')").await;
    assert!(session.count(UNSETTLED).await >= 30);
    assert_eq!(session.count("select count(*) from auth0._sync_cdc where state = 'reverted'").await, 0);
    let tried = stand.emulator.calls("PATCH /users/{user_id}").await;
    assert!(tried < 15, "{tried} calls for 30 rows that Auth0 does not allow");

    stand.emulator.fault(json!({"withhold": []})).await;
    wait_until("all are settled", Duration::from_secs(40), async || session.count(UNSETTLED).await == 0)
        .await;
    assert_eq!(told(&mut listener).await["state"], "running");
    assert_eq!(session.count(NOT_CONFIRMED).await, 0);
    equal(&stand).await;
}

#[tokio::test]
async fn what_keeps_all_writes_waiting_is_told_and_so_is_its_end() {
    let mut stand = Stand::start(10).await;
    let (mut session, mut listener) = (stand.session().await, listener(&stand).await);
    for path in ["^/oauth/token$", "^/api/v2/"] {
        stand.emulator.fault(json!({"match": {"path": path}, "do": "status", "status": 401})).await;
    }
    session.run("update auth0.user set nickname = 'revoked'").await;
    let waiting = told(&mut listener).await;
    assert_eq!((&waiting["state"], &waiting["kind"]), (&json!("waiting"), &json!("auth0_credentials")));
    assert!(waiting["hint"].as_str().unwrap().contains("AUTH0_CLIENT_SECRET"), "{waiting}");
    assert_eq!(session.count(UNSETTLED).await, 10);

    // A restart in between gives nothing up.
    stand.kill_service().await;
    stand.launch_service();
    let log = |stand: &Stand| stand.service.as_ref().unwrap().log();
    wait_until("it says so", SOON, async || log(&stand).contains("credentials any more")).await;
    assert_eq!(session.count(UNSETTLED).await, 10);
    stand.emulator.fault(json!({"clear": true})).await;
    stand.until_ready().await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(told(&mut listener).await["state"], "running");
    assert_eq!(session.count(NOT_CONFIRMED).await, 0);
    equal(&stand).await;
}
