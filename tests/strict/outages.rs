//! The service, Auth0 or Postgres goes while a strict statement waits.

use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{SOON, at_auth0, becomes, decided, returned, strict, there, user};
use crate::support::{Session, Stand, equal, wait_until};

/// Runs a statement in a session of its own; its error's SQLSTATE, or nothing.
fn apart(stand: &Stand, sql: String) -> tokio::task::JoinHandle<Option<String>> {
    let url = stand.app_url.clone();
    tokio::spawn(async move {
        let mut session = Session::open(&url).await;
        session.run("set auth0.write_mode = 'strict'").await;
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut session.connection).await;
        done.err()
            .map(|error| error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned())
    })
}

#[tokio::test]
async fn a_service_killed_between_the_call_and_the_answer_leaves_both_sides_equal() {
    let mut stand = Stand::start(10).await;
    let mut watcher = stand.session().await;
    let mine = user(&mut watcher, 0).await;
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    let late = |method: &str| json!({"match": {"method": method}, "times": 1, "do": "delay_after", "delay_ms": 5_000});

    stand.emulator.fault(late("PATCH")).await;
    let waiting = apart(&stand, format!("update auth0.user set nickname = 'half' where user_id = '{mine}'"));
    becomes(&stand, &mine, "nickname", &json!("half")).await;
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(waiting.await.unwrap().as_deref(), Some("57014"));
    decided(&stand).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], nickname);

    stand.emulator.fault(late("POST")).await;
    let waiting = apart(&stand, "insert into auth0.role (name) values ('half')".to_owned());
    wait_until("Auth0 has the role", SOON, async || there(&stand, "role", "name", "half").await == 1).await;
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(waiting.await.unwrap().as_deref(), Some("57014"));
    decided(&stand).await;
    assert_eq!(there(&stand, "role", "name", "half").await, 0);

    // Answered, and killed before the transaction has ended: each end is found by the next.
    strict(&stand)
        .await
        .run(&format!("update auth0.user set nickname = 'before' where user_id = '{mine}'"))
        .await;
    for (end, wanted) in [("rollback", "before"), ("commit", "answered")] {
        let mut session = strict(&stand).await;
        session.run("begin").await;
        session.run(&format!("update auth0.user set nickname = 'answered' where user_id = '{mine}'")).await;
        stand.kill_service().await;
        session.run(end).await;
        stand.restart_service().await;
        decided(&stand).await;
        assert_eq!(at_auth0(&stand, &mine).await["nickname"], wanted, "{end}");
    }
    equal(&stand).await;
}

#[tokio::test]
async fn a_service_killed_while_it_takes_back_what_was_rolled_back_does_it_once() {
    let mut stand = Stand::start(10).await;
    let mut session = strict(&stand).await;
    let mine = user(&mut session, 0).await;
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    let late = |method: &str, path: &str| json!({"match": {"method": method, "path": path}, "times": 1, "do": "delay_after", "delay_ms": 5_000});

    session.run(&format!("begin; update auth0.user set nickname = 'gone' where user_id = '{mine}'")).await;
    stand.emulator.fault(late("PATCH", "/users/")).await;
    session.run("rollback").await;
    becomes(&stand, &mine, "nickname", &nickname).await;
    stand.kill_service().await;
    stand.restart_service().await;
    decided(&stand).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], nickname);

    session.run("begin; insert into auth0.role (name) values ('gone')").await;
    stand.emulator.fault(late("DELETE", "/roles/")).await;
    session.run("rollback").await;
    let gone = async || there(&stand, "role", "name", "gone").await == 0;
    wait_until("Auth0 has deleted the role", SOON, gone).await;
    stand.kill_service().await;
    stand.restart_service().await;
    decided(&stand).await;
    assert_eq!(there(&stand, "role", "name", "gone").await, 0);

    // Auth0 takes any number of clients of one name.
    let old =
        returned(&mut session, "insert into auth0.client (name) values ('once') returning client_id").await;
    session.run(&format!("begin; delete from auth0.client where client_id = '{old}'")).await;
    stand.emulator.fault(late("POST", "/clients$")).await;
    session.run("rollback").await;
    let made = async || there(&stand, "client", "name", "once").await == 1;
    wait_until("Auth0 has made the client again", SOON, made).await;
    stand.kill_service().await;
    stand.restart_service().await;
    decided(&stand).await;
    assert_eq!(there(&stand, "client", "name", "once").await, 1);
    let new = session.text("select client_id from auth0.client where name = 'once'").await;
    assert_ne!(new, old, "the row has the key that it has at Auth0");
    equal(&stand).await;
}

#[tokio::test]
async fn without_the_service_or_auth0_a_statement_fails_in_time_and_nothing_is_sent_later() {
    let mut stand = Stand::start(10).await;
    let mut session = strict(&stand).await;
    let mine = user(&mut session, 0).await;
    let update = format!("update auth0.user set nickname = 'never' where user_id = '{mine}'");
    session.run("set auth0.strict_timeout = '1 second'").await;

    stand.emulator.fault(json!({"down": true})).await;
    let refusal = session.refused(&update).await;
    assert_eq!(refusal.code, "57014", "{refusal:?}");
    stand.emulator.fault(json!({"down": false})).await;
    decided(&stand).await;

    stand.kill_service().await;
    let refusal = session.refused(&update).await;
    assert_eq!(refusal.message, "[Auth0] no answer within 1 second; nothing is stored");
    assert!(refusal.hint.contains("service"), "{refusal:?}");
    stand.restart_service().await;
    decided(&stand).await;
    assert_eq!(there(&stand, "user", "nickname", "never").await, 0);
    session.run("update auth0.user set nickname = 'after all'").await;
    equal(&stand).await;
    assert_eq!(there(&stand, "user", "nickname", "never").await, 0);
}

#[tokio::test]
async fn a_postgres_that_is_killed_takes_its_open_transactions_back_at_auth0() {
    let mut stand = Stand::start(10).await;
    let mut session = strict(&stand).await;
    let (mine, kept) = (user(&mut session, 0).await, user(&mut session, 1).await);
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    session.run(&format!("update auth0.user set nickname = 'kept' where user_id = '{kept}'")).await;
    session.run("begin").await;
    session.run(&format!("update auth0.user set nickname = 'open' where user_id = '{mine}'")).await;
    stand.postgres.kill();
    stand.postgres.restart();
    becomes(&stand, &mine, "nickname", &nickname).await;
    decided(&stand).await;
    assert_eq!(at_auth0(&stand, &kept).await["nickname"], "kept");
    equal(&stand).await;
}
