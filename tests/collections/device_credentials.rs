//! Keys and refresh tokens of users' devices.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn device_credentials() {
    let mut story = Story::beside(&["device_credential"], &["client"], 5, async |emulator| {
        let users = emulator.api.get("/api/v2/users").await;
        let device = |id: &str, kind: &str| {
            json!({
                "id": id, "device_name": "Phone", "type": kind, "user_id": users[0]["user_id"],
                "client_id": "application",
            })
        };
        let rows = [device("dcr_1", "refresh_token"), device("dcr_2", "rotating_refresh_token")];
        emulator.api.post("/_emulator/preload", json!({"collections": {"/device-credentials": rows}})).await;
    })
    .await;
    story.reads("select count(*) from auth0.device_credential where device_name = 'Phone'", 2).await;
    let shop = "(select client_id from auth0.client where name = 'Web Shop')";
    let insert =
        "insert into auth0.device_credential (device_name, device_id, type, client_id, value) values";
    let key = format!("{insert} ('Tablet', 'ab-12', 'public_key', {shop}, 'QUJDRA==')");
    story.writes(&key).await;
    let shown = "select type, value from auth0.device_credential where device_name = 'Tablet'";
    story
        .reads(&format!("select to_jsonb(t) from ({shown}) t"), json!({"type": "public_key", "value": null}))
        .await;
    story
        .refused(
            &format!("{insert} ('Tablet', 'xyz', 'public_key', {shop}, 'QUJDRA==')"),
            "22023",
            "invalid value for column \"device_id\"",
        )
        .await;
    story
        .reverted(
            &key,
            "A public key already exists for the device.",
            "select count(*) from auth0.device_credential",
        )
        .await;
    let count = "select count(*) from auth0.device_credential where id = 'dcr_2'";
    story.changed(Method::DELETE, "/device-credentials/dcr_2", None, count, 0).await;
    story.writes("delete from auth0.device_credential where device_name in ('Tablet', 'Phone')").await;
    story.auth0("/device-credentials?type=public_key", "", json!([])).await;
    story.end().await;
}
