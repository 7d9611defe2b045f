//! The webhook as somebody meets it who is not Auth0, or who is.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::actions::{in_place, set_up};
use crate::support::{Stand, own_port};
use crate::{SECONDS, becomes, calls, count, path, user, wait_until};

struct Sender {
    client: Client,
    root: String,
    key: Vec<u8>,
}

impl Sender {
    async fn of(stand: &Stand, port: u16) -> Sender {
        let newest = "select key from _auth0_sync.webhook_key order by id desc limit 1";
        let key: Vec<u8> = sqlx::query_scalar(newest).fetch_one(&stand.admin().await).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Sender { client, root: format!("http://127.0.0.1:{port}"), key }
    }

    /// A message with a right signature; the status of its answer, which never says more.
    async fn send(&self, time: i64, id: &str, body: &str) -> u16 {
        self.signed(&self.signature(time, id, body), time, id, body).await
    }

    fn signature(&self, time: i64, id: &str, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(format!("{time}.{id}.{body}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    async fn signed(&self, signature: &str, time: i64, id: &str, body: &str) -> u16 {
        self.signed_at("reports", signature, (time, id), body).await
    }

    async fn signed_at(&self, path: &str, signature: &str, (time, id): (i64, &str), body: &str) -> u16 {
        let request = self
            .client
            .post(format!("{}/{path}", self.root))
            .header("x-auth0-sync-time", time)
            .header("x-auth0-sync-id", id)
            .header("x-auth0-sync-signature", signature)
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.text().await.unwrap(), "", "nothing is told");
        status
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

#[tokio::test]
async fn messages_count_once_in_time_and_proven_and_nothing_else_does() {
    let port = own_port();
    let mut stand = set_up(2, port, "actions = false\n").await;
    stand.restart_service().await;
    let sender = Sender::of(&stand, port).await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    let login = json!({"trigger": "post-login", "user_id": user}).to_string();

    stand.emulator.api.patch(&path(&user), json!({"nickname": "told"})).await;
    assert_eq!(sender.send(now(), &id(1), &login).await, 204);
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), "told").await;

    assert_eq!(sender.send(now(), &id(1), &login).await, 409, "the same message again");
    stand.kill_service().await;
    stand.restart_service().await;
    assert_eq!(sender.send(now(), &id(1), &login).await, 409, "a restart forgets nothing");

    assert_eq!(sender.send(now() - 301_000, &id(2), &login).await, 401, "too old");
    assert_eq!(sender.send(now() + 301_000, &id(3), &login).await, 401, "from the future");
    assert_eq!(
        sender.signed(&STANDARD.encode([7; 32]), now(), &id(4), &login).await,
        401,
        "a wrong signature"
    );
    assert_eq!(sender.signed("", now(), &id(5), &login).await, 401);
    assert_eq!(sender.send(now(), &id(6), "{\"trigger\":").await, 400, "proven, and no message");
    assert_eq!(sender.send(now(), &id(7), &"x".repeat(256 * 1024 + 1)).await, 413);

    let other = |method: Method, path: &str| {
        let request = sender.client.request(method, format!("{}{path}", sender.root)).body("{}");
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(other(method, "/reports").await, 405);
    }
    assert_eq!(other(Method::POST, "/elsewhere").await, 404);
    assert_eq!(other(Method::POST, "/events").await, 401, "an event without the stream's token");
}

#[tokio::test]
async fn an_event_that_an_action_has_signed_is_taken_and_counts_once() {
    let port = own_port();
    let mut stand = set_up(1, port, "actions = false\n").await;
    stand.restart_service().await;
    let sender = Sender::of(&stand, port).await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    let event = |id: &str| {
        json!({"type": "user.updated", "id": id, "data": {"object": {"user_id": user}}}).to_string()
    };
    let send = async |time: i64, id: &str, body: &str| {
        sender.signed_at("events", &sender.signature(time, id, body), (time, id), body).await
    };
    let wrong = STANDARD.encode([7; 32]);
    assert_eq!(sender.signed_at("events", &wrong, (now(), &id(1)), &event("evt_1")).await, 401);
    assert_eq!(send(now() - 301_000, &id(1), &event("evt_1")).await, 401, "too old");
    assert_eq!(send(now(), &id(1), "{}").await, 400, "proven, and no event");

    stand.emulator.api.patch(&path(&user), json!({"nickname": "signed"})).await;
    assert_eq!(send(now(), &id(1), &event("evt_1")).await, 204);
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), "signed").await;
    stand.emulator.forget_calls().await;
    assert_eq!(send(now(), &id(2), &event("evt_1")).await, 204, "another attempt of the same event");
    stand.emulator.api.patch(&path(&user), json!({"nickname": "later"})).await;
    assert_eq!(send(now(), &id(3), &event("evt_2")).await, 204);
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), "later").await;
    assert_eq!(calls(&stand, "GET /users").await, 1, "the second attempt has asked for nothing");
}

