//! Guardian: second factors, their providers and wording, enrollments.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn guardian() {
    let tables = &[
        "guardian_factor",
        "guardian_factor_duo_setting",
        "guardian_factor_phone_message_type",
        "guardian_factor_phone_provider_twilio",
        "guardian_factor_phone_selected_provider",
        "guardian_factor_phone_template",
        "guardian_factor_push_notification_provider_apns",
        "guardian_factor_push_notification_provider_fcm",
        "guardian_factor_push_notification_provider_fcmv1",
        "guardian_factor_push_notification_provider_sns",
        "guardian_factor_push_notification_selected_provider",
        "guardian_factor_sms_provider_twilio",
        "guardian_factor_sms_selected_provider",
        "guardian_factor_sms_template",
        "guardian_factor_webauthn_platform_setting",
        "guardian_factor_webauthn_roaming_setting",
        "guardian_policy",
        "guardian_enrollment_ticket",
    ];
    let mut story = Story::begin(tables, 2, async |_| {}).await;
    story.reads("select count(*) from auth0.guardian_factor", 8).await;
    story.reads("select enabled from auth0.guardian_factor where name = 'otp'", false).await;
    story.writes("update auth0.guardian_factor set enabled = true where name = 'otp'").await;
    story
        .auth0("/guardian/factors", "/2", json!({"name": "otp", "enabled": true, "trial_expired": false}))
        .await;
    story.writes("update auth0.guardian_policy set policies = '{all-applications}'").await;
    story.auth0("/guardian/policies", "", json!(["all-applications"])).await;
    let policy = "update auth0.guardian_policy set policies = '{sometimes}'";
    story.refused(policy, "22023", "invalid input value for column \"policies\"").await;
    story
        .refused(
            "delete from auth0.guardian_factor",
            "0A000",
            "rows of auth0.guardian_factor cannot be deleted",
        )
        .await;
    let body = Some(json!({"enabled": true}));
    let sms = "select enabled from auth0.guardian_factor where name = 'sms'";
    story.changed(Method::PUT, "/guardian/factors/sms", body, sms, true).await;
    let none = "select policies from auth0.guardian_policy";
    story.changed(Method::PUT, "/guardian/policies", Some(json!([])), none, json!([])).await;
    phone(&mut story).await;
    push(&mut story).await;
    others(&mut story).await;
    story.end().await;
}

async fn phone(story: &mut Story) {
    story.writes("update auth0.guardian_factor_phone_message_type set message_types = '{sms,voice}'").await;
    story.auth0("/guardian/factors/phone/message-types", "/message_types", json!(["sms", "voice"])).await;
    for kind in ["phone", "sms"] {
        let table = format!("auth0.guardian_factor_{kind}");
        story
            .writes(&format!(
                "update {table}_provider_twilio set sid = 'AC1', auth_token = 'twilio-secret', \"from\" = '+15550100'"
            ))
            .await;
        story.auth0(&format!("/guardian/factors/{kind}/providers/twilio"), "/sid", "AC1").await;
        story.reads(&format!("select auth_token is null from {table}_provider_twilio"), true).await;
        story.writes(&format!("update {table}_selected_provider set provider = 'twilio'")).await;
        story.auth0(&format!("/guardian/factors/{kind}/selected-provider"), "/provider", "twilio").await;
        story
            .writes(&format!("update {table}_template set enrollment_message = 'Enroll: {{{{code}}}}'"))
            .await;
        let templates = format!("/guardian/factors/{kind}/templates");
        story.auth0(&templates, "/enrollment_message", "Enroll: {{code}}").await;
    }
}

async fn push(story: &mut Story) {
    let table = "auth0.guardian_factor_push_notification";
    story
        .writes(&format!(
            "update {table}_provider_sns set aws_access_key_id = 'AK', aws_secret_access_key = 'sns-secret', \
             aws_region = 'eu-west-1'"
        ))
        .await;
    story.auth0("/guardian/factors/push-notification/providers/sns", "/aws_region", "eu-west-1").await;
    story.writes(&format!("update {table}_provider_apns set bundle_id = 'com.example.app'")).await;
    story.auth0("/guardian/factors/push-notification/providers/apns", "/bundle_id", "com.example.app").await;
    story.writes(&format!("update {table}_selected_provider set provider = 'sns'")).await;
    story.auth0("/guardian/factors/push-notification/selected-provider", "/provider", "sns").await;
    // Auth0 shows nothing of these: setting them is a command.
    story.writes(&format!("insert into {table}_provider_fcm (server_key) values ('fcm-secret')")).await;
    story
        .writes(&format!("insert into {table}_provider_fcmv1 (server_credentials) values ('fcm-secret')"))
        .await;
    story.reads(&format!("select state from {table}_provider_fcmv1"), "done").await;
    story
        .reverted(
            &format!(
                "update {table}_provider_apns set bundle_id = 'com.example.other', p12 = 'no certificate'"
            ),
            "The PKCS #12 file is invalid.",
            &format!("select bundle_id from {table}_provider_apns"),
        )
        .await;
}

async fn others(story: &mut Story) {
    story
        .writes("update auth0.guardian_factor_duo_setting set ikey = 'I', skey = 'duo-secret', host = 'api.example.com'")
        .await;
    story.auth0("/guardian/factors/duo/settings", "/host", "api.example.com").await;
    story.writes("update auth0.guardian_factor_duo_setting set skey = 'other-secret'").await;
    story.auth0("/guardian/factors/duo/settings", "/skey", "other-secret").await;
    story
        .writes("update auth0.guardian_factor_webauthn_roaming_setting set user_verification = 'required'")
        .await;
    story.auth0("/guardian/factors/webauthn-roaming/settings", "/userVerification", "required").await;
    story
        .writes("update auth0.guardian_factor_webauthn_platform_setting set override_relying_party = true")
        .await;
    story.auth0("/guardian/factors/webauthn-platform/settings", "/overrideRelyingParty", true).await;
    let users = story.stand.emulator.api.get("/api/v2/users").await;
    let user = users[0]["user_id"].as_str().unwrap();
    story
        .writes(&format!(
            "insert into auth0.guardian_enrollment_ticket (user_id, factor) values ('{user}', 'otp')"
        ))
        .await;
    story
        .reads(
            "select ticket_url like '%/mfa/enrollment?ticket=%' from auth0.guardian_enrollment_ticket",
            true,
        )
        .await;
    let secrets = "select count(*) from auth0._sync_cdc where before::text || after::text like '%-secret%'";
    story.reads(secrets, 0).await;
}
