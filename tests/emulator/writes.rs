//! Creating, changing and deleting: validation, uniqueness, merging, links, cascades.

use reqwest::Method;
use serde_json::json;

use crate::client::{Tenant, answer, ids};

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_in_auth0s_words() {
    let tenant = Tenant::with_users(1).await;
    let user = format!("/api/v2/users/{}", tenant.state().await["user"][0]["user_id"].as_str().unwrap());
    for (body, start) in [
        (
            json!({"email": "invalid-email"}),
            "Payload validation error: 'Object didn't pass validation for format email: invalid-email' on property email (",
        ),
        (
            json!({"email_verified": "yes"}),
            "Payload validation error: 'Expected type boolean but found type string' on property email_verified (",
        ),
        (json!({"colour": "red"}), "Payload validation error: 'Additional properties not allowed: colour'."),
        (
            json!({"created_at": "2020-01-01"}),
            "Payload validation error: 'Additional properties not allowed: created_at'.",
        ),
    ] {
        let refused = tenant.patch(&user, body).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")));
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.starts_with(start), "{message}");
    }
    let refused = tenant.post("/api/v2/clients", json!({"name": "A", "app_type": "toaster"})).await;
    let message = refused.body["message"].as_str().unwrap();
    assert!(
        message.starts_with("Payload validation error: 'No enum match for: toaster' on property app_type (")
    );
    let refused = tenant.post("/api/v2/roles", json!({})).await;
    assert_eq!(refused.body["message"], "Payload validation error: 'Missing required property: name'.");
    let refused = answer(tenant.request(Method::POST, "/api/v2/roles").body("{")).await.unwrap();
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("Bad Request")));
}

#[tokio::test]
async fn a_second_row_of_the_same_name_is_409() {
    let tenant = Tenant::with_users(0).await;
    for (path, body) in [
        ("/api/v2/roles", json!({"name": "one"})),
        ("/api/v2/organizations", json!({"name": "one"})),
        ("/api/v2/connections", json!({"name": "one", "strategy": "auth0"})),
    ] {
        assert!(tenant.post(path, body.clone()).await.status < 300);
        assert_eq!(tenant.post(path, body).await.status, 409, "{path}");
    }
}

#[tokio::test]
async fn a_null_unsets_and_a_null_body_is_no_body() {
    let tenant = Tenant::with_users(0).await;
    let made = tenant.post("/api/v2/organizations", json!({"name": "one", "display_name": "One"})).await;
    let path = format!("/api/v2/organizations/{}", made.body["id"].as_str().unwrap());
    let changed = tenant.patch(&path, json!({"display_name": null})).await;
    assert!(changed.body.get("display_name").is_none());
    let read = answer(tenant.request(Method::GET, &path).body("null")).await.unwrap();
    assert_eq!((read.status, &read.body["name"]), (200, &json!("one")));
}

#[tokio::test]
async fn some_objects_are_merged_and_others_replaced() {
    let tenant = Tenant::with_users(1).await;
    let user = format!("/api/v2/users/{}", tenant.state().await["user"][0]["user_id"].as_str().unwrap());
    tenant.patch(&user, json!({"user_metadata": {"a": {"b": 1, "c": 2}, "d": 3}})).await;
    let merged = tenant.patch(&user, json!({"user_metadata": {"a": {"b": 9}, "d": null}})).await;
    assert_eq!(merged.body["user_metadata"], json!({"theme": "dark", "a": {"b": 9}}));
    let cleared = tenant.patch(&user, json!({"user_metadata": {}, "app_metadata": {}})).await;
    assert_eq!(cleared.body["user_metadata"], json!({}));
    assert!(cleared.body.get("app_metadata").is_none());

    let made =
        tenant.post("/api/v2/organizations", json!({"name": "one", "metadata": {"a": "1", "b": "2"}})).await;
    let path = format!("/api/v2/organizations/{}", made.body["id"].as_str().unwrap());
    let replaced = tenant.patch(&path, json!({"metadata": {"a": "3"}})).await;
    assert_eq!(replaced.body["metadata"], json!({"a": "3"}));
}

#[tokio::test]
async fn links_are_made_listed_from_both_sides_undone_and_go_with_their_ends() {
    let tenant = Tenant::with_users(0).await;
    let user = json!({"connection": "Username-Password-Authentication", "email": "a@example.com", "password": "Secret-123"});
    let user = tenant.post("/api/v2/users", user).await.body["user_id"].as_str().unwrap().to_owned();
    let role = tenant.post("/api/v2/roles", json!({"name": "one"})).await;
    assert_eq!(role.status, 200);
    let role = role.body["id"].as_str().unwrap().to_owned();
    let organization = tenant.post("/api/v2/organizations", json!({"name": "one"})).await;
    let organization = organization.body["id"].as_str().unwrap().to_owned();

    let roles = format!("/api/v2/users/{user}/roles");
    let members = format!("/api/v2/organizations/{organization}/members");
    assert_eq!(tenant.post(&roles, json!({"roles": [role]})).await.status, 204);
    assert_eq!(tenant.post(&roles, json!({"roles": [role]})).await.status, 204);
    assert_eq!(tenant.post(&members, json!({"members": [user]})).await.status, 204);
    assert_eq!(ids(&tenant.get(&roles).await.body, "id"), [role.as_str()]);
    assert_eq!(
        ids(&tenant.get(&format!("/api/v2/roles/{role}/users")).await.body, "user_id"),
        [user.as_str()]
    );
    let mine = tenant.get(&format!("/api/v2/users/{user}/organizations")).await;
    assert_eq!(ids(&mine.body, "id"), [organization.as_str()]);
    assert_eq!(tenant.post(&roles, json!({"roles": ["rol_unknown"]})).await.status, 404);
    assert_eq!(tenant.post(&roles, json!({"roles": []})).await.status, 400);

    assert_eq!(tenant.delete(&roles, Some(json!({"roles": [role]}))).await.status, 204);
    assert_eq!(tenant.get(&roles).await.body, json!([]));
    assert_eq!(tenant.post(&roles, json!({"roles": [role]})).await.status, 204);
    assert_eq!(tenant.delete(&format!("/api/v2/roles/{role}"), None).await.status, 200);
    assert_eq!(tenant.delete(&format!("/api/v2/users/{user}"), None).await.status, 204);
    let state = tenant.state().await;
    assert_eq!((&state["user_role"], &state["organization_member"]), (&json!([]), &json!([])));
    let missing = tenant.get(&members.replace(&organization, "org_unknown")).await;
    assert_eq!(missing.body["message"], "No organization found by that id or name");
}

#[tokio::test]
async fn deleting_a_connection_is_accepted_then_done_and_takes_its_users() {
    let tenant = Tenant::with_users(10).await;
    let state = tenant.state().await;
    let partners =
        state["connection"].as_array().unwrap().iter().find(|row| row["name"] == "Partners").unwrap();
    let path = format!("/api/v2/connections/{}", partners["id"].as_str().unwrap());
    let first = tenant.delete(&path, None).await;
    assert_eq!(first.status, 202);
    assert!(first.body["deleted_at"].is_string());
    assert_eq!(tenant.delete(&path, None).await.status, 204);
    let users = tenant.state().await["user"].as_array().unwrap().len();
    assert_eq!(users, 8);
}
