//! One UPDATE of columns that Auth0 takes in several calls only.

use std::time::Duration;

use serde_json::{Value, json};

use super::api_user;
use crate::support::{Session, Stand, all_settled, wait_until};

const SOON: Duration = Duration::from_secs(5);
const CALLS: &str = "PATCH /users/{user_id}";

/// Two users of a database with user names, `one` and `two`.
async fn named(stand: &Stand) -> Session {
    let mut session = stand.session().await;
    // On the oldest Postgres one stand serves every scenario.
    if session.count("select count(*) from auth0.connection where name = 'Named'").await > 0 {
        session
            .confirmed(
                "delete from auth0.user where user_id in ('auth0|one', 'auth0|two'); \
                 delete from auth0.connection where name = 'Named'",
            )
            .await;
    }
    session
        .confirmed(
            "insert into auth0.connection (name, strategy, options) \
             values ('Named', 'auth0', '{\"requires_username\": true}')",
        )
        .await;
    for name in ["one", "two"] {
        session
            .confirmed(&format!(
                "insert into auth0.user (user_id, email, username, nickname, connection, password) \
                 values ('auth0|{name}', '{name}@example.com', '{name}', '{name}', 'Named', 'long-enough-1')"
            ))
            .await;
    }
    stand.emulator.forget_calls().await;
    session
}

fn shown(user: &Value) -> (&str, &str, &str) {
    let text = |column: &str| user[column].as_str().unwrap_or_default();
    (text("email"), text("username"), text("nickname"))
}

async fn is_still_one(stand: &Stand, session: &mut Session) {
    all_settled(stand).await;
    assert_eq!(shown(&api_user(stand, "auth0|one").await), ("one@example.com", "one", "one"));
    // What Auth0's events tell of the calls in between may come behind the settlement, each in its turn.
    wait_until("the table shows what Auth0 has", SOON, async || {
        let row = &session.rows("select * from auth0.user where user_id = 'auth0|one'").await[0];
        shown(row) == ("one@example.com", "one", "one")
    })
    .await;
}

pub async fn what_auth0_takes_apart_is_one_update_for_the_client(stand: &mut Stand) {
    let mut session = named(stand).await;
    session
        .confirmed(
            "update auth0.user set email = 'uno@example.com', username = 'uno', nickname = 'uno', \
             password = 'marker-of-a-split-1' where user_id = 'auth0|one'",
        )
        .await;
    assert_eq!(stand.emulator.calls(CALLS).await, 3);
    assert_eq!(shown(&api_user(stand, "auth0|one").await), ("uno@example.com", "uno", "uno"));
    assert!(stand.emulator.journal().contains("marker-of-a-split-1"), "the password did not arrive");
    let mutation =
        &session.rows("select state, attempts from auth0._sync_cdc order by id desc limit 1").await[0];
    assert_eq!(mutation, &json!({"state": "confirmed", "attempts": 1}));
}

pub async fn a_later_refusal_takes_the_earlier_calls_back(stand: &mut Stand) {
    let mut session = named(stand).await;
    let update = |set: &str| {
        format!(
            "update auth0.user set email = 'uno@example.com', nickname = 'uno', {set} where user_id = 'auth0|one'"
        )
    };
    session.run(&update("username = 'two', password = 'long-enough-2'")).await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(refusal.message, "[Auth0] The specified new username already exists");
    is_still_one(stand, &mut session).await;
    assert_eq!(stand.emulator.calls(CALLS).await, 3, "e-mail, user name, and the e-mail back");

    session.run(&update("username = 'uno', password = 'x'")).await;
    assert!(session.wait().await.unwrap_err().message.contains("Password"));
    is_still_one(stand, &mut session).await;
}

pub async fn what_cannot_be_taken_back_is_told_and_shown(stand: &mut Stand) {
    let mut session = named(stand).await;
    let refused = json!({"statusCode": 400, "error": "Bad Request", "message": "Not now", "errorCode": "no"});
    stand
        .emulator
        .fault(json!({"match": {"method": "PATCH", "path": "/users/"}, "after": 1, "times": 2, "do": "status", "status": 400, "body": refused}))
        .await;
    session
        .run("update auth0.user set email = 'uno@example.com', username = 'uno' where user_id = 'auth0|one'")
        .await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(
        refusal.message,
        "[Auth0] Not now; Auth0 had taken email before, and refused to take it back: 400 Not now"
    );
    assert_eq!(shown(&api_user(stand, "auth0|one").await), ("uno@example.com", "one", "one"));
}

pub async fn an_emptied_object_is_emptied_at_auth0(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = super::user(&mut session, 10).await;
    let set = |value: &str| format!("update auth0.user set user_metadata = {value} where user_id = '{id}'");
    session.confirmed(&set("'{\"a\": 1}'")).await;
    // A key that the mirror does not know yet goes with the rest.
    let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
    session.run("begin").await;
    session.run(&set("'{}'")).await;
    stand.emulator.api.patch(&path, json!({"user_metadata": {"theirs": 1}})).await;
    session.run("commit").await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    let sent = session.one("select after from auth0._sync_cdc order by id desc limit 1").await;
    assert_eq!(sent, json!({"user_metadata": {}}));
    assert_eq!(api_user(stand, &id).await["user_metadata"], json!({}));
}
