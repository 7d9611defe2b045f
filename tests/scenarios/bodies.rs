//! Calls that carry more than the changed fields.

use serde_json::json;

use crate::support::{Stand, wait_until};

/// What the stand mirrors.
pub const TABLES: &[&str] = &["guardian_factor_sms_template", "branding_universal_login_template"];

const TEMPLATES: &str = "/api/v2/guardian/factors/sms/templates";

pub async fn a_call_that_replaces_keeps_what_others_have_written(stand: &mut Stand) {
    let mut session = stand.session().await;
    // Somebody else has written it meanwhile, and the mirror does not know yet.
    stand.emulator.fault(json!({"match": {"method": "GET", "path": "^/api/v2/logs"}, "times": 3, "do": "status", "status": 500})).await;
    let body = json!({"enrollment_message": "theirs {{code}}", "verification_message": "old {{code}}"});
    let (status, answer) = stand.emulator.api.send(reqwest::Method::PUT, TEMPLATES, Some(&body)).await;
    assert!(status.is_success(), "{answer}");
    session
        .confirmed("update auth0.guardian_factor_sms_template set verification_message = 'mine {{code}}'")
        .await;
    let there = stand.emulator.api.get(TEMPLATES).await;
    assert_eq!(there["verification_message"], "mine {{code}}");
    assert_eq!(there["enrollment_message"], "theirs {{code}}", "what others wrote is carried along");
    wait_until("the mirror shows it", std::time::Duration::from_secs(10), async || {
        session.text("select enrollment_message from auth0.guardian_factor_sms_template").await
            == "theirs {{code}}"
    })
    .await;
}

pub async fn a_singleton_comes_and_goes(stand: &mut Stand) {
    const PATH: &str = "/api/v2/branding/templates/universal-login";
    let mut session = stand.session().await;
    let count = "select count(*) from auth0.branding_universal_login_template";
    assert_eq!(session.count(count).await, 0);
    let page = |n: u32| {
        format!(
            "<!DOCTYPE html><html><head>{{%- auth0:head -%}}</head><body>{n}{{%- auth0:widget -%}}</body></html>"
        )
    };
    session
        .confirmed(&format!(
            "insert into auth0.branding_universal_login_template (body) values ('{}')",
            page(1)
        ))
        .await;
    assert_eq!(stand.emulator.api.get(PATH).await["body"], page(1));
    session
        .confirmed(&format!("update auth0.branding_universal_login_template set body = '{}'", page(2)))
        .await;
    assert_eq!(stand.emulator.api.get(PATH).await["body"], page(2));
    session.confirmed("delete from auth0.branding_universal_login_template").await;
    assert_eq!(stand.emulator.api.send(reqwest::Method::GET, PATH, None).await.0, 404);
    assert_eq!(session.count(count).await, 0);
    // A tenant that never wrote its templates has those that Auth0 made, and the emulator's state does not.
    session
        .confirmed("update auth0.guardian_factor_sms_template set enrollment_message = 'join {{code}}'")
        .await;
}
