//! Foreign tokens that an action exchanges for Auth0's.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn token_exchange_profiles() {
    let mut story = Story::begin(&["token_exchange_profile"], 0, async |emulator| {
        let trigger = json!([{"id": "custom-token-exchange", "version": "v1"}]);
        let body = json!({"name": "Exchange", "supported_triggers": trigger, "code": "1", "deploy": true});
        emulator.api.post("/api/v2/actions/actions", body).await;
        let trigger = json!([{"id": "post-login", "version": "v3"}]);
        let body = json!({"name": "Login", "supported_triggers": trigger, "code": "1", "deploy": true});
        emulator.api.post("/api/v2/actions/actions", body).await;
    })
    .await;
    story.reads("select count(*) from auth0.token_exchange_profile", 0).await;
    let actions = story.stand.emulator.api.get("/api/v2/actions/actions").await;
    let insert = |name: &str, subject: &str, action: &str| {
        let mut all = actions["actions"].as_array().unwrap().iter();
        let id = all.find(|one| one["name"] == action).unwrap()["id"].as_str().unwrap();
        format!(
            "insert into auth0.token_exchange_profile (name, subject_token_type, action_id, type) \
             values ('{name}', '{subject}', '{id}', 'custom_authentication')"
        )
    };
    story.writes(&insert("Legacy", "https://legacy.example/token", "Exchange")).await;
    let id = story.session.text("select id from auth0.token_exchange_profile").await;
    let path = format!("/token-exchange-profiles/{id}");
    story.auth0(&path, "/subject_token_type", "https://legacy.example/token").await;
    story.writes("update auth0.token_exchange_profile set name = 'Old system'").await;
    story.auth0(&path, "/name", "Old system").await;
    story
        .refused(
            &insert("No", "https://legacy.example/other", "Exchange"),
            "22023",
            "value too short for column \"name\"",
        )
        .await;
    story
        .reverted(
            &insert("Wrong", "https://legacy.example/other", "Login"),
            "Action must have supported_triggers: custom-token-exchange",
            "select count(*) from auth0.token_exchange_profile",
        )
        .await;
    let subject = Some(json!({"subject_token_type": "https://legacy.example/newer"}));
    let seen = "select subject_token_type from auth0.token_exchange_profile";
    story.changed(Method::PATCH, &path, subject, seen, "https://legacy.example/newer").await;
    story.writes("delete from auth0.token_exchange_profile").await;
    story.gone(&path).await;
    story.end().await;
}
