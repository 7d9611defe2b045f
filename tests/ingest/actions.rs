//! The service's own Actions: made beside everyone else's, run by logins, removed again.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::wait_for;
use crate::support::{Emulator, Postgres, Stand, own_port};
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
    let mut stand = set_up(3, own_port(), "").await;
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
    let port = own_port();
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
    stand.configuration = with_webhook(own_port(), "");
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
    let mut stand = set_up(0, own_port(), "").await;
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
    let mut stand = set_up(1, own_port(), "").await;
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
    let port = own_port();
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

/// The event streams of the tenant.
async fn streams(stand: &Stand) -> Vec<Value> {
    let streams = stand.emulator.api.get("/api/v2/event-streams").await;
    streams["eventStreams"].as_array().or(streams.as_array()).unwrap().clone()
}

/// The Actions of the trigger of event streams, by their keys.
async fn actions_of_streams(stand: &Stand) -> Vec<Value> {
    let actions = stand.emulator.api.get("/api/v2/actions/actions?per_page=100").await;
    let actions = actions["actions"].as_array().cloned().unwrap_or_default();
    let of_streams = |action: &&Value| action["supported_triggers"][0]["id"] == "event-stream";
    actions.iter().filter(of_streams).map(|action| action["id"].clone()).collect()
}

#[tokio::test]
async fn by_the_action_of_an_event_stream_alone_changes_are_in_the_tables() {
    if !has_node() {
        return;
    }
    let port = own_port();
    let mut stand = set_up(2, port, "actions = false\nevent_stream = \"action\"\n").await;
    stand.restart_service().await;
    in_place(&stand).await;
    let (there, actions) = (streams(&stand).await, actions_of_streams(&stand).await);
    let ([stream], [action]) = (there.as_slice(), actions.as_slice()) else {
        panic!("{there:?} {actions:?}")
    };
    assert_eq!(stream["destination"], json!({"type": "action", "configuration": {"action_id": action}}));
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    stand.emulator.forget_calls().await;
    let (changed, deleted) = (user(&pool, 0).await, user(&pool, 1).await);
    let nickname = format!("select nickname from auth0.\"user\" where user_id = '{changed}'");
    api.patch(&path(&changed), json!({"nickname": "acted"})).await;
    becomes(&pool, &nickname, "acted").await;
    let made = api.post("/api/v2/organizations", json!({"name": "acted"})).await;
    let made = made["id"].as_str().unwrap();
    becomes(&pool, &format!("select name from auth0.organization where id = '{made}'"), "acted").await;
    api.delete(&path(&deleted)).await;
    let gone = format!("select count(*)::text from auth0.\"user\" where user_id = '{deleted}'");
    becomes(&pool, &gone, "0").await;
    assert_eq!((calls(&stand, "GET /logs").await, calls(&stand, "GET /events").await), (0, 0));
    let deliveries = format!("/api/v2/event-streams/{}/deliveries", stream["id"].as_str().unwrap());
    assert_eq!(api.get(&deliveries).await, json!([]));

    // What a service that is away has not taken, Auth0 tries four times and keeps.
    stand.kill_service().await;
    stand.emulator.api.patch(&path(&changed), json!({"nickname": "kept"})).await;
    let failed = wait_for("the event is kept as failed", 2 * SECONDS, async || {
        stand.emulator.api.get(&deliveries).await.get(0).cloned()
    })
    .await;
    assert_eq!(failed["attempts"].as_array().unwrap().len(), 4, "{failed}");
    stand.restart_service().await;
    let again = deliveries.replace("/deliveries", "/redeliver");
    let (status, _) = stand.emulator.api.send(Method::POST, &again, Some(&json!({}))).await;
    assert_eq!(status, 202);
    wait_until("it is taken", SECONDS, async || {
        stand.emulator.api.get(&deliveries).await == json!([])
            && stand.status().await["webhook"]["messages"].as_u64() > Some(0)
    })
    .await;
    becomes(&pool, &nickname, "kept").await;
}

#[tokio::test]
async fn an_event_stream_and_its_action_are_looked_after_changed_and_removed_together() {
    let port = own_port();
    let by_action = "actions = false\nevent_stream = \"action\"\n";
    let mut stand = set_up(0, port, "actions = false\nevent_stream = true\n").await;
    others(&stand).await;
    let actions_before = stand.emulator.state().await["action"].clone();
    let kind = async |stand: &Stand| {
        let there = streams(stand).await;
        let [stream] = there.as_slice() else { panic!("{there:?}") };
        stream["destination"]["type"].clone()
    };
    stand.restart_service().await;
    in_place(&stand).await;
    assert_eq!((kind(&stand).await, actions_of_streams(&stand).await.len()), (json!("webhook"), 0));

    // From the webhook to an Action, and a second start that writes nothing.
    stand.configuration = with_webhook(port, by_action);
    stand.restart_service().await;
    in_place(&stand).await;
    assert_eq!((kind(&stand).await, actions_of_streams(&stand).await.len()), (json!("action"), 1));
    stand.emulator.forget_calls().await;
    stand.restart_service().await;
    in_place(&stand).await;
    for method in ["POST", "PATCH", "DELETE"] {
        for route in ["/actions", "/event-streams"] {
            assert_eq!(calls(&stand, &format!("{method} {route}")).await, 0, "{method} {route}");
        }
    }

    // Somebody deletes the Action: there is another one, and the stream hands its events to that.
    let first = actions_of_streams(&stand).await.remove(0);
    stand.emulator.api.delete(&format!("/api/v2/actions/actions/{}", first.as_str().unwrap())).await;
    stand.restart_service().await;
    in_place(&stand).await;
    let second = actions_of_streams(&stand).await;
    assert!(second.len() == 1 && second[0] != first, "{second:?}");
    assert_eq!(streams(&stand).await[0]["destination"]["configuration"]["action_id"], second[0]);

    // Back to the webhook; the Action goes, and comes again.
    stand.configuration = with_webhook(port, "actions = false\nevent_stream = \"webhook\"\n");
    stand.restart_service().await;
    in_place(&stand).await;
    assert_eq!((kind(&stand).await, actions_of_streams(&stand).await.len()), (json!("webhook"), 0));
    stand.configuration = with_webhook(port, by_action);
    stand.restart_service().await;
    in_place(&stand).await;
    assert_eq!((kind(&stand).await, actions_of_streams(&stand).await.len()), (json!("action"), 1));

    stand.kill_service().await;
    let removed = wait_for("the lock of the killed service is free", SECONDS, async || {
        let (status, said, _) = stand.run(&["teardown"]).await;
        status.success().then_some(said)
    })
    .await;
    for what in ["Action auth0-sync event-stream ", "event stream auth0-sync event-stream "] {
        assert!(removed.contains(&format!("removed: {what}")), "{removed}");
    }
    assert_eq!(streams(&stand).await, Vec::<Value>::new());
    assert_eq!(stand.emulator.state().await["action"], actions_before);
    let left = "select count(*)::text from _auth0_sync.webhook_own";
    becomes(&stand.admin().await, left, "0").await;
}
