//! The service is killed between the word of a client who holds a transaction and its end.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{Session, Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(20);
const ROUTE: &str = "PATCH /users/{user_id}";

/// A held change of the first user; its transaction, and the user.
async fn held(session: &mut Session, word: &str) -> (String, String) {
    let id = session.text("select min(user_id) from auth0.user where user_id like 'auth0|%'").await;
    session
        .run(&format!(
            "begin; set local auth0.hold = on; update auth0.user set nickname = '{word}' where user_id = '{id}'; commit"
        ))
        .await;
    (session.text("select txid::text from auth0._sync_cdc order by id desc limit 1").await, id)
}

async fn nickname(stand: &Stand, id: &str) -> Value {
    stand.emulator.api.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await["nickname"].clone()
}

async fn state(session: &mut Session, txid: &str) -> String {
    session.text(&format!("select state from auth0._sync_cdc where txid = '{txid}'")).await
}

#[tokio::test]
async fn what_was_released_is_sent_once_though_the_service_is_killed_before_it_settles() {
    let mut stand = Stand::start(10).await;
    let mut session = stand.session().await;

    // The word is given while nobody listens.
    let (txid, id) = held(&mut session, "unheard").await;
    stand.emulator.forget_calls().await;
    stand.service.as_ref().unwrap().signal(Signal::SIGSTOP);
    assert_eq!(session.count(&format!("select auth0.release('{txid}')")).await, 1);
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!((stand.emulator.calls(ROUTE).await, nickname(&stand, &id).await), (1, json!("unheard")));

    // It has gone out, and its answer is on its way.
    let (txid, id) = held(&mut session, "unanswered").await;
    stand.emulator.forget_calls().await;
    let late = json!({"match": {"method": "PATCH"}, "times": 1, "do": "delay_after", "delay_ms": 5_000});
    stand.emulator.fault(late).await;
    session.count(&format!("select auth0.release('{txid}')")).await;
    wait_until("Auth0 has it", SOON, async || nickname(&stand, &id).await == "unanswered").await;
    assert_eq!(state(&mut session, &txid).await, "sending");
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(stand.emulator.calls(ROUTE).await, 1);
    equal(&stand).await;
}

#[tokio::test]
async fn what_was_discarded_is_never_sent_and_told_once_though_the_service_is_killed_before_it_settles() {
    let mut stand = Stand::start(10).await;
    let (mut session, mut holder) = (stand.session().await, stand.session().await);
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    stand.emulator.forget_calls().await;
    let mut discarded = Vec::new();
    for unheard in [true, false] {
        let (txid, id) = held(&mut session, "never").await;
        let before = nickname(&stand, &id).await;
        let discard = format!("select auth0.discard('{txid}')");
        if unheard {
            stand.service.as_ref().unwrap().signal(Signal::SIGSTOP);
            assert_eq!(session.count(&discard).await, 1);
            stand.kill_service().await;
        } else {
            // It cannot be settled as long as somebody holds the row.
            holder.run(&format!("begin; select from auth0.user where user_id = '{id}' for update")).await;
            session.count(&discard).await;
            // No call is made for it.
            let heard = async || stand.status().await["writeback"]["held"] != 0;
            wait_until("the service has heard of it", SOON, heard).await;
            stand.kill_service().await;
            assert_eq!(state(&mut session, &txid).await, "pending");
            holder.run("commit").await;
        }
        stand.restart_service().await;
        let refusal = session.wait().await.unwrap_err();
        assert_eq!(refusal.message, "[Auth0] discarded by app");
        assert_eq!(state(&mut session, &txid).await, "reverted");
        assert_eq!(nickname(&stand, &id).await, before);
        discarded.push(txid);
    }
    equal(&stand).await;
    assert_eq!(stand.emulator.calls(ROUTE).await, 0);
    session.confirmed("insert into auth0.role (name) values ('the last to be told')").await;
    let mut told = Vec::new();
    loop {
        let note = tokio::time::timeout(SOON, listener.recv()).await.unwrap().unwrap();
        let note: Value = serde_json::from_str(note.payload()).unwrap();
        if note["table"] == "role" {
            break;
        }
        assert_eq!(note["state"], "reverted");
        told.push(note["txid"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, discarded);
}
