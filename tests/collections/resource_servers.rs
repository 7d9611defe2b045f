//! APIs.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn resource_servers() {
    let mut story = Story::begin(&["resource_server"], 5, async |_| {}).await;
    let scopes = "select scopes -> 0 ->> 'value' from auth0.resource_server where name = 'Invoices'";
    story.reads(scopes, "read:invoices").await;
    story
        .writes(
            "insert into auth0.resource_server (name, identifier, scopes, signing_secret) values \
             ('Stock', 'https://api.example.com/stock', '[{\"value\": \"read:stock\"}]', 'sixteen letters!')",
        )
        .await;
    let id = story.session.text("select id from auth0.resource_server where name = 'Stock'").await;
    let path = format!("/resource-servers/{id}");
    story.auth0(&path, "/scopes/0/value", "read:stock").await;
    let secret = "select signing_secret is null from auth0.resource_server where name = 'Stock'";
    story.reads(secret, true).await;
    story
        .writes(
            "update auth0.resource_server set token_lifetime = 600, token_lifetime_for_web = 300, \
             scopes = scopes || '[{\"value\": \"write:stock\"}]' where name = 'Stock'",
        )
        .await;
    story.auth0(&path, "/scopes/1/value", "write:stock").await;
    story.auth0(&path, "/token_lifetime", 600).await;
    let identifier = "update auth0.resource_server set identifier = 'other' where name = 'Stock'";
    story.refused(identifier, "428C9", "column \"identifier\" cannot change once the row exists").await;
    story
        .reverted(
            "insert into auth0.resource_server (identifier) values ('https://api.example.com/stock')",
            "A resource server with the same identifier already exists.",
            "select count(*) from auth0.resource_server",
        )
        .await;
    let renamed = Some(json!({"name": "Warehouse"}));
    let name = format!("select name from auth0.resource_server where id = '{id}'");
    story.changed(Method::PATCH, &path, renamed, &name, "Warehouse").await;
    story.writes(&format!("delete from auth0.resource_server where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
