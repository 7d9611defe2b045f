//! Events: what tells of a change, and the stream that brings it.

use std::time::Duration;

use auth0_sync::emulator::{EventOptions, Options};
use serde_json::{Value, json};

use crate::client::{Tenant, answer};

/// A subscription, read message by message.
struct Stream {
    response: reqwest::Response,
    text: String,
}

/// One message: the fields `event`, `id` and `data`; `:` is the comment.
#[derive(Debug, Default)]
struct Message {
    event: String,
    id: String,
    data: Value,
    comment: String,
}

impl Stream {
    async fn open(tenant: &Tenant, query: &str) -> Stream {
        let request = tenant.request(reqwest::Method::GET, &format!("/api/v2/events{query}"));
        Stream::of(request).await
    }

    async fn of(request: reqwest::RequestBuilder) -> Stream {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Stream { response, text: String::new() };
        assert_eq!(stream.block().await.unwrap(), ":connected");
        assert_eq!(stream.block().await.unwrap(), "retry: 2000");
        stream
    }

    /// The next block; none at the end, or where the connection broke.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            let chunk = chunk.unwrap().ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn message(&mut self) -> Option<Message> {
        let mut message = Message::default();
        for line in self.block().await?.lines() {
            match line.split_once(": ").unwrap() {
                ("event", text) => message.event = text.to_owned(),
                ("id", text) => message.id = text.to_owned(),
                ("data", text) => message.data = serde_json::from_str(text).unwrap(),
                (_, text) => message.comment = text.to_owned(),
            }
        }
        Some(message)
    }

    /// The next message that is no heartbeat.
    async fn event(&mut self) -> Option<Message> {
        loop {
            let message = self.message().await?;
            if message.comment.is_empty() && message.event != "offset-only" {
                return Some(message);
            }
        }
    }

    /// The types and keys of the next events.
    async fn told<const N: usize>(&mut self) -> [(String, Value); N] {
        let mut told = Vec::new();
        for _ in 0..N {
            let message = self.event().await.unwrap();
            assert_eq!(message.data["offset"], message.id);
            let event = &message.data["event"];
            assert_eq!(event["type"], message.event);
            told.push((message.event, event["data"]["object"].clone()));
        }
        told.try_into().unwrap()
    }
}

/// Asks again and again, for some seconds.
async fn until(mut met: impl AsyncFnMut() -> bool) -> bool {
    let asked = std::time::Instant::now();
    while asked.elapsed() < Duration::from_secs(5) {
        if met().await {
            return true;
        }
    }
    false
}

async fn order(tenant: &Tenant, order: Value) {
    assert_eq!(tenant.post("/_emulator/faults", order).await.status, 200);
}

