//! What Auth0 has ended: tables that can still be read where they are named, and written no more.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn rules_and_hooks() {
    let mut story = Story::begin(&["hook", "hook_secret", "rule", "rules_config"], 0, async |emulator| {
        let api = &emulator.api;
        let script = "function (user, context, callback) { callback(null, user, context); }";
        api.post("/api/v2/rules", json!({"name": "old", "script": script})).await;
        let hook = json!({"name": "older", "script": script, "triggerId": "pre-user-registration"});
        let hook = api.post("/api/v2/hooks", hook).await;
        let secrets = format!("/api/v2/hooks/{}/secrets", hook["id"].as_str().unwrap());
        api.post(&secrets, json!({"KEY": "hook-secret"})).await;
        api.send(Method::PUT, "/api/v2/rules-configs/NAME", Some(&json!({"value": "rule-secret"}))).await;
    })
    .await;
    story.reads("select enabled from auth0.rule where name = 'old'", true).await;
    story.reads("select trigger_id from auth0.hook", "pre-user-registration").await;
    story.reads("select secrets from auth0.hook_secret", json!({"KEY": "_VALUE_NOT_SHOWN_"})).await;
    story.reads("select key from auth0.rules_config", "NAME").await;
    for table in ["rule", "hook", "hook_secret", "rules_config"] {
        let delete = format!("delete from auth0.{table}");
        story.refused(&delete, "0A000", &format!("rows of auth0.{table} cannot be deleted")).await;
        let refusal = story.session.refused(&delete).await;
        assert!(refusal.hint.contains("2026-11-18"), "{refusal:?}");
    }
    story.without("reverted", "nothing is sent to Auth0");
    let id = story.session.text("select id from auth0.rule").await;
    let off = Some(json!({"enabled": false}));
    story.changed(Method::PATCH, &format!("/rules/{id}"), off, "select enabled from auth0.rule", false).await;
    story.end().await;
}
