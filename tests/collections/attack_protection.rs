//! Attack protection: settings of which there is one row each, changed by UPDATE alone.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const TABLES: &[&str] = &[
    "attack_protection_bot_detection",
    "attack_protection_breached_password_detection",
    "attack_protection_brute_force_protection",
    "attack_protection_captcha",
    "attack_protection_phone_provider_protection",
    "attack_protection_suspicious_ip_throttling",
];
const MARKER: &str = "no-table-shows-this";

#[tokio::test]
async fn attack_protection() {
    let mut story = Story::begin(TABLES, 0, async |_| {}).await;
    story.reads("select max_attempts from auth0.attack_protection_brute_force_protection", 10).await;
    for table in TABLES {
        assert_eq!(story.session.count(&format!("select count(*) from auth0.{table}")).await, 1, "{table}");
    }
    story
        .writes(
            "update auth0.attack_protection_brute_force_protection \
             set max_attempts = 5, shields = '{user_notification}', allowlist = '{203.0.113.7}'",
        )
        .await;
    let brute_force = "/attack-protection/brute-force-protection";
    story.auth0(brute_force, "/max_attempts", 5).await;
    story.auth0(brute_force, "/shields", json!(["user_notification"])).await;
    story
        .writes("update auth0.attack_protection_breached_password_detection set enabled = true, shields = '{block}'")
        .await;
    story.auth0("/attack-protection/breached-password-detection", "/shields/0", "block").await;
    story.writes("update auth0.attack_protection_bot_detection set bot_detection_level = 'high'").await;
    story.auth0("/attack-protection/bot-detection", "/bot_detection_level", "high").await;
    story.writes("update auth0.attack_protection_phone_provider_protection set type = 'exponential'").await;
    story.auth0("/attack-protection/phone-provider-protection", "/type", "exponential").await;

    // Of the stages one changes, and the others stay.
    story
        .writes(
            "update auth0.attack_protection_suspicious_ip_throttling \
             set stage = stage || '{\"pre-login\": {\"max_attempts\": 7, \"rate\": 864000}}'",
        )
        .await;
    let throttling = "/attack-protection/suspicious-ip-throttling";
    story.auth0(throttling, "/stage/pre-login/max_attempts", 7).await;
    story.auth0(throttling, "/stage/pre-user-registration/max_attempts", 50).await;

    story
        .writes(&format!(
            "update auth0.attack_protection_captcha set active_provider_id = 'hcaptcha', \
             hcaptcha = '{{\"site_key\": \"k\", \"secret\": \"{MARKER}\"}}'"
        ))
        .await;
    story.auth0("/attack-protection/captcha", "/hcaptcha/site_key", "k").await;
    let logged = format!("select count(*) from auth0._sync_cdc c where c::text like '%{MARKER}%'");
    assert_eq!(story.session.count(&logged).await, 0);
    assert!(story.stand.emulator.journal().contains(MARKER), "Auth0 has the secret");

    story
        .refused(
            "update auth0.attack_protection_brute_force_protection set max_attempts = 0",
            "22003",
            "value of column \"max_attempts\" out of range",
        )
        .await;
    let lost = "update auth0.attack_protection_captcha set hcaptcha = '{\"site_key\": \"other\"}'";
    story.refused(lost, "22023", "column \"hcaptcha\" is replaced whole, and its secrets are missing").await;
    story
        .reverted(
            "update auth0.attack_protection_captcha set friendly_captcha = '{\"secret\": \"f\"}'",
            "Missing required property: site_key",
            "select friendly_captcha from auth0.attack_protection_captcha",
        )
        .await;
    let body = Some(json!({"enabled": false}));
    let seen = "select enabled from auth0.attack_protection_brute_force_protection";
    story.changed(Method::PATCH, brute_force, body, seen, false).await;
    story.end().await;
}