/// A user of the default database.
async fn user(tenant: &Tenant, name: &str) -> Value {
    let user = json!({"connection": "Username-Password-Authentication", "email": format!("{name}@example.com"), "password": "Long-enough-1"});
    let answer = tenant.post("/api/v2/users", user).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

fn path(user: &Value) -> String {
    format!("/api/v2/users/{}", user["user_id"].as_str().unwrap())
}

#[tokio::test]
async fn users_are_told_of_as_they_come_change_and_go() {
    let tenant = Tenant::with_users(0).await;
    let mut stream = Stream::open(&tenant, "").await;
    let made = user(&tenant, "ada").await;
    let changed =
        tenant.patch(&path(&made), json!({"nickname": "A", "app_metadata": {"plan": "pro"}})).await.body;
    tenant.delete(&path(&made), None).await;
    let message = stream.event().await.unwrap();
    let event = &message.data["event"];
    for (field, shape) in [
        ("id", "evt_"),
        ("a0stream", "est_"),
        ("source", "urn:auth0:"),
        ("time", "20"),
        ("specversion", "1.0"),
    ] {
        assert!(event[field].as_str().unwrap().starts_with(shape), "{event}");
    }
    assert_eq!((message.event.as_str(), &event["type"]), ("user.created", &json!("user.created")));
    let object = &event["data"]["object"];
    for field in ["user_id", "email", "created_at", "updated_at", "identities"] {
        assert_eq!(object[field], made[field], "{field}");
    }
    let [updated, deleted] = stream.told().await;
    assert_eq!(updated.0, "user.updated");
    assert_eq!((&updated.1["nickname"], &updated.1["app_metadata"]["plan"]), (&json!("A"), &json!("pro")));
    assert_eq!(updated.1["updated_at"], changed["updated_at"]);
    assert_eq!((deleted.0.as_str(), &deleted.1["user_id"]), ("user.deleted", &made["user_id"]));
    assert!(deleted.1["deleted_at"].is_string());
}

#[tokio::test]
async fn organizations_tell_of_members_roles_and_connections_too() {
    let tenant = Tenant::with_users(0).await;
    let ada = user(&tenant, "ada").await;
    let role = tenant.post("/api/v2/roles", json!({"name": "editor"})).await.body["id"].clone();
    let connections = tenant.get("/api/v2/connections").await.body;
    let connection = connections[0]["id"].clone();
    let mut stream = Stream::open(&tenant, "").await;
    let organization = json!({"name": "acme", "display_name": "Acme", "metadata": {"tier": "gold"}});
    let made = tenant.post("/api/v2/organizations", organization).await.body;
    let home = format!("/api/v2/organizations/{}", made["id"].as_str().unwrap());
    tenant.patch(&home, json!({"display_name": "Acme Inc."})).await;
    tenant.post(&format!("{home}/members"), json!({"members": [ada["user_id"]]})).await;
    let roles = format!("{home}/members/{}/roles", ada["user_id"].as_str().unwrap());
    tenant.post(&roles, json!({"roles": [role]})).await;
    tenant.post(&format!("{home}/enabled_connections"), json!({"connection_id": connection})).await;
    let [created, updated, member, assigned, added] = stream.told().await;
    assert_eq!(created.0, "organization.created");
    assert_eq!(
        created.1,
        json!({"id": made["id"], "name": "acme", "display_name": "Acme", "metadata": {"tier": "gold"}})
    );
    assert_eq!(updated.0, "organization.updated");
    assert_eq!(updated.1, json!({"id": made["id"], "display_name": "Acme Inc."}), "the changed fields alone");
    let organization = json!({"id": made["id"], "name": "acme"});
    let member_of = json!({"organization": organization, "user": {"user_id": ada["user_id"]}});
    assert_eq!(member, ("organization.member.added".to_owned(), member_of));
    assert_eq!(assigned.0, "organization.member.role.assigned");
    assert_eq!(assigned.1["role"], json!({"id": role, "name": "editor"}));
    assert_eq!(added.0, "organization.connection.added");
    assert_eq!(added.1["connection"], json!({"id": connection}));
    tenant.delete(&roles, Some(json!({"roles": [role]}))).await;
    tenant.delete(&path(&ada), None).await;
    let told: [_; 3] = stream.told().await;
    let types: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["organization.member.role.deleted", "user.deleted", "organization.member.deleted"]);
}

#[tokio::test]
async fn a_link_an_import_and_a_directory_tell_of_what_they_change() {
    let tenant = Tenant::with_users(0).await;
    let (ada, bob) = (user(&tenant, "ada").await, user(&tenant, "bob").await);
    let mut stream = Stream::open(&tenant, "").await;
    let link = json!({"provider": "auth0", "user_id": bob["user_id"]});
    assert_eq!(tenant.post(&format!("{}/identities", path(&ada)), link).await.status, 201);
    let [gone, grown] = stream.told().await;
    assert_eq!((gone.0.as_str(), &gone.1["user_id"]), ("user.deleted", &bob["user_id"]));
    assert_eq!((grown.0.as_str(), grown.1["identities"].as_array().unwrap().len()), ("user.updated", 2));
    let group = json!({"id": "grp_1234567890123456", "name": "engineering", "type": "tenant"});
    let preload = json!({"announce": true, "collections": {"/groups": [group]}});
    tenant.post("/_emulator/preload", preload).await;
    let members = "/groups/grp_1234567890123456/members";
    let preload =
        json!({"announce": true, "collections": {members: [{"id": ada["user_id"], "member_type": "user"}]}});
    tenant.post("/_emulator/preload", preload).await;
    tenant
        .post(
            "/_emulator/preload",
            json!({"collections": {"/groups": [{"id": "grp_silent", "name": "silent"}]}}),
        )
        .await;
    tenant.delete("/api/v2/groups/grp_1234567890123456", None).await;
    let [created, added, removed, left] = stream.told().await;
    assert_eq!(created.0, "group.created");
    assert_eq!((&created.1["name"], &created.1["type"]), (&json!("engineering"), &json!("tenant")));
    assert_eq!(added.0, "group.member.added");
    assert_eq!(added.1["member"], json!({"id": ada["user_id"], "member_type": "user"}));
    assert_eq!(added.1["group"]["type"], "tenant");
    assert_eq!((removed.0.as_str(), left.0.as_str()), ("group.deleted", "group.member.deleted"));
}

