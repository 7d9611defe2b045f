//! The service's own Actions: made beside everyone else's, run by logins, removed again.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{Emulator, Postgres, Stand};
use crate::{SECONDS, becomes, calls, fault, path, user, wait_until};

const TRIGGERS: [(&str, &str); 3] =
    [("post-login", "v3"), ("post-user-registration", "v2"), ("post-change-password", "v2")];
/// What looks at the log so rarely that no test sees it.
const ALONE: &str = "log_interval_ms = 3600000\nevents = false\n";

/// Whether Actions can run here; says so where they cannot.
pub(crate) fn has_node() -> bool {
    let there = std::process::Command::new("node").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: node is not in PATH");
    }
    there
}

/// A port that nobody listens at now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn with_webhook(port: u16, more: &str) -> String {
    format!("{ALONE}[webhook]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}\"\n{more}")
}

/// Everything but the service, with other people's Actions at two triggers.
pub(crate) async fn set_up(users: u32, port: u16, more: &str) -> Stand {
    let emulator = Emulator::with(&["--users", &users.to_string(), "--action-build", "300"]).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.configuration = with_webhook(port, more);
    stand
}

async fn bindings(stand: &Stand, trigger: &str) -> Vec<Value> {
    let path = format!("/api/v2/actions/triggers/{trigger}/bindings?per_page=100");
    stand.emulator.api.get(&path).await["bindings"].as_array().unwrap().clone()
}

/// Other people's Actions at post-login, one of them with a name of its own there.
async fn others(stand: &Stand) -> Vec<Value> {
    let api = &stand.emulator.api;
    let mut items = Vec::new();
    for name in ["Guard", "Greeter"] {
        let body = json!({
            "name": name, "code": "exports.onExecutePostLogin = async () => {};",
            "supported_triggers": [{"id": "post-login", "version": "v3"}],
        });
        let id = api.post("/api/v2/actions/actions", body).await["id"].as_str().unwrap().to_owned();
        let deploy = format!("/api/v2/actions/actions/{id}/deploy");
        wait_until("the draft is built", SECONDS, async || {
            api.send(Method::POST, &deploy, Some(&json!({}))).await.0.is_success()
        })
        .await;
        items
            .push(json!({"ref": {"type": "action_id", "value": id}, "display_name": format!("{name} here")}));
    }
    api.patch("/api/v2/actions/triggers/post-login/bindings", json!({"bindings": items})).await;
    bindings(stand, "post-login").await
}

/// Waits until the service has what it wants at Auth0.
pub(crate) async fn in_place(stand: &Stand) {
    wait_until("what reports is in place", Duration::from_secs(30), async || {
        let status = stand.status().await;
        status["webhook"]["in_place"] == true
    })
    .await;
}

/// What a binding is for those who made it.
fn content(bindings: &[Value]) -> Vec<(Value, Value, Value)> {
    let part = |binding: &Value| {
        (binding["id"].clone(), binding["action"]["id"].clone(), binding["display_name"].clone())
    };
    bindings.iter().map(part).collect()
}

#[tokio::test]
async fn a_login_is_in_the_table_within_a_second_without_logs_and_events() {
    if !has_node() {
        return;
    }
    let mut stand = set_up(3, free_port(), "").await;
    stand.restart_service().await;
    in_place(&stand).await;
    let pool = stand.admin().await;
    let id = user(&pool, 1).await;
    let begun = Instant::now();
    let login =
        stand.emulator.api.post("/_emulator/login", json!({"user_id": id, "ip": "198.51.100.9"})).await;
    assert_eq!(login["actions"]["ran"], 1, "{login}");
    becomes(&pool, &format!("select last_ip from auth0.\"user\" where user_id = '{id}'"), "198.51.100.9")
        .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    let sign_up = json!({"connection": "Username-Password-Authentication", "email": "new@example.com", "password": "Aa1!aaaaaaaa"});
    let made = stand.emulator.api.post("/_emulator/signup", sign_up).await;
    let made = made["user_id"].as_str().unwrap();
    becomes(&pool, &format!("select email from auth0.\"user\" where user_id = '{made}'"), "new@example.com")
        .await;
    let change = json!({"user_id": made, "password": "Bb2?bbbbbbbb"});
    stand.emulator.api.post("/_emulator/change-password", change).await;
    let reset = stand.emulator.api.get(&path(made)).await["last_password_reset"].as_str().unwrap().to_owned();
    let changed = format!(
        "select (last_password_reset = '{reset}')::text from auth0.\"user\" where user_id = '{made}'"
    );
    becomes(&pool, &changed, "true").await;
}

