//! Confirmed, refused, waited for.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::PgListener;

use super::{api_user, user};
use crate::support::Stand;

pub async fn an_update_is_confirmed_and_auth0_shows_it(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 0).await;
    session
        .confirmed(&format!(
            "update auth0.user set nickname = 'first light', blocked = true where user_id = '{id}'"
        ))
        .await;
    let there = api_user(stand, &id).await;
    assert_eq!((&there["nickname"], &there["blocked"]), (&"first light".into(), &true.into()));
    let mutation = &session.rows("select * from auth0._sync_cdc order by id desc limit 1").await[0];
    assert_eq!(mutation["state"], "confirmed");
    assert_eq!(mutation["after"], serde_json::json!({"nickname": "first light", "blocked": true}));
    assert_eq!(mutation["attempts"], 1);
    let updated = session
        .text(&format!(
            "select updated_at = '{}' from auth0.user where user_id = '{id}'",
            there["updated_at"].as_str().unwrap()
        ))
        .await;
    assert_eq!(updated, "true", "the answer's read-only fields are taken over");
}

pub async fn what_auth0_refuses_is_put_back_and_told_everywhere(stand: &mut Stand) {
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let mut session = stand.session().await;
    let (mine, other) = (user(&mut session, 1).await, user(&mut session, 2).await);
    let email = session.text(&format!("select email from auth0.user where user_id = '{mine}'")).await;
    let taken = session.text(&format!("select email from auth0.user where user_id = '{other}'")).await;

    session
        .run(&format!(
            "update auth0.user set email = '{taken}', given_name = 'Refused' where user_id = '{mine}'"
        ))
        .await;
    let refusal = session.wait().await.unwrap_err();
    let said = "[Auth0] The specified new email already exists";
    assert_eq!(
        (refusal.message.as_str(), refusal.code.as_str(), refusal.table.as_str()),
        (said, "22023", "user")
    );
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"), "a refusal is raised once");
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"));

    let row =
        &session.rows(&format!("select email, given_name from auth0.user where user_id = '{mine}'")).await[0];
    assert_eq!(row["email"], email.as_str());
    assert_ne!(row["given_name"], "Refused");
    let mutation = &session.rows("select * from auth0._sync_cdc order by id desc limit 1").await[0];
    assert_eq!(mutation["state"], "reverted");
    let error = &mutation["error"];
    assert_eq!(error["status"], 400);
    assert_eq!(error["message"], said.trim_start_matches("[Auth0] "));
    assert_eq!(error["errorCode"], "auth0_idp_error");
    assert_eq!(error["kind"], "auth0_refused");
    loop {
        let note = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
        let note: Value = serde_json::from_str(note.payload()).unwrap();
        if note["id"] == mutation["id"] {
            assert_eq!(note["state"], "reverted");
            assert_eq!(note["table"], "user");
            assert_eq!(note["operation"], "UPDATE");
            assert_eq!(note["key"], serde_json::json!({"user_id": mine}));
            assert_eq!(note["txid"], mutation["txid"]);
            assert_eq!(&note["error"], error);
            break;
        }
    }
}

pub async fn waiting_inside_the_transaction_says_what_to_do(stand: &mut Stand) {
    let mut session = stand.session().await;
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"));
    let id = user(&mut session, 0).await;
    session.run(&format!("begin; update auth0.user set nickname = 'inside' where user_id = '{id}'")).await;
    let refusal = session.refused("select auth0.wait()").await;
    assert_eq!(refusal.message, "[Auth0] the change is not committed yet");
    assert!(refusal.hint.starts_with("COMMIT first"), "{refusal:?}");
    session.run("rollback").await;
    assert_eq!(
        session.wait().await.as_deref(),
        Ok("nothing to wait for"),
        "what was rolled back is not waited for"
    );
    session.run("begin isolation level repeatable read").await;
    session.run("commit").await;
    session.run(&format!("update auth0.user set nickname = 'outside' where user_id = '{id}'")).await;
    session.run("begin isolation level repeatable read").await;
    let refusal = session.refused("select auth0.wait()").await;
    assert_eq!(refusal.message, "[Auth0] waiting needs READ COMMITTED");
    session.run("rollback").await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
}

pub async fn many_updates_of_one_row_go_out_together_and_only_the_guilty_one_comes_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let (mine, other) = (user(&mut session, 3).await, user(&mut session, 4).await);
    let taken = session.text(&format!("select email from auth0.user where user_id = '{other}'")).await;
    stand.emulator.forget_calls().await;
    stand
        .emulator
        .fault(serde_json::json!({"match": {"method": "PATCH"}, "times": 1, "delay_ms": 300}))
        .await;
    for n in 0..40 {
        session.run(&format!("update auth0.user set nickname = 'n{n}' where user_id = '{mine}'")).await;
    }
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    let calls = stand.emulator.calls("PATCH /users/{id}").await
        + stand.emulator.calls("PATCH /users/{user_id}").await;
    assert!((1..20).contains(&calls), "{calls} calls for 40 mutations");
    let states = session.rows("select state, count(*) from (select state from auth0._sync_cdc order by id desc limit 40) x group by 1 order by 1").await;
    assert_eq!(states.len(), 2, "{states:?}");
    assert_eq!(api_user(stand, &mine).await["nickname"], "n39");

    stand
        .emulator
        .fault(serde_json::json!({"match": {"method": "PATCH"}, "times": 1, "delay_ms": 300}))
        .await;
    for set in ["nickname = 'before'", "name = 'one'", &format!("email = '{taken}'"), "given_name = 'two'"] {
        session.run(&format!("update auth0.user set {set} where user_id = '{mine}'")).await;
    }
    assert!(session.wait().await.is_err());
    crate::support::all_settled(stand).await;
    let states = session.rows("select state from auth0._sync_cdc order by id desc limit 4").await;
    let states: Vec<_> = states.iter().rev().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states[2], "reverted", "{states:?}");
    assert!([0, 1, 3].iter().all(|n| ["confirmed", "merged"].contains(&states[*n])), "{states:?}");
    let there = api_user(stand, &mine).await;
    assert_eq!(
        (&there["nickname"], &there["name"], &there["given_name"]),
        (&"before".into(), &"one".into(), &"two".into())
    );
}