#[tokio::test]
async fn a_stream_goes_on_behind_an_offset_and_shows_the_types_that_were_asked_for() {
    let tenant = Tenant::with_users(0).await;
    let mut stream = Stream::open(&tenant, "").await;
    let ada = user(&tenant, "ada").await;
    let first = stream.event().await.unwrap();
    tenant.patch(&path(&ada), json!({"nickname": "A"})).await;
    let organization = tenant.post("/api/v2/organizations", json!({"name": "acme"})).await.body;
    let mut again = Stream::open(&tenant, &format!("?from={}", first.id)).await;
    let [updated, created] = again.told().await;
    assert_eq!((updated.0.as_str(), created.0.as_str()), ("user.updated", "organization.created"));
    let query = format!("?from={}&event_type=organization.created&event_type=organization.updated", first.id);
    let [only] = Stream::open(&tenant, &query).await.told().await;
    assert_eq!(only.1["id"], organization["id"]);
    // The header wins over the parameter.
    let request = tenant.request(reqwest::Method::GET, "/api/v2/events?from=nonsense");
    let [updated] = Stream::of(request.header("last-event-id", &first.id)).await.told().await;
    assert_eq!(updated.0, "user.updated");
    let [oldest] = Stream::open(&tenant, "?from_timestamp=2020-01-01T00:00:00Z").await.told().await;
    assert_eq!(oldest.0, "user.created");
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_as_auth0_does() {
    let options = Options { plan: Some("professional".to_owned()), ..Options::default() };
    let tenant = Tenant::start(options).await;
    let get = async |query: &str| tenant.get(&format!("/api/v2/events{query}")).await;
    for (query, status, message) in [
        ("?from=nonsense", 400, "Invalid cursor format."),
        ("?event_type=user.exploded", 400, "Unsupported event type."),
        (
            "?from_timestamp=yesterday",
            400,
            "Query validation error: 'Object didn't pass validation for format date-time' on property from_timestamp.",
        ),
    ] {
        let answer = get(query).await;
        assert_eq!((answer.status, answer.body["message"].as_str().unwrap()), (status, message), "{query}");
    }
    let anonymous = answer(tenant.http.get(format!("{}/api/v2/events", tenant.base))).await.unwrap();
    assert_eq!(anonymous.status, 401);
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(Stream::open(&tenant, "").await);
    }
    let full = get("").await;
    let words = "Maximum concurrent event stream connections reached. Please close existing connections.";
    assert_eq!((full.status, full.body["message"].as_str().unwrap()), (403, words));
    drop(streams);
    let open = async || {
        let request = tenant.request(reqwest::Method::GET, "/api/v2/events");
        request.send().await.unwrap().status().as_u16()
    };
    assert!(until(async || open().await == 200).await, "a stream that has ended leaves its place");
}

#[tokio::test]
async fn without_the_scope_there_are_no_events() {
    let tenant = Tenant::start(Options { withheld: vec!["read:events".into()], ..Options::default() }).await;
    let answer = tenant.get("/api/v2/events").await;
    assert_eq!((answer.status, &answer.body["errorCode"]), (403, &json!("insufficient_scope")));
}

