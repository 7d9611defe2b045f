//! What a write has shown to be read, and nothing tells again, is read whatever dies meanwhile; so is what a call
//! does of which nobody has heard.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Emulator, Postgres, Session, Stand, all_settled, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);
const TABLES: &[&str] = &["user", "user_block", "user_block_watch"];
const KEPT: &str = "select count(*) from _auth0_sync.to_read";
const BLOCKS: &str = "select count(*) from auth0.user_block";

/// A tenant with a blocked user, whose blocks nobody has asked for yet; the user's id.
async fn stand() -> (Stand, String) {
    let emulator = Emulator::start(3).await;
    let user = emulator.api.get("/api/v2/users").await[0]["user_id"].as_str().unwrap().to_owned();
    let blocks: Value = json!({"blocked_for": [{"identifier": "ada@example.com", "ip": "203.0.113.7"}]});
    let path = format!("/user-blocks/{}", user.replace('|', "%7C"));
    emulator.api.post("/_emulator/preload", json!({"singletons": {path: blocks}})).await;
    let mut stand = Stand::with_objects(Postgres::start(), emulator, TABLES).await;
    stand.restart_service().await;
    (stand, user)
}

/// Watches the user while Auth0 does not show blocks: what is to be read is kept.
async fn watch_in_vain(stand: &Stand, user: &str) -> Session {
    let order = json!({"match": {"path": "/user-blocks/"}, "do": "status", "status": 503});
    stand.emulator.fault(order).await;
    let mut session = stand.session().await;
    session.confirmed(&format!("insert into auth0.user_block_watch (user_id) values ('{user}')")).await;
    let mut root = stand.root().await;
    assert!(root.count(KEPT).await > 0, "nothing else would tell that the blocks are to be read");
    assert_eq!(session.count(BLOCKS).await, 0);
    session
}

async fn is_read(stand: &Stand) {
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    wait_until("the blocks are read", SOON, async || session.count(BLOCKS).await == 1).await;
    wait_until("nothing is kept any more", SOON, async || root.count(KEPT).await == 0).await;
}

#[tokio::test]
async fn what_was_to_be_read_is_read_by_the_next_service() {
    let (mut stand, user) = stand().await;
    watch_in_vain(&stand, &user).await;
    stand.kill_service().await;
    stand.emulator.fault(json!({"clear": true})).await;
    stand.restart_service().await;
    is_read(&stand).await;
}

#[tokio::test]
async fn what_was_to_be_read_is_read_when_the_database_is_back() {
    let (mut stand, user) = stand().await;
    watch_in_vain(&stand, &user).await;
    stand.postgres.kill();
    stand.emulator.fault(json!({"clear": true})).await;
    stand.postgres.restart();
    is_read(&stand).await;
}

#[tokio::test]
async fn a_call_that_arrives_behind_another_change_shows_in_the_table() {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(3).await, &["user"]).await;
    // Only the log tells what happens: events show whole rows, whoever made the call.
    stand.configuration = "events = false\n".to_owned();
    stand.restart_service().await;
    let mut session = stand.session().await;
    let user = session.text("select user_id from auth0.user order by 1 limit 1").await;
    let set = |name: &str| format!("update auth0.user set nickname = '{name}' where user_id = '{user}'");
    let late = json!({"match": {"method": "PATCH"}, "times": 1, "do": "drop_late", "delay_ms": 2_000});
    stand.emulator.fault(late).await;
    // Nothing of it is found, so that it is sent again; then comes another, and then the first call.
    session.confirmed(&set("first")).await;
    session.confirmed(&set("second")).await;
    let at_auth0 = format!("/api/v2/users/{}", user.replace('|', "%7C"));
    wait_until("the first call has arrived", SOON, async || {
        stand.emulator.api.get(&at_auth0).await["nickname"] == "first"
    })
    .await;
    let shown = format!("select count(*) from auth0.user where user_id = '{user}' and nickname = 'first'");
    wait_until("the table shows what Auth0 has", SOON, async || session.count(&shown).await == 1).await;
    all_settled(&stand).await;
    equal(&stand).await;
}
