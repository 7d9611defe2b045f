//! The e-mail provider: a singleton that can be absent, with credentials that Auth0 hides.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn emails() {
    let mut story = Story::begin(&["email"], 0, async |emulator| {
        let provider = json!({
            "name": "mandrill", "credentials": {"api_key": "key"}, "default_from_address": "a@example.com",
        });
        emulator.api.post("/api/v2/emails/provider", provider).await;
    })
    .await;
    story.reads("select name from auth0.email", "mandrill").await;
    story.reads("select credentials from auth0.email", json!({})).await;
    let unknown = "update auth0.email set name = 'pigeon'";
    story.refused(unknown, "22023", "invalid input value for column \"name\"").await;
    story
        .reverted(
            "update auth0.email set name = 'sendgrid', credentials = '{\"smtp_pass\": \"misplaced\"}'",
            "api_key",
            "select name from auth0.email",
        )
        .await;
    story.writes("delete from auth0.email").await;
    story.gone("/emails/provider").await;
    story
        .writes(
            "insert into auth0.email (name, default_from_address, credentials) values ('smtp', 'b@example.com', \
             '{\"smtp_host\": \"smtp.example.com\", \"smtp_port\": 587, \"smtp_user\": \"u\", \"smtp_pass\": \"hidden-pass\"}')",
        )
        .await;
    story.auth0("/emails/provider", "/credentials/smtp_host", "smtp.example.com").await;
    story.reads("select credentials ? 'smtp_pass' from auth0.email", false).await;
    story.writes("update auth0.email set enabled = false").await;
    story.auth0("/emails/provider", "/enabled", false).await;
    // Auth0 replaces the credentials: what is not named must go along.
    story
        .writes(
            "update auth0.email set credentials = credentials || \
             '{\"smtp_port\": 465, \"smtp_pass\": \"other-pass\"}'",
        )
        .await;
    story.auth0("/emails/provider", "/credentials/smtp_port", 465).await;
    story.auth0("/emails/provider", "/credentials/smtp_user", "u").await;
    let lost = "update auth0.email set credentials = credentials || '{\"smtp_port\": 25}'";
    story
        .refused(lost, "22023", "column \"credentials\" is replaced whole, and its secrets are missing")
        .await;
    // A secret alone is a change too, though the row looks as before.
    story
        .writes("update auth0.email set credentials = credentials || '{\"smtp_pass\": \"third-pass\"}'")
        .await;
    assert!(story.stand.emulator.journal().contains("third-pass"));
    let aside = "select count(*) from auth0._sync_cdc where before::text || after::text like '%-pass%'";
    story.reads(aside, 0).await;
    let address = Some(json!({"default_from_address": "c@example.com"}));
    let from = "select default_from_address from auth0.email";
    story.changed(Method::PATCH, "/emails/provider", address, from, "c@example.com").await;
    story.end().await;
}