#[tokio::test]
async fn other_peoples_bindings_stay_as_they_are_through_setup_change_and_teardown() {
    let port = free_port();
    let mut stand = set_up(0, port, "").await;
    let before = others(&stand).await;
    let actions_before = stand.emulator.state().await["action"].clone();
    stand.restart_service().await;
    in_place(&stand).await;
    for (trigger, _) in TRIGGERS {
        let there = bindings(&stand, trigger).await;
        let ours = there.last().unwrap();
        assert!(
            ours["action"]["name"].as_str().unwrap().starts_with(&format!("auth0-sync {trigger} ")),
            "{ours}"
        );
    }
    let there = bindings(&stand, "post-login").await;
    assert_eq!(content(&there[..2]), content(&before));
    assert_eq!(there.len(), 3);

    // A second start finds everything as it should be, and writes nothing.
    stand.emulator.forget_calls().await;
    stand.restart_service().await;
    in_place(&stand).await;
    for route in ["POST /actions", "PATCH /actions", "DELETE /actions"] {
        assert_eq!(calls(&stand, route).await, 0, "{route}");
    }

    // Another address: the Actions change, their places do not.
    let moved = there[2]["action"]["id"].clone();
    stand.configuration = with_webhook(free_port(), "");
    stand.restart_service().await;
    in_place(&stand).await;
    assert!(calls(&stand, "PATCH /actions/actions").await >= 3);
    let there = bindings(&stand, "post-login").await;
    assert_eq!((content(&there[..2]), &there[2]["action"]["id"]), (content(&before), &moved));

    let (status, _, log) = stand.run(&["teardown"]).await;
    assert!(!status.success() && log.contains("stop it first"), "{log}");
    stand.kill_service().await;
    wait_until("the lock of the killed service is free", SECONDS, async || {
        stand.run(&["teardown"]).await.0.success()
    })
    .await;
    assert_eq!(content(&bindings(&stand, "post-login").await), content(&before));
    for (trigger, _) in &TRIGGERS[1..] {
        assert_eq!(bindings(&stand, trigger).await, Vec::<Value>::new());
    }
    assert_eq!(stand.emulator.state().await["action"], actions_before);
    let pool = stand.admin().await;
    for table in ["webhook_own", "webhook_key"] {
        let left: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from _auth0_sync.{table}")))
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn what_somebody_unbinds_or_deletes_is_there_again_after_the_next_start() {
    let mut stand = set_up(0, free_port(), "").await;
    let before = others(&stand).await;
    stand.restart_service().await;
    in_place(&stand).await;
    let api = &stand.emulator.api;
    let keep: Vec<Value> = before
        .iter()
        .map(|b| json!({"ref": {"type": "binding_id", "value": b["id"]}, "display_name": b["display_name"]}))
        .collect();
    api.patch("/api/v2/actions/triggers/post-login/bindings", json!({"bindings": keep})).await;
    let gone = bindings(&stand, "post-change-password").await[0]["action"]["id"].as_str().unwrap().to_owned();
    api.delete(&format!("/api/v2/actions/actions/{gone}?force=true")).await;
    stand.restart_service().await;
    in_place(&stand).await;
    let there = bindings(&stand, "post-login").await;
    assert_eq!((there.len(), content(&there[..2])), (3, content(&before)));
    assert_eq!(bindings(&stand, "post-change-password").await.len(), 1);
}

#[tokio::test]
async fn a_refusal_leaves_the_service_running_and_says_what_is_missing() {
    let mut stand = set_up(1, free_port(), "").await;
    let refusal = json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope, expected any of: create:actions"});
    fault(&stand, json!({"match": {"method": "POST", "path": "^/api/v2/actions/actions$"}, "do": "status", "status": 403, "body": refusal})).await;
    stand.restart_service().await;
    wait_until("the missing scope is told", SECONDS, async || {
        let status = stand.status().await;
        let error = status["webhook"]["error"].as_str().unwrap_or_default().to_owned();
        status["ready"] == true && error.contains("create:actions")
    })
    .await;
}

#[tokio::test]
async fn a_webhook_that_is_away_or_hangs_neither_fails_nor_slows_a_login_beyond_its_limit() {
    if !has_node() {
        return;
    }
    let port = free_port();
    let mut stand = set_up(1, port, "").await;
    stand.restart_service().await;
    in_place(&stand).await;
    stand.kill_service().await;
    let id = user(&stand.admin().await, 0).await;
    let api = &stand.emulator.api;
    let login = async || {
        let begun = Instant::now();
        let login = api.post("/_emulator/login", json!({"user_id": id})).await;
        assert_eq!(login["actions"]["ran"], 1, "{login}");
        assert_eq!(login["actions"]["results"][0].get("error"), None, "{login}");
        begun.elapsed()
    };
    // Something accepts connections there and never answers.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let first = login().await;
    assert!(first > Duration::from_secs(1) && first < Duration::from_millis(2500), "{first:?}");
    let next = login().await;
    assert!(next < Duration::from_millis(500), "nobody waits again at once: {next:?}");
    drop(silent);
    let closed = login().await;
    assert!(closed < Duration::from_millis(500), "{closed:?}");
}
