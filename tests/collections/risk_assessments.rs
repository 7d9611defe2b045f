//! Risk assessments, and a setting that most plans lack.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn risk_assessments() {
    let tables = &["risk_assessment_new_device_setting", "risk_assessment_setting"];
    let mut story = Story::begin(tables, 0, async |_| {}).await;
    story.reads("select enabled from auth0.risk_assessment_setting", false).await;
    story.writes("update auth0.risk_assessment_setting set enabled = true").await;
    story.auth0("/risk-assessments/settings", "/enabled", true).await;
    story.writes("update auth0.risk_assessment_new_device_setting set remember_for = 90").await;
    story.auth0("/risk-assessments/settings/new-device", "/remember_for", 90).await;
    let long = "update auth0.risk_assessment_new_device_setting set remember_for = 1000";
    story.refused(long, "22003", "value of column \"remember_for\" out of range").await;
    let off = Some(json!({"enabled": false}));
    let enabled = "select enabled from auth0.risk_assessment_setting";
    story.changed(Method::PATCH, "/risk-assessments/settings", off, enabled, false).await;
    story.without("reverted", "what Auth0 refuses is refused in the statement");
    story.end().await;
}

/// Most tenants lack the feature: the table is there, and empty.
#[tokio::test]
async fn a_setting_that_the_plan_lacks() {
    let mut story = Story::begin(&["supplemental_signal"], 0, async |_| {}).await;
    story.reads("select count(*) from auth0.supplemental_signal", 0).await;
    let insert = "insert into auth0.supplemental_signal (akamai_enabled) values (true)";
    story.refused(insert, "0A000", "rows of auth0.supplemental_signal cannot be inserted").await;
}
