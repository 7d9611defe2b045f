//! What customers see when they set up an enterprise connection, in which words, and the addresses
//! at which they do it.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const TABLES: &[&str] = &[
    "self_service_profile",
    "self_service_profile_custom_text",
    "self_service_profile_sso_ticket",
    "self_service_profile_sso_ticket_revoke",
];

#[tokio::test]
async fn self_service_profiles() {
    let mut story = Story::begin(TABLES, 0, async |emulator| {
        emulator.api.post("/api/v2/self-service-profiles", json!({"name": "Partners"})).await;
    })
    .await;
    story.reads("select count(*) from auth0.self_service_profile where name = 'Partners'", 1).await;
    story
        .writes(
            "insert into auth0.self_service_profile (name, allowed_strategies, branding) values \
             ('Customers', '{oidc,samlp}', '{\"colors\": {\"primary\": \"#19aecc\"}}')",
        )
        .await;
    let id = story.session.text("select id from auth0.self_service_profile where name = 'Customers'").await;
    let path = format!("/self-service-profiles/{id}");
    story.auth0(&path, "/branding/colors/primary", "#19aecc").await;
    story
        .writes(&format!(
            "update auth0.self_service_profile set description = 'Who pays', allowed_strategies = '{{okta}}' \
             where id = '{id}'"
        ))
        .await;
    story.auth0(&path, "/allowed_strategies/0", "okta").await;

    // Texts are there for every profile, and empty until somebody writes some.
    let text = format!(
        "select count(*) from auth0.self_service_profile_custom_text where self_service_profile_id = '{id}'"
    );
    story.sees(&text, 1).await;
    story
        .writes(&format!(
            "update auth0.self_service_profile_custom_text set texts = '{{\"introduction\": \"Hello\"}}' \
             where self_service_profile_id = '{id}'"
        ))
        .await;
    story.auth0(&format!("{path}/custom-text/en/get-started"), "/introduction", "Hello").await;

    story
        .writes(&format!(
            "insert into auth0.self_service_profile_sso_ticket (self_service_profile_id, connection_config, ttl_sec) \
             values ('{id}', '{{\"name\": \"new-customer\"}}', 3600)"
        ))
        .await;
    let address = story.session.text("select ticket from auth0.self_service_profile_sso_ticket").await;
    assert!(address.starts_with("https://"), "{address}");
    let ticket = address.rsplit(['=', '/']).next().unwrap().to_owned();
    story
        .writes(&format!(
            "insert into auth0.self_service_profile_sso_ticket_revoke (self_service_profile_id, ticket_id) \
             values ('{id}', '{ticket}')"
        ))
        .await;

    story
        .refused(
            "insert into auth0.self_service_profile (name, allowed_strategies) values ('Others', '{telepathy}')",
            "22023",
            "invalid",
        )
        .await;
    story
        .reverted(
            &format!("update auth0.self_service_profile set branding = '{{\"colors\": {{\"primary\": \"red\"}}}}' where id = '{id}'"),
            "branding.colors.primary",
            &format!("select branding from auth0.self_service_profile where id = '{id}'"),
        )
        .await;
    let name = format!("select name from auth0.self_service_profile where id = '{id}'");
    story.changed(Method::PATCH, &path, Some(json!({"name": "Clients"})), &name, "Clients").await;
    story.writes(&format!("delete from auth0.self_service_profile where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
