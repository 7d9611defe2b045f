//! E-mail templates: those that have been changed, by the name of the e-mail.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn email_templates() {
    let mut story = Story::begin(&["email_template"], 0, async |emulator| {
        let welcome = json!({
            "template": "welcome_email", "body": "<p>Welcome</p>", "from": "a@example.com",
            "subject": "Welcome", "syntax": "liquid", "enabled": false,
        });
        emulator.api.post("/api/v2/email-templates", welcome).await;
    })
    .await;
    story.reads("select subject from auth0.email_template where template = 'welcome_email'", "Welcome").await;
    story.reads("select count(*) from auth0.email_template", 1).await;
    story
        .writes(
            "insert into auth0.email_template (template, body, \"from\", subject, syntax, enabled, result_url) values \
             ('verify_email', '<p>{{ url }}</p>', 'a@example.com', 'Verify', 'liquid', true, 'https://example.com')",
        )
        .await;
    story.auth0("/email-templates/verify_email", "/resultUrl", "https://example.com").await;
    story
        .writes("update auth0.email_template set subject = 'Please verify' where template = 'verify_email'")
        .await;
    story.auth0("/email-templates/verify_email", "/subject", "Please verify").await;
    let unknown = "insert into auth0.email_template (template, body, \"from\", subject, syntax, enabled) \
                   values ('farewell', 'b', 'f', 's', 'liquid', true)";
    story.refused(unknown, "22023", "invalid input value for column \"template\"").await;
    let delete = "delete from auth0.email_template";
    story.refused(delete, "0A000", "rows of auth0.email_template cannot be deleted").await;
    // Somebody else has made it, and this database has not heard of it yet.
    let taken =
        json!({"statusCode": 409, "error": "Conflict", "message": "Template reset_email already exists."});
    let create = json!({"method": "POST", "path": "^/api/v2/email-templates$"});
    story
        .stand
        .emulator
        .fault(json!({"match": create, "times": 1, "do": "status", "status": 409, "body": taken}))
        .await;
    story
        .reverted(
            "insert into auth0.email_template (template, body, \"from\", subject, syntax, enabled) values \
             ('reset_email', 'b', 'f', 's', 'liquid', true)",
            "Template reset_email already exists.",
            "select count(*) from auth0.email_template",
        )
        .await;
    let path = "/email-templates/welcome_email";
    let enabled = "select enabled from auth0.email_template where template = 'welcome_email'";
    story.changed(Method::PATCH, path, Some(json!({"enabled": true})), enabled, true).await;
    story.end().await;
}
