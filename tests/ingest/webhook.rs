//! The webhook as somebody meets it who is not Auth0, or who is.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::actions::{free_port, in_place, set_up};
use crate::support::Stand;
use crate::{becomes, path, user};

struct Sender {
    client: Client,
    root: String,
    key: Vec<u8>,
}

impl Sender {
    async fn of(stand: &Stand, port: u16) -> Sender {
        let key: Vec<u8> = sqlx::query_scalar("select key from _auth0_sync.webhook_key")
            .fetch_one(&stand.admin().await)
            .await
            .unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Sender { client, root: format!("http://127.0.0.1:{port}"), key }
    }

    /// A message with a right signature; the status of its answer, which never says more.
    async fn send(&self, time: i64, id: &str, body: &str) -> u16 {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(format!("{time}.{id}.{body}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        self.signed(&signature, time, id, body).await
    }

    async fn signed(&self, signature: &str, time: i64, id: &str, body: &str) -> u16 {
        let request = self
            .client
            .post(format!("{}/reports", self.root))
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
    let port = free_port();
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
async fn an_event_stream_is_made_fed_and_removed() {
    let port = free_port();
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
