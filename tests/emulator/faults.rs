//! Faults on demand, and the count of calls.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::client::{Tenant, answer};

#[tokio::test]
async fn an_answer_is_lost_after_the_call_was_done_or_before() {
    let tenant = Tenant::with_users(0).await;
    for (what, done) in [("drop_after", true), ("drop_before", false)] {
        let order = json!({"match": {"method": "POST", "path": "^/api/v2/roles$"}, "times": 1, "do": what});
        assert_eq!(tenant.post("/_emulator/faults", order).await.status, 200);
        let role = json!({"name": what});
        assert!(answer(tenant.request(Method::POST, "/api/v2/roles").json(&role)).await.is_err());
        let found = tenant.get(&format!("/api/v2/roles?name_filter={what}")).await;
        assert_eq!(found.body.as_array().unwrap().len(), usize::from(done), "{what}");
        let again = tenant.post("/api/v2/roles", role).await;
        assert_eq!(again.status, if done { 409 } else { 200 });
    }
}

#[tokio::test]
async fn a_status_is_answered_so_often_and_a_delay_takes_its_time() {
    let tenant = Tenant::with_users(0).await;
    let order = json!({"match": {"path": "/roles"}, "times": 2, "do": "status", "status": 503});
    tenant.post("/_emulator/faults", order).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(tenant.get("/api/v2/roles").await.status);
    }
    assert_eq!(statuses, [503, 503, 200]);
    tenant.post("/_emulator/faults", json!({"times": 1, "do": "delay", "delay_ms": 60})).await;
    let before = Instant::now();
    assert_eq!(tenant.get("/api/v2/roles").await.status, 200);
    assert!(before.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn nothing_answers_while_it_is_down_but_the_control_calls() {
    let tenant = Tenant::with_users(0).await;
    tenant.post("/_emulator/faults", json!({"down": true})).await;
    assert!(answer(tenant.request(Method::GET, "/api/v2/roles")).await.is_err());
    assert!(answer(tenant.request(Method::POST, "/oauth/token")).await.is_err());
    assert_eq!(tenant.post("/_emulator/faults", json!({"down": false})).await.status, 200);
    assert_eq!(tenant.get("/api/v2/roles").await.status, 200);
}

#[tokio::test]
async fn calls_are_counted_by_template() {
    let tenant = Tenant::with_users(2).await;
    let users = tenant.state().await["user"].clone();
    tenant.delete("/_emulator/calls", None).await;
    for user in users.as_array().unwrap() {
        tenant.get(&format!("/api/v2/users/{}", user["user_id"].as_str().unwrap())).await;
    }
    assert_eq!(tenant.get("/_emulator/calls").await.body, json!({"GET /users/{user_id}": 2}));
}