#[tokio::test]
async fn offsets_come_with_the_heartbeats_and_the_connection_ends_by_itself() {
    let events = EventOptions {
        heartbeat: Duration::from_millis(50),
        connection: Duration::from_millis(400),
        ..EventOptions::default()
    };
    let tenant = Tenant::start(Options { events, ..Options::default() }).await;
    let mut stream = Stream::open(&tenant, "").await;
    assert_eq!(stream.message().await.unwrap().comment, "heartbeat");
    let offset = stream.message().await.unwrap();
    assert_eq!(offset.event, "offset-only");
    user(&tenant, "ada").await;
    let query = format!("?from={}", offset.data["offset"].as_str().unwrap());
    let [created] = Stream::open(&tenant, &query).await.told().await;
    assert_eq!(created.0, "user.created");
    while stream.message().await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let tenant =
        Tenant::start(Options { token_lifetime: Duration::from_secs(2), ..Options::default() }).await;
    let mut stream = Stream::open(&tenant, "").await;
    assert!(stream.event().await.is_none());
    assert_eq!(tenant.get("/api/v2/events").await.status, 401);
}

#[tokio::test]
async fn what_is_too_old_has_gone_and_so_has_what_a_reset_forgets() {
    let events = EventOptions { retention: Duration::from_millis(300), ..EventOptions::default() };
    let tenant = Tenant::start(Options { events, ..Options::default() }).await;
    let mut stream = Stream::open(&tenant, "").await;
    user(&tenant, "ada").await;
    let first = stream.event().await.unwrap();
    user(&tenant, "bob").await;
    let last = stream.event().await.unwrap();
    let path = format!("/api/v2/events?from={}", first.id);
    let status = async || tenant.request(reqwest::Method::GET, &path).send().await.unwrap().status();
    assert!(until(async || status().await == 410).await);
    let gone = tenant.get(&path).await.body["message"].clone();
    assert_eq!(gone, "Cursor points to data no longer available in the stream.");
    drop(Stream::open(&tenant, &format!("?from={}", last.id)).await);
    tenant.post("/_emulator/reset", json!({})).await;
    assert_eq!(tenant.get(&format!("/api/v2/events?from={}", last.id)).await.status, 410);
}

#[tokio::test]
async fn events_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), ..Options::default() };
    let tenant = Tenant::start(options()).await;
    let mut stream = Stream::open(&tenant, "").await;
    user(&tenant, "ada").await;
    let first = stream.event().await.unwrap();
    user(&tenant, "bob").await;
    tenant.kill().await;
    let tenant = Tenant::start(options()).await;
    let [second] = Stream::open(&tenant, &format!("?from={}", first.id)).await.told().await;
    assert_eq!(second.1["email"], "bob@example.com");
}

#[tokio::test]
async fn a_stream_breaks_repeats_mixes_up_and_ends_with_an_error_where_it_is_told_to() {
    let tenant = Tenant::with_users(0).await;
    let mut stream = Stream::open(&tenant, "").await;
    let mail = |told: &(String, Value)| told.1["email"].as_str().unwrap().to_owned();
    order(&tenant, json!({"do": "events_duplicate", "times": 1})).await;
    order(&tenant, json!({"do": "events_disorder", "times": 1})).await;
    for name in ["a", "b", "c"] {
        user(&tenant, name).await;
    }
    let told: [_; 4] = stream.told().await;
    let mails: Vec<_> = told.iter().map(mail).collect();
    assert_eq!(mails, ["a@example.com", "a@example.com", "c@example.com", "b@example.com"]);
    order(&tenant, json!({"do": "events_delay", "delay_ms": 300, "times": 1})).await;
    let before = std::time::Instant::now();
    user(&tenant, "d").await;
    let last = stream.event().await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(300));
    order(&tenant, json!({"do": "events_error", "code": "processing_error", "times": 1})).await;
    let error = stream.event().await.unwrap();
    assert_eq!((error.event.as_str(), &error.data["error"]["code"]), ("error", &json!("processing_error")));
    assert_eq!(error.data["error"]["offset"], last.id);
    assert!(stream.event().await.is_none(), "nothing follows an error");
    let mut stream = Stream::open(&tenant, "").await;
    order(&tenant, json!({"do": "events_drop", "times": 1})).await;
    assert!(stream.event().await.is_none());
    let mut stream = Stream::open(&tenant, &format!("?from={}", last.id)).await;
    user(&tenant, "e").await;
    let [next] = stream.told().await;
    assert_eq!(mail(&next), "e@example.com");
}
