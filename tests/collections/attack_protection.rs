//! Attack protection and risk: settings of the whole tenant, some of which need a plan.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn attack_protection() {
    let tables = &[
        "attack_protection_bot_detection",
        "attack_protection_breached_password_detection",
        "attack_protection_brute_force_protection",
        "attack_protection_captcha",
        "attack_protection_phone_provider_protection",
        "attack_protection_suspicious_ip_throttling",
        "risk_assessment_new_device_setting",
        "risk_assessment_setting",
    ];
    let mut story = Story::begin(tables, 0, async |_| {}).await;
    story.reads("select max_attempts from auth0.attack_protection_brute_force_protection", 10).await;
    story.writes("update auth0.attack_protection_brute_force_protection set max_attempts = 5").await;
    story.auth0("/attack-protection/brute-force-protection", "/max_attempts", 5).await;
    story.writes("update auth0.attack_protection_bot_detection set bot_detection_level = 'high'").await;
    story.auth0("/attack-protection/bot-detection", "/bot_detection_level", "high").await;
    story
        .writes("update auth0.attack_protection_breached_password_detection set enabled = true, shields = '{block}'")
        .await;
    story.auth0("/attack-protection/breached-password-detection", "/shields", json!(["block"])).await;
    story.writes("update auth0.attack_protection_phone_provider_protection set type = 'exponential'").await;
    story.auth0("/attack-protection/phone-provider-protection", "/type", "exponential").await;
    story.writes("update auth0.risk_assessment_setting set enabled = true").await;
    story.auth0("/risk-assessments/settings", "/enabled", true).await;
    story.writes("update auth0.risk_assessment_new_device_setting set remember_for = 90").await;
    story.auth0("/risk-assessments/settings/new-device", "/remember_for", 90).await;
    // Stages merge: the others stay.
    story
        .writes(
            "update auth0.attack_protection_suspicious_ip_throttling set stage = \
             jsonb_set(stage, '{pre-login,max_attempts}', '7')",
        )
        .await;
    let throttling = "/attack-protection/suspicious-ip-throttling";
    story.auth0(throttling, "/stage/pre-login", json!({"max_attempts": 7, "rate": 864_000})).await;
    story.auth0(throttling, "/stage/pre-user-registration/max_attempts", 50).await;

    let captcha = "update auth0.attack_protection_captcha set active_provider_id = 'hcaptcha', hcaptcha =";
    story.writes(&format!("{captcha} '{{\"site_key\": \"k\", \"secret\": \"captcha-secret\"}}'")).await;
    story.auth0("/attack-protection/captcha", "/hcaptcha", json!({"site_key": "k"})).await;
    let lost = format!("{captcha} '{{\"site_key\": \"other\"}}'");
    story.refused(&lost, "22023", "column \"hcaptcha\" is replaced whole, and its secrets are missing").await;
    story
        .reverted(
            &format!("{captcha} '{{\"secret\": \"captcha-secret\"}}'"),
            "site_key",
            "select hcaptcha->>'site_key' from auth0.attack_protection_captcha",
        )
        .await;
    let kept =
        "select count(*) from auth0._sync_cdc where before::text || after::text like '%captcha-secret%'";
    story.reads(kept, 0).await;
    let off = Some(json!({"enabled": false}));
    let brute = "select enabled from auth0.attack_protection_brute_force_protection";
    story.changed(Method::PATCH, "/attack-protection/brute-force-protection", off, brute, false).await;
    story.end().await;
}

/// Most tenants lack the feature: the table is there, and empty.
#[tokio::test]
async fn a_setting_that_the_plan_lacks() {
    let mut story = Story::begin(&["supplemental_signal"], 0, async |_| {}).await;
    story.reads("select count(*) from auth0.supplemental_signal", 0).await;
    let insert = "insert into auth0.supplemental_signal (akamai_enabled) values (true)";
    story.refused(insert, "0A000", "rows of auth0.supplemental_signal cannot be inserted").await;
    story.without("reverted", "there is no row to write");
    story.without("changed", "nobody can change it");
    story.without("supplemental_signal UPDATE", "there is no row to write");
    story.end().await;
}
