//! Rows that run a call once.

use std::time::Duration;

use serde_json::{Value, json};

use super::{there, user};
use crate::support::{Session, Stand, all_settled, wait_until};

/// What the stand mirrors.
pub const TABLES: &[&str] = &["user", "client", "organization", "ticket", "client_rotate_secret"];

const SOON: Duration = Duration::from_secs(15);
const CALL: &str = "POST /tickets/email-verification";
const PATH: &str = "/tickets/email-verification$";

async fn ticket(session: &mut Session) -> Value {
    session.rows("select * from auth0.ticket").await.remove(0)
}

/// A ticket for the n-th user; what `auth0.wait()` says.
async fn ask(stand: &Stand, session: &mut Session, n: u32) -> Result<String, crate::support::Refusal> {
    let id = user(session, n).await;
    stand.emulator.forget_calls().await;
    session
        .run(&format!(
            "insert into auth0.ticket (type, user_id, ttl_sec) values ('email_verification', '{id}', 60)"
        ))
        .await;
    session.wait().await
}

/// Nothing more is sent, however often the service starts.
async fn never_again(stand: &mut Stand) {
    stand.restart_service().await;
    all_settled(stand).await;
    assert_eq!(stand.emulator.calls(CALL).await, 1);
}

pub async fn a_command_runs_once_and_keeps_its_answer(stand: &mut Stand) {
    let mut session = stand.session().await;
    assert_eq!(ask(stand, &mut session, 0).await.as_deref(), Ok("confirmed"));
    let row = ticket(&mut session).await;
    assert_eq!((&row["state"], &row["error"]), (&"done".into(), &Value::Null));
    assert!(row["ticket"].as_str().unwrap().starts_with("http"), "{row}");
    assert!(row["id"].as_str().unwrap().starts_with("cmd_") && row["answered_at"].is_string(), "{row}");
    never_again(stand).await;
    assert_eq!(ticket(&mut session).await, row);
    session.run("delete from auth0.ticket").await;
    assert_eq!(session.count("select count(*) from auth0.ticket").await, 0);
}

pub async fn a_refused_command_stays_and_says_why(stand: &mut Stand) {
    let mut session = stand.session().await;
    let body =
        json!({"statusCode": 400, "error": "Bad Request", "message": "Not this one", "errorCode": "no"});
    stand
        .emulator
        .fault(json!({"match": {"path": PATH}, "times": 1, "do": "status", "status": 400, "body": body}))
        .await;
    assert_eq!(ask(stand, &mut session, 0).await.unwrap_err().message, "[Auth0] Not this one");
    let row = ticket(&mut session).await;
    assert_eq!(row["state"], "failed");
    assert_eq!((&row["error"]["status"], &row["error"]["errorCode"]), (&400.into(), &"no".into()));
    let mutation =
        &session.rows("select state, error from auth0._sync_cdc order by id desc limit 1").await[0];
    assert_eq!((&mutation["state"], &mutation["error"]), (&"reverted".into(), &row["error"]));
}

pub async fn a_command_whose_answer_is_lost_is_not_run_again(stand: &mut Stand) {
    let mut session = stand.session().await;
    stand.emulator.fault(json!({"match": {"path": PATH}, "times": 1, "do": "drop_after"})).await;
    let refusal = ask(stand, &mut session, 0).await.unwrap_err();
    assert!(refusal.message.contains("the answer was lost"), "{refusal:?}");
    let row = ticket(&mut session).await;
    assert_eq!((&row["state"], &row["error"]["kind"]), (&"unknown".into(), &"outcome_unknown".into()));
    assert_eq!(row["ticket"], Value::Null);
    never_again(stand).await;
}

pub async fn a_command_whose_service_is_killed_is_not_run_again(stand: &mut Stand) {
    let mut session = stand.session().await;
    stand
        .emulator
        .fault(json!({"match": {"path": PATH}, "times": 1, "do": "delay_after", "delay_ms": 60_000}))
        .await;
    let id = user(&mut session, 0).await;
    stand.emulator.forget_calls().await;
    session
        .run(&format!("insert into auth0.ticket (type, user_id) values ('email_verification', '{id}')"))
        .await;
    wait_until("it runs", SOON, async || stand.emulator.calls(CALL).await == 1).await;
    let state = session.text("select state from auth0._sync_cdc order by id desc limit 1").await;
    assert_eq!(state, "sending");
    stand.kill_service().await;
    never_again(stand).await;
    assert!(session.wait().await.unwrap_err().message.contains("the answer was lost"));
    assert_eq!(ticket(&mut session).await["state"], "unknown");
}

pub async fn a_throttled_command_runs_later(stand: &mut Stand) {
    let mut session = stand.session().await;
    stand.emulator.fault(json!({"match": {"path": PATH}, "times": 2, "do": "status", "status": 429})).await;
    assert_eq!(ask(stand, &mut session, 0).await.as_deref(), Ok("confirmed"));
    assert_eq!(ticket(&mut session).await["state"], "done");
    let attempts = session.count("select attempts from auth0._sync_cdc order by id desc limit 1").await;
    assert_eq!(attempts, 1, "a 429 is no attempt");
}

pub async fn a_command_waits_for_what_it_is_about(stand: &mut Stand) {
    let mut session = stand.session().await;
    session
        .confirmed(
            "with c as (insert into auth0.client (name) values ('Rotated') returning client_id) \
             insert into auth0.client_rotate_secret (client_id) select client_id from c",
        )
        .await;
    let row = &session.rows("select * from auth0.client_rotate_secret").await[0];
    let client = &there(stand, "client", "name", "Rotated").await[0];
    assert_eq!((&row["state"], &row["client_id"]), (&"done".into(), &client["client_id"]));
    assert_eq!(row["client_secret"], client["client_secret"]);
    assert_eq!(row["extra"], Value::Null, "the rest of the answer is the client's");

    let taken = session.text("select name from auth0.organization order by name limit 1").await;
    let id = user(&mut session, 0).await;
    stand.emulator.forget_calls().await;
    session
        .run(&format!(
            "with o as (insert into auth0.organization (name) values ('{taken}') returning id) \
             insert into auth0.ticket (type, user_id, organization_id) select 'email_verification', '{id}', id from o"
        ))
        .await;
    assert!(session.wait().await.is_err());
    all_settled(stand).await;
    assert_eq!(stand.emulator.calls(CALL).await, 0);
    let row = ticket(&mut session).await;
    assert_eq!((&row["state"], &row["error"]["kind"]), (&"failed".into(), &"cancelled".into()));
}
