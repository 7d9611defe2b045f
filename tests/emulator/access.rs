//! Tokens, scopes and rate limits.

use std::time::Duration;

use auth0_sync::emulator::Options;
use serde_json::json;

use crate::client::{Tenant, answer};

#[tokio::test]
async fn a_token_is_given_for_a_form_and_for_json_and_refused_for_a_wrong_secret_or_audience() {
    let tenant = Tenant::with_users(0).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &tenant.client.id),
        ("client_secret", &tenant.client.secret),
        ("audience", &format!("{}/api/v2/", tenant.base)),
    ];
    let url = format!("{}/oauth/token", tenant.base);
    let given = answer(tenant.http.post(url).form(&form)).await.unwrap();
    assert_eq!((given.status, &given.body["token_type"]), (200, &json!("Bearer")));
    assert!(given.body["scope"].as_str().unwrap().contains("update:users"));

    let refused = tenant.token(json!({"client_secret": "wrong"})).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.body, json!({"error": "access_denied", "error_description": "Unauthorized"}));
    let refused = tenant.token(json!({"audience": "https://elsewhere/api/v2/"})).await;
    assert_eq!((refused.status, &refused.body["error"]), (403, &json!("access_denied")));
}

#[tokio::test]
async fn a_client_of_the_tenant_gets_a_token_with_its_own_secret() {
    let tenant = Tenant::with_users(0).await;
    let made = tenant.post("/api/v2/clients", json!({"name": "Another"})).await;
    let credentials =
        json!({"client_id": made.body["client_id"], "client_secret": made.body["client_secret"]});
    assert_eq!(tenant.token(credentials).await.status, 200);
}

#[tokio::test]
async fn a_call_without_a_good_token_is_refused_with_401() {
    let tenant = Tenant::start(Options { token_lifetime: Duration::ZERO, ..Options::default() }).await;
    let expired = tenant.get("/api/v2/users").await;
    assert_eq!((expired.status, &expired.body["error"]), (401, &json!("Unauthorized")));
    let bare = answer(tenant.http.get(format!("{}/api/v2/users", tenant.base))).await.unwrap();
    assert_eq!((bare.status, &bare.body["statusCode"]), (401, &json!(401)));
}

#[tokio::test]
async fn a_missing_scope_is_named_and_hides_the_fields_that_need_it() {
    let scopes = Some(vec!["read:clients".to_owned()]);
    let tenant = Tenant::start(Options { scopes, ..Options::default() }).await;
    let refused = tenant.post("/api/v2/clients", json!({"name": "Another"})).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.body,
        json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope, expected any of: create:clients", "errorCode": "insufficient_scope"})
    );
    let list = tenant.get("/api/v2/clients").await;
    assert_eq!(list.status, 200);
    assert!(list.body.as_array().unwrap().iter().all(|client| client.get("client_secret").is_none()));
}

#[tokio::test]
async fn a_plan_answers_429_when_its_bucket_is_empty_and_says_when_it_fills() {
    let tenant = Tenant::start(Options { plan: Some("free".into()), ..Options::default() }).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(tenant.get("/api/v2/roles").await);
    }
    assert_eq!(answers[0].headers["x-ratelimit-limit"], "2");
    assert_eq!(answers[0].headers["x-ratelimit-remaining"], "1");
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.body["errorCode"], "too_many_requests");
    assert_eq!(refused.body["message"], "Global limit has been reached");
    let reset: i64 = refused.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!((0..5).contains(&(reset - chrono::Utc::now().timestamp())));
}

#[tokio::test]
async fn an_unknown_path_is_404_without_an_error_code() {
    let tenant = Tenant::with_users(0).await;
    let unknown = tenant.get("/api/v2/no-such-thing").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body, json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"}));
}
