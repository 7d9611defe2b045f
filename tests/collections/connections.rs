//! Connections, the applications that use them, and how users come into them from elsewhere.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const MARKER: &str = "no-table-shows-this";

#[tokio::test]
async fn connections() {
    let mut story = Story::begin(&["connection", "connection_client"], 0, async |_| {}).await;
    story
        .reads(
            "select strategy from auth0.connection where name = 'Username-Password-Authentication'",
            "auth0",
        )
        .await;
    story
        .writes(&format!(
            "insert into auth0.connection (name, strategy, options) values ('idp', 'oidc', '{{\"client_id\": \"x\", \
             \"client_secret\": \"{MARKER}\", \"issuer\": \"https://idp.example/\", \
             \"authorization_endpoint\": \"https://idp.example/authorize\", \"type\": \"back_channel\", \
             \"token_endpoint\": \"https://idp.example/token\", \"jwks_uri\": \"https://idp.example/jwks\"}}')"
        ))
        .await;
    let id = story.session.text("select id from auth0.connection where name = 'idp'").await;
    let path = format!("/connections/{id}");
    story.auth0(&path, "/options/client_secret", MARKER).await;
    let shown = format!("select options ? 'client_secret' from auth0.connection where id = '{id}'");
    assert_eq!(story.session.one(&shown).await, false);
    // One key of the options changes; the secret and the others stay at Auth0.
    story
        .writes(&format!(
            "update auth0.connection set options = options || '{{\"icon_url\": \"https://idp.example/icon\"}}', \
             display_name = 'Our directory' where id = '{id}'"
        ))
        .await;
    story.auth0(&path, "/options/icon_url", "https://idp.example/icon").await;
    story.auth0(&path, "/options/client_secret", MARKER).await;

    let client = story.stand.emulator.client_id.clone();
    story
        .writes(&format!(
            "insert into auth0.connection_client (connection_id, client_id) values ('{id}', '{client}')"
        ))
        .await;
    story.auth0(&format!("{path}/clients"), "/clients/0/client_id", client.as_str()).await;
    story.writes(&format!("delete from auth0.connection_client where connection_id = '{id}'")).await;
    story.auth0(&format!("{path}/clients"), "/clients", json!([])).await;

    story
        .refused(
            &format!("update auth0.connection set name = 'other' where id = '{id}'"),
            "428C9",
            "column \"name\" cannot change once the row exists",
        )
        .await;
    story
        .reverted(
            "insert into auth0.connection (name, strategy) values ('idp', 'auth0')",
            "A connection with the same name already exists",
            "select count(*) from auth0.connection",
        )
        .await;
    let on = Some(json!([{"client_id": client, "status": true}]));
    let seen = format!("select count(*) from auth0.connection_client where connection_id = '{id}'");
    story.changed(Method::PATCH, &format!("{path}/clients"), on, &seen, 1).await;
    story.writes(&format!("delete from auth0.connection where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}

#[tokio::test]
async fn what_brings_users_into_connections() {
    let tables = [
        "connection_scim_configuration",
        "connection_scim_configuration_token",
        "connection_scim_configuration_default_mapping",
        "connection_directory_provisioning",
        "connection_directory_provisioning_default_mapping",
        "connection_directory_provisioning_synchronization",
        "connection_directory_provisioning_synchronized_group",
    ];
    let mut story = Story::begin(&tables, 0, async |emulator| {
        let okta = json!({"name": "okta", "strategy": "okta", "options": {"client_id": "x", "domain": "idp.example"}});
        let okta = emulator.api.post("/api/v2/connections", okta).await;
        let path = format!("/api/v2/connections/{}/scim-configuration", okta["id"].as_str().unwrap());
        emulator.api.post(&path, json!({})).await;
        let spare = json!({"name": "spare", "strategy": "okta", "options": {"client_id": "y", "domain": "idp.example"}});
        emulator.api.post("/api/v2/connections", spare).await;
        let google = json!({
            "name": "google",
            "strategy": "google-apps",
            "options": {"client_id": "x", "domain": "firm.example", "tenant_domain": "firm.example", "api_enable_users": true},
        });
        emulator.api.post("/api/v2/connections", google).await;
    })
    .await;
    story.reads("select connection_name from auth0.connection_scim_configuration", "okta").await;
    assert_eq!(
        story.session.count("select count(*) from auth0.connection_scim_configuration_default_mapping").await,
        2
    );
    story
        .writes(
            "insert into auth0.connection_scim_configuration (connection_id, user_id_attribute, mapping) \
             select id, 'externalId', '[{\"auth0\": \"email\", \"scim\": \"userName\"}]' from auth0.connection where name = 'spare'",
        )
        .await;
    let spare = story.session.text("select id from auth0.connection where name = 'spare'").await;
    let path = format!("/connections/{spare}/scim-configuration");
    story.auth0(&path, "/user_id_attribute", "externalId").await;
    story
        .writes(&format!(
            "update auth0.connection_scim_configuration set user_id_attribute = 'id' where connection_id = '{spare}'"
        ))
        .await;
    story.auth0(&path, "/user_id_attribute", "id").await;
    story
        .writes(&format!(
            "insert into auth0.connection_scim_configuration_token (connection_id, scopes) values ('{spare}', '{{get:users}}')"
        ))
        .await;
    // Auth0 shows the token in this answer alone; the row keeps it.
    let token = "select token is not null from auth0.connection_scim_configuration_token";
    assert_eq!(story.session.one(token).await, true);
    story.writes("delete from auth0.connection_scim_configuration_token").await;
    story.auth0(&format!("{path}/tokens"), "", json!([])).await;

    let google = story.session.text("select id from auth0.connection where name = 'google'").await;
    story
        .writes(&format!(
            "insert into auth0.connection_directory_provisioning (connection_id, synchronize_groups) values ('{google}', 'off')"
        ))
        .await;
    let directory = format!("/connections/{google}/directory-provisioning");
    story.auth0(&directory, "/synchronize_groups", "off").await;
    story.writes("update auth0.connection_directory_provisioning set synchronize_groups = 'selected'").await;
    story
        .writes(&format!(
            "insert into auth0.connection_directory_provisioning_synchronized_group (connection_id, id) \
             values ('{google}', 'group1'), ('{google}', 'group2')"
        ))
        .await;
    story
        .writes("delete from auth0.connection_directory_provisioning_synchronized_group where id = 'group1'")
        .await;
    story.auth0(&format!("{directory}/synchronized-groups"), "/groups/0/id", "group2").await;
    story
        .writes(&format!(
            "insert into auth0.connection_directory_provisioning_synchronization (connection_id) values ('{google}')"
        ))
        .await;

    story
        .refused(
            "update auth0.connection_directory_provisioning set synchronize_groups = 'some'",
            "22023",
            "invalid input value for column \"synchronize_groups\"",
        )
        .await;
    story
        .reverted(
            &format!(
                "insert into auth0.connection_directory_provisioning (connection_id) values ('{spare}')"
            ),
            "does not support inbound directory provisioning",
            "select count(*) from auth0.connection_directory_provisioning",
        )
        .await;
    let off = Some(json!({"synchronize_groups": "off"}));
    let seen = "select synchronize_groups from auth0.connection_directory_provisioning";
    story.changed(Method::PATCH, &directory, off, seen, "off").await;
    story.writes("delete from auth0.connection_directory_provisioning").await;
    story.gone(&directory).await;
    story
        .writes(&format!("delete from auth0.connection_scim_configuration where connection_id = '{spare}'"))
        .await;
    story.gone(&path).await;
    story.end().await;
}

#[tokio::test]
async fn keys_of_connections() {
    let tables = ["connection_key", "connection_key_create", "connection_key_rotate", "connection_status"];
    let mut story = Story::begin(&tables, 0, async |emulator| {
        let options = json!({
            "client_id": "x", "type": "back_channel", "issuer": "https://idp.example/",
            "authorization_endpoint": "https://idp.example/authorize", "token_endpoint": "https://idp.example/token",
            "jwks_uri": "https://idp.example/jwks", "client_secret": "y",
        });
        let body = json!({"name": "signed", "strategy": "oidc", "options": options});
        emulator.api.post("/api/v2/connections", body).await;
    })
    .await;
    story.reads("select count(*) from auth0.connection_status", 0).await;
    let id = story.session.text("select id from auth0.connection where name = 'signed'").await;
    story.writes(&format!("insert into auth0.connection_key_create (connection_id) values ('{id}')")).await;
    story.sees("select count(*) from auth0.connection_key where current", 1).await;
    let first = story.session.text("select kid from auth0.connection_key where current").await;
    story.writes(&format!("insert into auth0.connection_key_rotate (connection_id) values ('{id}')")).await;
    story
        .sees(
            &format!("select coalesce(current, false) from auth0.connection_key where kid = '{first}'"),
            false,
        )
        .await;
    story
        .refused(
            &format!("insert into auth0.connection_key_rotate (connection_id, signing_alg) values ('{id}', 'ROT13')"),
            "22023",
            "invalid input value for column \"signing_alg\"",
        )
        .await;
    story
        .session
        .run(&format!("insert into auth0.connection_key_create (connection_id) values ('{id}')"))
        .await;
    let refusal = story.session.wait().await.expect_err("keys are there already");
    assert!(refusal.message.contains("Keys have already been created for this connection."), "{refusal:?}");
    story.without("reverted", "a command that Auth0 refuses stays, and says so");
    story.end().await;
}
