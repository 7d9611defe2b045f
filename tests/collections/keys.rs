//! Keys: those that sign tokens, those that protect what Auth0 stores, and keys of one's own.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn keys() {
    let tables = &[
        "custom_signing_key",
        "encryption_key",
        "encryption_key_destroy",
        "encryption_key_import",
        "encryption_key_rekey",
        "encryption_key_wrapping_key",
        "signing_key",
        "signing_key_revoke",
        "signing_key_rotate",
    ];
    let mut story = Story::begin(tables, 0, async |_| {}).await;
    signing(&mut story).await;
    encryption(&mut story).await;
    own(&mut story).await;
    story.end().await;
}

async fn signing(story: &mut Story) {
    story.reads("select count(*) from auth0.signing_key where current", 1).await;
    let first = story.session.text("select kid from auth0.signing_key where current").await;
    story.writes("insert into auth0.signing_key_rotate default values").await;
    let next = story.session.text("select kid from auth0.signing_key_rotate").await;
    story.sees(&format!("select next from auth0.signing_key where kid = '{next}'"), true).await;
    story.sees(&format!("select previous from auth0.signing_key where kid = '{first}'"), true).await;
    story.writes(&format!("insert into auth0.signing_key_revoke (kid) values ('{first}')")).await;
    story.sees(&format!("select revoked from auth0.signing_key where kid = '{first}'"), true).await;
    let insert = "insert into auth0.signing_key (cert) values ('mine')";
    story.refused(insert, "0A000", "rows of auth0.signing_key cannot be inserted").await;
    // Somebody rotates in the dashboard.
    let rotated = "select count(*) from auth0.signing_key where current_since is not null and previous";
    story.changed(Method::POST, "/keys/signing/rotate", None, rotated, 1).await;
}

async fn encryption(story: &mut Story) {
    let active =
        "select count(*) from auth0.encryption_key where type = 'tenant-master-key' and state = 'active'";
    story.reads(active, 1).await;
    story.writes("insert into auth0.encryption_key (type) values ('customer-provided-root-key')").await;
    let id = story
        .session
        .text("select kid from auth0.encryption_key where type = 'customer-provided-root-key'")
        .await;
    let path = format!("/keys/encryption/{id}");
    story.auth0(&path, "/state", "pre-activation").await;
    let state = format!("select state from auth0.encryption_key where kid = '{id}'");
    story.reads(&state, "pre-activation").await;
    story.writes(&format!("insert into auth0.encryption_key_wrapping_key (kid) values ('{id}')")).await;
    story.reads("select public_key like '-----BEGIN%' from auth0.encryption_key_wrapping_key", true).await;
    story
        .reverted(
            &format!(
                "insert into auth0.encryption_key_import (kid, wrapped_key) values ('{id}', 'bad-key-value')"
            ),
            "Wrapped key material is invalid",
            &state,
        )
        .await;
    let material =
        "IS6KZN54F7x5/+EMMcTMcQYQqBeePqtN4h9kvwXwXQPuawR9YyfnVgLXAUMLK3QGZx7ZFF9GqW8cfedvWJz963F4nAli";
    story
        .writes(&format!(
            "insert into auth0.encryption_key_import (kid, wrapped_key) values ('{id}', '{material}')"
        ))
        .await;
    story.sees(&state, "active").await;
    let kept = format!("select count(*) from auth0._sync_cdc where after::text like '%{material}%'");
    story.reads(&kept, 0).await;
    story.writes("insert into auth0.encryption_key_rekey default values").await;
    story.sees(active, 1).await;
    // Auth0 keeps destroyed keys in its list.
    story.writes(&format!("insert into auth0.encryption_key_destroy (kid) values ('{id}')")).await;
    story.sees(&state, "destroyed").await;
    story.auth0(&path, "/state", "destroyed").await;
}

async fn own(story: &mut Story) {
    story.reads("select count(*) from auth0.custom_signing_key", 0).await;
    let key =
        |id: &str| json!([{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB"}]);
    story.writes(&format!("insert into auth0.custom_signing_key (keys) values ('{}')", key("one"))).await;
    story.auth0("/keys/custom-signing", "/keys/0/kid", "one").await;
    story.writes(&format!("update auth0.custom_signing_key set keys = '{}'", key("two"))).await;
    story.auth0("/keys/custom-signing", "/keys/0/kid", "two").await;
    story.writes("delete from auth0.custom_signing_key").await;
    story.gone("/keys/custom-signing").await;
}
