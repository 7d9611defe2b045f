//! What connections look like that customers set up by themselves.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn connection_profiles() {
    let mut story =
        Story::begin(&["connection_profile", "connection_profile_template"], 0, async |emulator| {
            emulator.api.post("/api/v2/connection-profiles", json!({"name": "Partners"})).await;
        })
        .await;
    story.reads("select count(*) from auth0.connection_profile where name = 'Partners'", 1).await;
    assert!(story.session.count("select count(*) from auth0.connection_profile_template").await > 0);
    story
        .writes(
            "insert into auth0.connection_profile (name, enabled_features, organization) values \
             ('Customers', '{scim}', '{\"show_as_button\": \"none\"}')",
        )
        .await;
    let id = story.session.text("select id from auth0.connection_profile where name = 'Customers'").await;
    let path = format!("/connection-profiles/{id}");
    story.auth0(&path, "/organization/show_as_button", "none").await;
    story
        .writes(&format!(
            "update auth0.connection_profile set enabled_features = '{{scim,universal_logout}}' where id = '{id}'"
        ))
        .await;
    story.auth0(&path, "/enabled_features/1", "universal_logout").await;
    story
        .refused(
            &format!("update auth0.connection_profile set enabled_features = '{{scam}}' where id = '{id}'"),
            "22023",
            "invalid",
        )
        .await;
    story
        .reverted(
            &format!("update auth0.connection_profile set connection_name_prefix_template = '-a--b' where id = '{id}'"),
            "connection_name_prefix_template",
            &format!("select connection_name_prefix_template from auth0.connection_profile where id = '{id}'"),
        )
        .await;
    let name = format!("select name from auth0.connection_profile where id = '{id}'");
    story.changed(Method::PATCH, &path, Some(json!({"name": "Clients"})), &name, "Clients").await;
    story.writes(&format!("delete from auth0.connection_profile where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
