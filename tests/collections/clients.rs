//! Applications, their credentials and their secrets.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs8/9RN2qV8HZMunRt8mx
ihqnIX726YqxGwF+7x1A0gpk4TWRpMUWnaaL2D3Nt/Kd5obKM0THZPCuE+Xwncf4
QloizZEn4jM3PNldweL9qwG160o2wXif2R5zLVQat9/188+Ko/sU/LorHgh23DMp
znSwIN30AdLG1WRPxqP5s9abVT0WgBt1VuQobw4TS6QltFUnMSEMBsNtMSPK+NPJ
pz9s3ozqkNMLNSLZMTwgODQWchUr2YJeZa5RbM0u5Xt9oF0HtXH8db3L6Rp3TdIA
uISnZ+mC7zRiCzWljkJZSBrqgtx6Su5wSve9cYGPS23zu3yeSapJWP7pki3G/GBz
JQIDAQAB
-----END PUBLIC KEY-----
";

#[tokio::test]
async fn clients() {
    let tables = [
        "client",
        "client_credential",
        "client_rotate_secret",
        "client_cimd_preview",
        "client_cimd_register",
    ];
    let mut story = Story::begin(&tables, 5, async |_| {}).await;
    story.reads("select app_type from auth0.client where name = 'Web Shop'", "regular_web").await;
    story
        .writes(
            "insert into auth0.client (name, app_type, callbacks, client_metadata) values \
             ('Till', 'native', '{https://till.example.com}', '{\"floor\": \"1\", \"till\": \"4\"}')",
        )
        .await;
    let id = story.session.text("select client_id from auth0.client where name = 'Till'").await;
    let path = format!("/clients/{id}");
    story.auth0(&path, "/client_metadata/floor", "1").await;
    story
        .writes(
            "update auth0.client set description = 'At the door', \
             client_metadata = client_metadata - 'till' || '{\"floor\": \"2\"}' where name = 'Till'",
        )
        .await;
    story.auth0(&path, "/client_metadata", json!({"floor": "2"})).await;

    story
        .writes(&format!(
            "insert into auth0.client_credential (client_id, name, credential_type, pem) values \
             ('{id}', 'first', 'public_key', '{KEY}')"
        ))
        .await;
    let credential = story.session.text("select id from auth0.client_credential where name = 'first'").await;
    story.auth0(&format!("{path}/credentials/{credential}"), "/alg", "RS256").await;
    story.reads("select pem is null and kid is not null from auth0.client_credential", true).await;
    story.writes("update auth0.client_credential set expires_at = '2035-01-01T00:00:00Z'").await;
    let expires = json!("2035-01-01T00:00:00+00:00");
    story.auth0(&format!("{path}/credentials/{credential}"), "/expires_at", expires).await;

    let rotate = "insert into auth0.client_rotate_secret";
    story.writes(&format!("{rotate} (id, client_id) values ('new', '{id}')")).await;
    story.reads("select length(client_secret) > 20 from auth0.client_rotate_secret", true).await;
    let document = "https://tool.example.com/client.json";
    for table in ["client_cimd_preview", "client_cimd_register"] {
        story.writes(&format!("insert into auth0.{table} (external_client_id) values ('{document}')")).await;
    }
    story.reads("select mapped_fields ->> 'name' from auth0.client_cimd_preview", "tool.example.com").await;
    story.sees("select count(*) from auth0.client where name = 'tool.example.com'", 1).await;

    let long = "update auth0.client set description = repeat('x', 200) where name = 'Till'";
    story.refused(long, "22001", "value too long for column \"description\"").await;
    story
        .reverted(
            "update auth0.client set default_organization = '{\"flows\": [\"client_credentials\"]}' \
             where name = 'Till'",
            "Missing required property: organization_id",
            "select default_organization from auth0.client where name = 'Till'",
        )
        .await;
    let renamed = Some(json!({"name": "Checkout"}));
    let name = format!("select name from auth0.client where client_id = '{id}'");
    story.changed(Method::PATCH, &path, renamed, &name, "Checkout").await;
    story.writes("delete from auth0.client_credential").await;
    story.auth0(&format!("{path}/credentials"), "", json!([])).await;
    for table in &tables[2..] {
        story.session.run(&format!("delete from auth0.{table}")).await;
    }
    story.writes(&format!("delete from auth0.client where client_id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
