//! Simulated logins, and the Actions that run on them.

use auth0_sync::emulator::Options;
use serde_json::{Value, json};

use crate::client::Tenant;

/// Whether Actions can run here; says so where they cannot.
pub(crate) fn has_node() -> bool {
    let there = std::process::Command::new("node").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: node is not in PATH");
    }
    there
}

/// An Action at a trigger, deployed; its key.
async fn action(tenant: &Tenant, trigger: (&str, &str), name: &str, code: &str) -> String {
    let body = json!({
        "name": name,
        "supported_triggers": [{"id": trigger.0, "version": trigger.1}],
        "code": code,
        "secrets": [{"name": "WORD", "value": format!("secret of {name}")}],
    });
    let made = tenant.post("/api/v2/actions/actions", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(tenant.post(&format!("/api/v2/actions/actions/{id}/deploy"), json!({})).await.status, 200);
    id
}

async fn bind(tenant: &Tenant, trigger: &str, bindings: Value) {
    let path = format!("/api/v2/actions/triggers/{trigger}/bindings");
    let answer = tenant.patch(&path, json!({"bindings": bindings})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn by_name(name: &str) -> Value {
    json!({"ref": {"type": "action_name", "value": name}, "display_name": name})
}

async fn someone(tenant: &Tenant) -> String {
    let users = tenant.get("/api/v2/users").await.body;
    users[0]["user_id"].as_str().unwrap().to_owned()
}

const POST_LOGIN: (&str, &str) = ("post-login", "v3");

#[tokio::test]
async fn a_login_changes_the_profile_begins_a_session_and_is_logged() {
    let tenant = Tenant::with_users(2).await;
    let user = someone(&tenant).await;
    let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
    let before = tenant.get(&path).await.body;
    let login =
        tenant.post("/_emulator/login", json!({"email": before["email"], "ip": "198.51.100.7"})).await;
    assert_eq!((login.status, &login.body["user_id"]), (200, &json!(user)), "{}", login.body);
    let after = tenant.get(&path).await.body;
    let count = before["logins_count"].as_u64().unwrap_or(0);
    assert_eq!(after["logins_count"], count + 1);
    assert_eq!((&after["last_ip"], &after["updated_at"]), (&json!("198.51.100.7"), &after["last_login"]));
    let session = login.body["session_id"].as_str().unwrap();
    assert_eq!(tenant.get(&format!("/api/v2/sessions/{session}")).await.body["user_id"], user);
    let log = tenant.get("/api/v2/logs?per_page=1").await.body;
    assert_eq!((&log[0]["type"], &log[0]["user_id"]), (&json!("s"), &json!(user)));
    let unknown = tenant.post("/_emulator/login", json!({"email": "nobody@example.com"})).await;
    assert_eq!(unknown.status, 404);
    tenant.patch(&path, json!({"blocked": true})).await;
    assert_eq!(tenant.post("/_emulator/login", json!({"user_id": user})).await.status, 401);
}

#[tokio::test]
async fn the_first_login_through_a_social_connection_makes_the_user() {
    let tenant = Tenant::with_users(0).await;
    tenant.post("/api/v2/connections", json!({"name": "google", "strategy": "google-oauth2"})).await;
    let login = json!({"connection": "google", "email": "new@example.com"});
    let first = tenant.post("/_emulator/login", login.clone()).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let id = first.body["user_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("google-oauth2|"), "{id}");
    assert_eq!(tenant.post("/_emulator/login", login).await.body["user_id"], id, "the same user comes again");
}

#[tokio::test]
async fn bound_actions_run_in_order_as_they_were_deployed_with_their_own_secrets() {
    if !has_node() {
        return;
    }
    let tenant = Tenant::with_users(1).await;
    let code = "let runs = 0; exports.onExecutePostLogin = async (event, api) => { runs += 1; \
        console.log(event.secrets.WORD, event.user.user_id, event.stats.logins_count, runs); \
        api.idToken.setCustomClaim('a', 1); };";
    let first = action(&tenant, POST_LOGIN, "first", code).await;
    action(&tenant, POST_LOGIN, "second", code).await;
    bind(&tenant, "post-login", json!([by_name("second"), by_name("first")])).await;
    // A draft does not run.
    tenant.patch(&format!("/api/v2/actions/actions/{first}"), json!({"code": "throw 1"})).await;
    let user = someone(&tenant).await;
    let mut counts = Vec::new();
    for run in 1..=2 {
        let login = tenant.post("/_emulator/login", json!({"user_id": user})).await;
        assert_eq!(login.status, 200, "{}", login.body);
        let actions = &login.body["actions"];
        let names: Vec<_> =
            actions["results"].as_array().unwrap().iter().map(|r| &r["action_name"]).collect();
        assert_eq!(names, ["second", "first"], "{actions}");
        let lines: Vec<&str> = actions["logs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(lines[0].starts_with(&format!("secret of second {user} ")), "{lines:?}");
        assert!(lines[1].starts_with(&format!("secret of first {user} ")), "{lines:?}");
        assert!(lines[1].ends_with(&format!(" {run}")), "what it remembers lasts: {lines:?}");
        assert_eq!(actions["calls"][0]["call"], "idToken.setCustomClaim");
        counts.push(lines[0].split(' ').nth_back(1).unwrap().parse::<u64>().unwrap());
        let execution = actions["execution_id"].as_str().unwrap();
        let shown = tenant.get(&format!("/api/v2/actions/executions/{execution}")).await.body;
        assert_eq!(shown["trigger_id"], "post-login", "{shown}");
    }
    assert_eq!(counts[1], counts[0] + 1);
}

#[tokio::test]
async fn an_action_that_throws_or_denies_ends_the_login_and_what_follows_does_not_run() {
    if !has_node() {
        return;
    }
    let tenant = Tenant::with_users(1).await;
    action(
        &tenant,
        POST_LOGIN,
        "no",
        "exports.onExecutePostLogin = async (e, api) => api.access.deny('not today');",
    )
    .await;
    action(
        &tenant,
        POST_LOGIN,
        "bad",
        "exports.onExecutePostLogin = async () => { throw new Error('oh'); };",
    )
    .await;
    action(&tenant, POST_LOGIN, "last", "exports.onExecutePostLogin = async () => {};").await;
    let user = someone(&tenant).await;
    for (name, why) in [("no", "not today"), ("bad", "oh")] {
        bind(&tenant, "post-login", json!([by_name(name), by_name("last")])).await;
        let login = tenant.post("/_emulator/login", json!({"user_id": user})).await;
        assert_eq!((login.status, &login.body["error"]), (401, &json!("access_denied")), "{}", login.body);
        assert!(login.body["error_description"].as_str().unwrap().contains(why), "{}", login.body);
        assert_eq!(login.body["actions"]["ran"], 1);
        assert_eq!(tenant.get("/api/v2/logs?per_page=1").await.body[0]["type"], "f");
    }
    let sessions = tenant.get(&format!("/api/v2/users/{}/sessions", user.replace('|', "%7C"))).await.body;
    assert_eq!(sessions["sessions"], json!([]), "{sessions}");
}

#[tokio::test]
async fn sign_ups_and_new_passwords_run_their_actions_beside() {
    let tenant = Tenant::with_users(0).await;
    let throws = "exports.onExecutePostUserRegistration = async () => { throw new Error('oh'); };";
    action(&tenant, ("post-user-registration", "v2"), "greets", throws).await;
    bind(&tenant, "post-user-registration", json!([by_name("greets")])).await;
    let sign_up = json!({"connection": "Username-Password-Authentication", "email": "a@example.com", "password": "Aa1!aaaaaaaa"});
    let made = tenant.post("/_emulator/signup", sign_up).await;
    assert_eq!(made.status, 200, "what fails beside does not fail the sign-up: {}", made.body);
    assert_eq!(tenant.get("/api/v2/logs?per_page=1").await.body[0]["type"], "ss");
    let changed = json!({"email": "a@example.com", "password": "Bb2?bbbbbbbb"});
    assert_eq!(tenant.post("/_emulator/change-password", changed).await.status, 200);
    assert_eq!(tenant.get("/api/v2/logs?per_page=1").await.body[0]["type"], "scp");
    let users = tenant.get("/api/v2/users").await.body;
    assert!(users[0]["last_password_reset"].is_string(), "{users}");
}

#[tokio::test]
async fn a_draft_is_deployed_once_it_is_built() {
    let slow = std::time::Duration::from_secs(3600);
    let tenant = Tenant::start(Options { action_build: slow, ..Options::default() }).await;
    let body =
        json!({"name": "slow", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": ""});
    let made = tenant.post("/api/v2/actions/actions", body).await;
    let path = format!("/api/v2/actions/actions/{}", made.body["id"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.body["status"], "pending");
    let deployed = tenant.post(&format!("{path}/deploy"), json!({})).await;
    assert_eq!(deployed.status, 400);
    assert!(deployed.body["message"].as_str().unwrap().contains("'built' state"), "{}", deployed.body);
}

#[tokio::test]
async fn a_binding_is_kept_by_its_own_id() {
    let tenant = Tenant::with_users(0).await;
    for name in ["one", "two"] {
        action(&tenant, POST_LOGIN, name, "").await;
    }
    bind(&tenant, "post-login", json!([by_name("one"), by_name("two")])).await;
    let path = "/api/v2/actions/triggers/post-login/bindings";
    let before = tenant.get(path).await.body;
    let kept = |n: usize| json!({"ref": {"type": "binding_id", "value": before["bindings"][n]["id"]}, "display_name": before["bindings"][n]["display_name"]});
    bind(&tenant, "post-login", json!([kept(1), kept(0)])).await;
    let after = tenant.get(path).await.body;
    let ids = |body: &Value| -> Vec<Value> {
        body["bindings"].as_array().unwrap().iter().map(|binding| binding["id"].clone()).collect()
    };
    let mut turned = ids(&before);
    turned.reverse();
    assert_eq!(ids(&after), turned);
    let strange = json!([{"ref": {"type": "binding_id", "value": "none"}}]);
    assert_eq!(tenant.patch(path, json!({"bindings": strange})).await.status, 404);
}
