//! Prompts: settings, texts, HTML and rendering of the login pages.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn prompts() {
    let tables = &["prompt", "prompt_custom_text", "prompt_mfa_push", "prompt_partial", "prompt_rendering"];
    let mut story = Story::begin(tables, 0, async |emulator| {
        let texts = json!({"login": {"title": "Hello"}});
        let path = "/api/v2/prompts/login/custom-text/en";
        assert_eq!(emulator.api.send(Method::PUT, path, Some(&texts)).await.0, 200);
    })
    .await;
    story.reads("select universal_login_experience from auth0.prompt", "new").await;
    let title = "select texts->'login'->>'title' from auth0.prompt_custom_text where prompt = 'login'";
    story.reads(title, "Hello").await;
    story.reads("select count(*) from auth0.prompt_partial", 9).await;
    story.reads("select count(*) from auth0.prompt_rendering", 0).await;

    story.writes("update auth0.prompt set identifier_first = false").await;
    story.auth0("/prompts", "/identifier_first", false).await;
    story
        .writes(
            "update auth0.prompt_custom_text set texts = '{\"login\": {\"title\": \"Welcome\"}}' \
             where prompt = 'login' and language = 'en'",
        )
        .await;
    story.auth0("/prompts/login/custom-text/en", "/login/title", "Welcome").await;
    // A language that is not enabled yet.
    story
        .writes(
            "insert into auth0.prompt_custom_text (prompt, language, texts) values \
             ('login', 'fr', '{\"login\": {\"title\": \"Bonjour\"}}')",
        )
        .await;
    story.auth0("/prompts/login/custom-text/fr", "/login/title", "Bonjour").await;
    story
        .writes(
            "update auth0.prompt_partial set partials = '{\"signup\": {\"form-content-start\": \"<p>Hi</p>\"}}' \
             where prompt = 'signup'",
        )
        .await;
    story.auth0("/prompts/signup/partials", "/signup/form-content-start", "<p>Hi</p>").await;
    story
        .writes(
            "insert into auth0.prompt_rendering (prompt, screen, rendering_mode, context_configuration) values \
             ('login-id', 'login-id', 'advanced', '{branding.settings}')",
        )
        .await;
    let path = "/prompts/login-id/screen/login-id/rendering";
    story.auth0(path, "/rendering_mode", "advanced").await;
    story.writes("update auth0.prompt_rendering set rendering_mode = 'standard'").await;
    story.auth0(path, "/rendering_mode", "standard").await;
    story.auth0(path, "/context_configuration", json!(["branding.settings"])).await;
    story.writes("update auth0.prompt_mfa_push set app_name = 'Ours'").await;
    story.auth0("/prompts/mfa-push", "/app_name", "Ours").await;

    let mode = "update auth0.prompt set universal_login_experience = 'future'";
    story.refused(mode, "22023", "invalid input value for column \"universal_login_experience\"").await;
    // The document does not say which screens a prompt has; Auth0 does.
    let unknown = "Payload validation error: 'Additional properties not allowed: no-such-screen'.";
    let refusal =
        json!({"statusCode": 400, "error": "Bad Request", "message": unknown, "errorCode": "invalid_body"});
    let put = json!({"method": "PUT", "path": "/custom-text/fr$"});
    let order = json!({"match": put, "times": 1, "do": "status", "status": 400, "body": refusal});
    story.stand.emulator.fault(order).await;
    story
        .reverted(
            "insert into auth0.prompt_custom_text (prompt, language, texts) values \
             ('consent', 'fr', '{\"no-such-screen\": {\"title\": \"Bonjour\"}}')",
            "no-such-screen",
            "select count(*) from auth0.prompt_custom_text where texts::text like '%no-such-screen%'",
        )
        .await;
    let first = Some(json!({"identifier_first": true}));
    story.changed(Method::PATCH, "/prompts", first, "select identifier_first from auth0.prompt", true).await;
    let texts = Some(json!({}));
    story
        .changed(
            Method::PUT,
            "/prompts/login/custom-text/en",
            texts,
            "select texts from auth0.prompt_custom_text where prompt = 'login' and language = 'en'",
            json!({}),
        )
        .await;
    story.end().await;
}
