//! The tenant's logs: read-only, and never taken away.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn logs() {
    let mut story = Story::begin(&["log"], 0, async |emulator| {
        let (status, answer) = emulator
            .api
            .send(Method::PATCH, "/api/v2/branding", Some(&json!({"logo_url": "https://example.com/a.png"})))
            .await;
        assert_eq!(status, 200, "{answer}");
    })
    .await;
    let changes =
        "select count(*) from auth0.log where type = 'sapi' and description = 'Update branding settings'";
    // The log is long: it is read while the service already runs.
    story.sees(changes, 1).await;
    story.reads(changes, 1).await;
    story
        .reads("select details->'request'->>'method' from auth0.log where type = 'sapi' limit 1", "patch")
        .await;
    let insert = "insert into auth0.log (type) values ('sapi')";
    story.refused(insert, "0A000", "rows of auth0.log cannot be inserted").await;
    story.refused("delete from auth0.log", "0A000", "rows of auth0.log cannot be deleted").await;
    let again = Some(json!({"logo_url": "https://example.com/b.png"}));
    story.changed(Method::PATCH, "/branding", again, changes, 2).await;
    story.without("reverted", "Auth0 has no call that writes logs");
    story.end().await;
}
