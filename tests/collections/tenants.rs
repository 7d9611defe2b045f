//! The tenant's settings.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn tenants() {
    let mut story = Story::begin(&["tenant"], 0, async |_| {}).await;
    story.reads("select friendly_name from auth0.tenant", "My Example Tenant").await;
    story.writes("update auth0.tenant set friendly_name = 'Ours', session_lifetime = 24").await;
    story.auth0("/tenants/settings", "/friendly_name", "Ours").await;
    // Flags merge: one is changed, the others stay.
    story.writes("update auth0.tenant set flags = flags || '{\"enable_apis_section\": true}'").await;
    story.auth0("/tenants/settings", "/flags/enable_apis_section", true).await;
    story.auth0("/tenants/settings", "/flags/enable_sso", true).await;
    story.refused("update auth0.tenant set session_lifetime = 0", "22003", "").await;
    story.refused("delete from auth0.tenant", "0A000", "rows of auth0.tenant cannot be deleted").await;
    story
        .reverted(
            "update auth0.tenant set support_email = 'nobody', friendly_name = 'Theirs'",
            "support_email",
            "select friendly_name from auth0.tenant",
        )
        .await;
    let locales = Some(json!({"enabled_locales": ["en", "de"]}));
    let column = "select enabled_locales from auth0.tenant";
    story.changed(Method::PATCH, "/tenants/settings", locales, column, json!(["en", "de"])).await;
    story.end().await;
}
