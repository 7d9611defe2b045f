//! Tenant logs.

use reqwest::Method;
use serde_json::json;

use crate::client::{Tenant, answer};

#[tokio::test]
async fn every_successful_write_leaves_an_entry_that_tells_who_and_what() {
    let tenant = Tenant::with_users(1).await;
    let user = tenant.state().await["user"][0]["user_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
    let correlation = "c".repeat(80);
    let request = tenant.request(Method::PATCH, &path).header("x-correlation-id", &correlation);
    assert_eq!(answer(request.json(&json!({"password": "Secret-123"}))).await.unwrap().status, 200);
    assert_eq!(tenant.patch(&path, json!({"email": "no"})).await.status, 400);
    tenant.get(&path).await;

    let logs = tenant.get("/api/v2/logs?sort=date:-1&per_page=10").await;
    assert_eq!(logs.body.as_array().unwrap().len(), 1);
    let entry = &logs.body[0];
    assert_eq!((&entry["type"], &entry["description"]), (&json!("sapi"), &json!("Update a User")));
    assert_eq!(
        (&entry["client_id"], &entry["client_name"]),
        (&json!(tenant.client.id), &json!("auth0-sync"))
    );
    assert_eq!(entry["references"]["correlation_id"], "c".repeat(64));
    let (request, response) = (&entry["details"]["request"], &entry["details"]["response"]);
    assert_eq!((&request["method"], &request["path"]), (&json!("patch"), &json!(path)));
    assert_eq!(request["body"], json!({"password": "*****"}));
    assert_eq!((&response["statusCode"], &response["body"]["user_id"]), (&json!(200), &json!(user)));
    let one = tenant.get(&format!("/api/v2/logs/{}", entry["log_id"].as_str().unwrap())).await;
    assert_eq!(&one.body, entry);
}

#[tokio::test]
async fn a_checkpoint_gives_each_entry_once_and_can_be_asked_again_when_it_is_empty() {
    let tenant = Tenant::with_users(0).await;
    for number in 0..5 {
        tenant.post("/api/v2/roles", json!({"name": format!("role-{number}")})).await;
    }
    let newest = tenant.get("/api/v2/logs?sort=date:-1&per_page=1").await;
    let newest = newest.body[0]["log_id"].as_str().unwrap().to_owned();
    let mut seen = Vec::new();
    let mut path = "/api/v2/logs?take=2".to_owned();
    loop {
        let page = tenant.get(&path).await;
        let link = page.headers["link"].to_str().unwrap();
        let (url, relation) = link.split_once('>').unwrap();
        assert_eq!(relation, "; rel=\"next\"");
        let next = url.trim_start_matches('<').strip_prefix(&tenant.base).unwrap().to_owned();
        if page.body.as_array().unwrap().is_empty() {
            assert_eq!(next, path, "an empty page repeats its checkpoint");
            break;
        }
        seen.extend(crate::client::ids(&page.body, "log_id"));
        path = next;
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&newest));
    let after = tenant.get(&format!("/api/v2/logs?from={newest}&take=100")).await;
    assert_eq!(after.body, json!([]));
}
