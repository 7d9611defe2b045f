//! What Auth0 does with users alone.

use serde_json::{Value, json};

use crate::client::Tenant;

const DATABASE: &str = "Username-Password-Authentication";

fn user(email: &str) -> Value {
    json!({"connection": DATABASE, "email": email, "password": "Secret-123"})
}

#[tokio::test]
async fn a_new_user_gets_an_identity_and_a_profile_and_no_password_is_shown() {
    let tenant = Tenant::with_users(0).await;
    let made = tenant.post("/api/v2/users", user("Ada@Example.com")).await;
    assert_eq!(made.status, 201);
    let body = &made.body;
    assert_eq!((&body["email"], &body["email_verified"]), (&json!("ada@example.com"), &json!(false)));
    assert_eq!((&body["name"], &body["nickname"]), (&json!("ada@example.com"), &json!("ada")));
    let identity = &body["identities"][0];
    assert_eq!((&identity["connection"], &identity["provider"]), (&json!(DATABASE), &json!("auth0")));
    assert_eq!(body["user_id"], format!("auth0|{}", identity["user_id"].as_str().unwrap()));
    assert!(body.get("password").is_none() && body.get("connection").is_none());
    let read = tenant.get(&format!("/api/v2/users/{}", body["user_id"].as_str().unwrap())).await;
    assert_eq!(&read.body, body);
}

#[tokio::test]
async fn a_given_id_is_taken_with_its_prefix_and_not_twice() {
    let tenant = Tenant::with_users(0).await;
    let mut one = user("a@example.com");
    one["user_id"] = "mine".into();
    assert_eq!(tenant.post("/api/v2/users", one.clone()).await.body["user_id"], "auth0|mine");
    one["email"] = "b@example.com".into();
    assert_eq!(tenant.post("/api/v2/users", one).await.status, 409);
}

#[tokio::test]
async fn an_address_is_unique_within_its_connection() {
    let tenant = Tenant::with_users(10).await;
    let one = tenant.post("/api/v2/users", user("a@example.com")).await;
    let again = tenant.post("/api/v2/users", user("A@EXAMPLE.COM")).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.body["message"], "The user already exists.");
    assert_eq!(again.body["errorCode"], "auth0_idp_error");
    let mut partner = user("a@example.com");
    partner["connection"] = "Partners".into();
    assert_eq!(tenant.post("/api/v2/users", partner.clone()).await.status, 400, "a username is missing");
    partner["username"] = "partner".into();
    assert_eq!(tenant.post("/api/v2/users", partner).await.status, 201);

    let other = tenant.post("/api/v2/users", user("b@example.com")).await;
    let path = format!("/api/v2/users/{}", other.body["user_id"].as_str().unwrap());
    let refused = tenant.patch(&path, json!({"email": "a@example.com"})).await;
    assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("auth0_idp_error")));
    let own = format!("/api/v2/users/{}", one.body["user_id"].as_str().unwrap());
    assert_eq!(tenant.patch(&own, json!({"email": "a@example.com"})).await.status, 200);
}

#[tokio::test]
async fn some_fields_cannot_change_together_and_a_new_address_is_unverified() {
    let tenant = Tenant::with_users(0).await;
    let mut body = user("a@example.com");
    body["email_verified"] = true.into();
    let made = tenant.post("/api/v2/users", body).await;
    let path = format!("/api/v2/users/{}", made.body["user_id"].as_str().unwrap());
    let refused = tenant.patch(&path, json!({"email": "b@example.com", "password": "Other-456"})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body["message"], "Cannot update password and email simultaneously");
    let changed = tenant.patch(&path, json!({"email": "b@example.com"})).await;
    assert_eq!(changed.body["email_verified"], false);
    assert!(changed.body["updated_at"].as_str() > made.body["updated_at"].as_str());
    let changed = tenant.patch(&path, json!({"password": "Other-456", "connection": DATABASE})).await;
    assert!(changed.body["last_password_reset"].is_string());
}

#[tokio::test]
async fn a_user_cannot_be_created_where_it_can_only_log_in() {
    let tenant = Tenant::with_users(0).await;
    tenant.post("/api/v2/connections", json!({"name": "github", "strategy": "github"})).await;
    let mut body = user("a@example.com");
    body["connection"] = "github".into();
    assert_eq!(tenant.post("/api/v2/users", body).await.status, 400);
    let missing =
        tenant.post("/api/v2/users", json!({"connection": "nowhere", "email": "a@example.com"})).await;
    assert_eq!(missing.body["errorCode"], "inexistent_connection");
}

#[tokio::test]
async fn five_hundred_users_are_there_within_a_second() {
    let before = std::time::Instant::now();
    let tenant = Tenant::with_users(500).await;
    let took = before.elapsed();
    let state = tenant.state().await;
    for (table, least) in [
        ("user", 500),
        ("organization", 3),
        ("role", 5),
        ("client", 4),
        ("connection", 2),
        ("user_role", 100),
    ] {
        assert!(state[table].as_array().unwrap().len() >= least, "{table}");
    }
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}
