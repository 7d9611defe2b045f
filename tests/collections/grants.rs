//! What users have allowed applications.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn grants() {
    let mut story = Story::begin(&["grant"], 5, async |emulator| {
        let users = emulator.api.get("/api/v2/users").await;
        let grant = |id: &str, user: usize| {
            json!({
                "id": id, "clientID": "application", "user_id": users[user]["user_id"],
                "audience": "https://api.example.com/invoices", "scope": ["openid", "read:invoices"],
            })
        };
        let rows = [grant("63cff5bc7209008e35c888c1", 0), grant("63cfab337209008e35387e3a", 1)];
        emulator.api.post("/_emulator/preload", json!({"collections": {"/grants": rows}})).await;
    })
    .await;
    let scope = "select scope from auth0.grant where id = '63cff5bc7209008e35c888c1'";
    story.reads(scope, json!(["openid", "read:invoices"])).await;
    story.reads("select count(*) from auth0.grant where client_id = 'application'", 2).await;
    story
        .refused("update auth0.grant set scope = '{}'", "0A000", "rows of auth0.grant cannot be updated")
        .await;
    story
        .refused("insert into auth0.grant (id) values ('x')", "0A000", "rows of auth0.grant cannot be")
        .await;
    story.without("reverted", "Auth0 refuses no deletion of a grant, not even of one that is gone");
    let count = "select count(*) from auth0.grant";
    story.changed(Method::DELETE, "/grants/63cfab337209008e35387e3a", None, count, 1).await;
    story.writes("delete from auth0.grant where id = '63cff5bc7209008e35c888c1'").await;
    story.auth0("/grants", "", json!([])).await;
    story.end().await;
}
