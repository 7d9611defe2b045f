//! Events that are pushed to the webhooks and Actions of event streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth0_sync::emulator::Options;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::Tenant;
use crate::runtime::has_node;
use crate::wait::{wait_for, wait_until};

const SECONDS: Duration = Duration::from_secs(15);

/// An Action that throws at its first event, fails what is a test, and posts what it has taken.
const ACTION: &str = "
let met = 0;
exports.onExecuteEventStream = async (event, api) => {
  met += 1;
  if (met === 1) throw new Error('not yet');
  if (event.message.a0purpose === 'test') return api.message.fail('no tests here');
  const headers = { authorization: event.secrets.WORD };
  await fetch(event.secrets.URL, { method: 'POST', headers, body: JSON.stringify(event.message) });
};";

/// A webhook: what came, with its `Authorization`, and what it answers before it takes everything.
#[derive(Clone, Default)]
struct Inbox {
    came: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

/// A listening webhook; it ends when it is dropped.
struct Webhook {
    inbox: Inbox,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Webhook {
    async fn open(listener: TcpListener, answers: &[u16]) -> Webhook {
        let inbox = Inbox::default();
        inbox.answers.lock().unwrap().extend(answers);
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let service = Router::new().fallback(take).with_state(inbox.clone());
        let server = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Webhook { inbox, url, server }
    }

    fn came(&self) -> Vec<(String, Value)> {
        self.inbox.came.lock().unwrap().clone()
    }

    /// Waits until so many messages have come.
    async fn has(&self, count: usize) -> Vec<(String, Value)> {
        wait_until(&format!("{count} messages"), SECONDS, async || self.came().len() >= count).await;
        self.came()
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: String) -> StatusCode {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    inbox.came.lock().unwrap().push((authorization, serde_json::from_str(&body).unwrap()));
    StatusCode::from_u16(inbox.answers.lock().unwrap().pop_front().unwrap_or(204)).unwrap()
}

async fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Makes a stream of new organizations to this address; its id.
async fn stream(tenant: &Tenant, url: &str) -> String {
    let authorization = json!({"method": "basic", "username": "auth0", "password": "secret"});
    let configuration = json!({"webhook_endpoint": url, "webhook_authorization": authorization});
    stream_to(tenant, json!({"type": "webhook", "configuration": configuration})).await
}

/// The same to this destination.
async fn stream_to(tenant: &Tenant, destination: Value) -> String {
    let body = json!({
        "name": "pushed",
        "subscriptions": [{"event_type": "organization.created"}],
        "destination": destination,
    });
    let made = tenant.post("/api/v2/event-streams", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn organization(tenant: &Tenant, name: &str) {
    let made = tenant.post("/api/v2/organizations", json!({"name": name})).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

fn names(came: &[(String, Value)]) -> Vec<&str> {
    came.iter().map(|(_, event)| event["data"]["object"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_is_pushed_with_its_streams_authorization_until_it_is_taken() {
    let tenant = Tenant::with_users(0).await;
    organization(&tenant, "before").await;
    let webhook = Webhook::open(free().await, &[503]).await;
    let id = stream(&tenant, &webhook.url).await;
    organization(&tenant, "pushed").await;
    let came = webhook.has(2).await;
    assert_eq!(names(&came), ["pushed", "pushed"], "and what was there before the stream is none of its");
    assert_eq!(came[0], came[1], "the same event again");
    let (authorization, event) = &came[0];
    assert_eq!(authorization, "Basic YXV0aDA6c2VjcmV0");
    assert_eq!((&event["type"], &event["a0stream"]), (&json!("organization.created"), &json!(id)));
    assert!(event["id"].as_str().unwrap().starts_with("evt_"), "{event}");
    let failed = tenant.get(&format!("/api/v2/event-streams/{id}/deliveries")).await;
    assert_eq!(failed.body, json!([]));
}

#[tokio::test]
async fn an_action_gets_every_event_of_its_stream_until_it_neither_throws_nor_fails_it() {
    if !has_node() {
        return;
    }
    let tenant = Tenant::with_users(0).await;
    let webhook = Webhook::open(free().await, &[]).await;
    let action = json!({
        "name": "pushed", "code": ACTION, "deploy": true,
        "supported_triggers": [{"id": "event-stream", "version": "v1"}],
        "secrets": [{"name": "URL", "value": webhook.url}, {"name": "WORD", "value": "secret"}],
    });
    let action = tenant.post("/api/v2/actions/actions", action).await;
    assert_eq!(action.status, 201, "{}", action.body);
    let id = stream_to(&tenant, json!({"type": "action", "configuration": {"action_id": action.body["id"]}}))
        .await;
    let path = format!("/api/v2/event-streams/{id}");
    organization(&tenant, "one").await;
    let came = webhook.has(1).await;
    assert_eq!(
        (names(&came), came[0].0.as_str()),
        (vec!["one"], "secret"),
        "the second attempt has brought it"
    );
    assert_eq!(came[0].1["a0stream"], id);
    organization(&tenant, "two").await;
    assert_eq!(names(&webhook.has(2).await), ["one", "two"]);
    assert_eq!(tenant.get(&format!("{path}/deliveries")).await.body, json!([]));

    let test = json!({"event_type": "organization.created", "data": {"name": "test"}});
    assert_eq!(tenant.post(&format!("{path}/test"), test).await.status, 202);
    let failed = wait_for("the test is failed", SECONDS, async || {
        let failed = tenant.get(&format!("{path}/deliveries")).await.body;
        failed.get(0).cloned()
    })
    .await;
    let attempts = failed["attempts"].as_array().unwrap();
    assert_eq!(
        (attempts.len(), &attempts[0]["error_message"]),
        (1, &json!("the action has failed the message"))
    );

    // It goes with its stream.
    assert_eq!(tenant.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    let gone = format!("/api/v2/actions/actions/{}", action.body["id"].as_str().unwrap());
    assert_eq!(tenant.get(&gone).await.status, 404);
}

#[tokio::test]
async fn what_is_refused_is_kept_as_failed_and_delivered_again_on_demand() {
    let tenant = Tenant::with_users(0).await;
    let webhook = Webhook::open(free().await, &[401, 403]).await;
    let id = stream(&tenant, &webhook.url).await;
    let path = format!("/api/v2/event-streams/{id}");
    organization(&tenant, "one").await;
    organization(&tenant, "two").await;
    let failed = wait_for("both are failed", SECONDS, async || {
        let failed = tenant.get(&format!("{path}/deliveries")).await.body;
        Some(failed).filter(|failed| failed.as_array().unwrap().len() == 2)
    })
    .await;
    assert_eq!(webhook.came().len(), 2, "a refusal is final");
    let one = failed.as_array().unwrap().iter().find(|one| one["event"]["data"]["object"]["name"] == "one");
    let one = one.unwrap();
    assert_eq!((&one["status"], &one["event_type"]), (&json!("failed"), &json!("organization.created")));
    assert_eq!(one["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(one["event_stream_id"], id);
    let event = one["id"].as_str().unwrap();
    assert_eq!(tenant.get(&format!("{path}/deliveries/{event}")).await.body["id"], event);

    let again = tenant.post(&format!("{path}/redeliver/{event}"), json!({})).await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_eq!(names(&webhook.has(3).await)[2], "one");
    let none = tenant.post(&format!("{path}/redeliver/{event}"), json!({})).await;
    assert_eq!(none.status, 404, "it is delivered");
    let none = json!({"event_types": ["user.created"]});
    assert_eq!(tenant.post(&format!("{path}/redeliver"), none).await.status, 202);
    let all =
        tenant.post(&format!("{path}/redeliver"), json!({"event_types": ["organization.created"]})).await;
    assert_eq!(all.status, 202, "{}", all.body);
    assert_eq!(names(&webhook.has(4).await)[3], "two");
    wait_until("nothing is failed", SECONDS, async || {
        tenant.get(&format!("{path}/deliveries")).await.body == json!([])
    })
    .await;
}

#[tokio::test]
async fn a_disabled_stream_gets_test_events_alone() {
    let tenant = Tenant::with_users(0).await;
    let webhook = Webhook::open(free().await, &[]).await;
    let id = stream(&tenant, &webhook.url).await;
    let path = format!("/api/v2/event-streams/{id}");
    tenant.patch(&path, json!({"status": "disabled"})).await;
    organization(&tenant, "unseen").await;
    let object = json!({"event_type": "organization.created", "data": {"name": "test"}});
    let sent = tenant.post(&format!("{path}/test"), object).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let came = webhook.has(1).await;
    assert_eq!((&came[0].1["a0purpose"], &came[0].1["id"]), (&json!("test"), &sent.body["id"]));
    tenant.patch(&path, json!({"status": "enabled"})).await;
    organization(&tenant, "seen").await;
    assert_eq!(names(&webhook.has(2).await), ["test", "seen"]);
    assert_eq!(tenant.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    let gone = tenant.post(&format!("{path}/redeliver"), json!({})).await;
    assert_eq!(gone.status, 404, "{}", gone.body);
}

#[tokio::test]
async fn what_waits_to_be_pushed_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), ..Options::default() };
    let tenant = Tenant::start(options()).await;
    let listener = free().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    stream(&tenant, &format!("http://{address}/in")).await;
    organization(&tenant, "late").await;
    tenant.kill().await;
    let webhook = Webhook::open(TcpListener::bind(address).await.unwrap(), &[]).await;
    let _tenant = Tenant::start(options()).await;
    assert_eq!(names(&webhook.has(1).await)[0], "late");
}