#[tokio::test]
async fn an_event_stream_is_made_fed_and_removed() {
    let port = own_port();
    let mut stand = set_up(1, port, "actions = false\nevent_stream = true\n").await;
    stand.restart_service().await;
    in_place(&stand).await;
    let api = &stand.emulator.api;
    let streams = api.get("/api/v2/event-streams").await;
    let streams = streams["eventStreams"].as_array().or(streams.as_array()).unwrap().clone();
    let [stream] = streams.as_slice() else { panic!("{streams:?}") };
    let configuration = &stream["destination"]["configuration"];
    assert_eq!(configuration["webhook_endpoint"], format!("http://127.0.0.1:{port}/events"));
    assert!(stream["subscriptions"].as_array().unwrap().contains(&json!({"event_type": "user.updated"})));

    let token = stand.emulator.journal();
    let token = token.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    api.patch(&path(&user), json!({"nickname": "fed"})).await;
    let event = json!({
        "specversion": "1.0", "type": "user.updated", "id": "evt_0000000000000001", "source": "urn:auth0:emulator",
        "data": {"object": {"user_id": user}},
    });
    let client = Client::builder().no_proxy().build().unwrap();
    let post = |event: &Value| {
        let request = client.post(format!("http://127.0.0.1:{port}/events")).bearer_auth(&token).json(event);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(post(&event).await, 204);
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), "fed").await;
    assert_eq!(post(&event).await, 204, "Auth0 must not send it again");
    assert_eq!(post(&json!({"id": "evt_2"})).await, 400);

    // Not asked for any more: the next start removes it.
    stand.configuration = crate::actions::with_webhook(port, "actions = false\n");
    stand.restart_service().await;
    in_place(&stand).await;
    let left = stand.emulator.api.get("/api/v2/event-streams").await;
    let left = left["eventStreams"].as_array().or(left.as_array()).unwrap().len();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn by_an_event_stream_alone_changes_are_in_the_tables() {
    let port = own_port();
    let mut stand = set_up(3, port, "actions = false\nevent_stream = true\n").await;
    stand.restart_service().await;
    in_place(&stand).await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    stand.emulator.forget_calls().await;
    let (changed, deleted) = (user(&pool, 0).await, user(&pool, 1).await);
    api.patch(&path(&changed), json!({"nickname": "pushed"})).await;
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{changed}'"), "pushed")
        .await;
    let made = api.post("/api/v2/organizations", json!({"name": "pushed"})).await;
    let made = made["id"].as_str().unwrap();
    becomes(&pool, &format!("select name from auth0.organization where id = '{made}'"), "pushed").await;
    api.post(&format!("/api/v2/organizations/{made}/members"), json!({"members": [changed]})).await;
    let member = format!("select user_id from auth0.organization_member where organization_id = '{made}'");
    becomes(&pool, &member, &changed).await;
    api.delete(&path(&deleted)).await;
    let there = format!("select count(*) from auth0.\"user\" where user_id = '{deleted}'");
    wait_until("the user is gone", SECONDS, async || count(&pool, &there).await == 0).await;
    assert_eq!((calls(&stand, "GET /logs").await, calls(&stand, "GET /events").await), (0, 0));
    let streams = api.get("/api/v2/event-streams").await;
    let id = streams["eventStreams"].as_array().or(streams.as_array()).unwrap()[0]["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/api/v2/event-streams/{id}/deliveries")).await, json!([]));
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one_without_a_gap() {
    let port = own_port();
    let mut stand = set_up(1, port, "event_stream = true\n").await;
    stand.restart_service().await;
    in_place(&stand).await;
    let old = Sender::of(&stand, port).await;
    let (status, said, log) = stand.run(&["teardown", "--rotate"]).await;
    assert!(status.success() && said.contains("a new key"), "{said}{log}");
    let new = Sender::of(&stand, port).await;
    assert_ne!(old.key, new.key);
    let secret = STANDARD.encode(&new.key);
    // Three Actions; the running service has seen the key by itself.
    wait_until("Auth0 has the new key", 3 * SECONDS, async || {
        stand.emulator.journal().matches(&secret).count() >= 3
    })
    .await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    let login = json!({"trigger": "post-login", "user_id": user}).to_string();
    assert_eq!(new.send(now(), &id(1), &login).await, 204);
    assert_eq!(old.send(now(), &id(2), &login).await, 204, "what is under way counts still");
    // What the event stream carries follows from the key.
    stand.emulator.api.patch(&path(&user), json!({"nickname": "rotated"})).await;
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), "rotated").await;

    let (status, ..) = stand.run(&["teardown", "--rotate"]).await;
    assert!(status.success());
    let newest = STANDARD.encode(&Sender::of(&stand, port).await.key);
    wait_until("Auth0 has the newest key", 3 * SECONDS, async || {
        stand.emulator.journal().matches(&newest).count() >= 3
    })
    .await;
    assert_eq!(old.send(now(), &id(3), &login).await, 401, "of two keys ago nothing counts");
    assert_eq!(new.send(now(), &id(4), &login).await, 204);
}
