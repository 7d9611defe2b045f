//! Branding: colours and logo, phone providers and templates, themes, the page around the widget.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn branding() {
    let tables = &[
        "branding",
        "branding_phone_provider",
        "branding_phone_provider_try",
        "branding_phone_template",
        "branding_phone_template_reset",
        "branding_phone_template_try",
        "branding_theme",
        "branding_universal_login_template",
    ];
    let mut story = Story::begin(tables, 0, async |_| {}).await;
    story.reads("select colors->>'primary' from auth0.branding", "#0059d6").await;
    story
        .writes(
            "update auth0.branding set logo_url = 'https://example.com/logo.png', \
             colors = '{\"primary\": \"#112233\", \"page_background\": \"#445566\"}'",
        )
        .await;
    story.auth0("/branding", "/colors/primary", "#112233").await;
    let logo = "update auth0.branding set logo_url = 'http://example.com/logo.png'";
    story.refused(logo, "22023", "invalid value for column \"logo_url\"").await;
    let favicon = Some(json!({"favicon_url": "https://example.com/favicon.ico"}));
    let icon = "select favicon_url from auth0.branding";
    story.changed(Method::PATCH, "/branding", favicon, icon, "https://example.com/favicon.ico").await;
    phone_provider(&mut story).await;
    phone_template(&mut story).await;
    theme(&mut story).await;
    page(&mut story).await;
    story.end().await;
}

async fn phone_provider(story: &mut Story) {
    story
        .reverted(
            "insert into auth0.branding_phone_provider (name, configuration, credentials) values \
             ('twilio', '{\"sid\": \"AC1\", \"delivery_methods\": [\"text\"]}', '{\"auth_token\": \"t\"}')",
            "Bad Operation on Notification Resource",
            "select count(*) from auth0.branding_phone_provider",
        )
        .await;
    story
        .writes(
            "insert into auth0.branding_phone_provider (name, configuration, credentials) values \
             ('twilio', '{\"sid\": \"AC1\", \"default_from\": \"+15550100\", \"delivery_methods\": [\"text\"]}', \
             '{\"auth_token\": \"phone-secret\"}')",
        )
        .await;
    let id = story.session.text("select id from auth0.branding_phone_provider").await;
    let path = format!("/branding/phone/providers/{id}");
    story.auth0(&path, "/configuration/sid", "AC1").await;
    story.reads("select credentials is null from auth0.branding_phone_provider", true).await;
    story.writes("update auth0.branding_phone_provider set disabled = true").await;
    story.auth0(&path, "/disabled", true).await;
    story
        .writes(&format!(
            "insert into auth0.branding_phone_provider_try (branding_phone_provider_id, \"to\", delivery_method) \
             values ('{id}', '+15550101', 'text')"
        ))
        .await;
    story.reads("select state from auth0.branding_phone_provider_try", "done").await;
    story.writes("delete from auth0.branding_phone_provider").await;
    story.gone(&path).await;
}

async fn phone_template(story: &mut Story) {
    story
        .writes(
            "insert into auth0.branding_phone_template (type, content) values \
             ('otp_verify', '{\"syntax\": \"liquid\", \"body\": {\"text\": \"{{ code }}\", \"voice\": \"{{ code }}\"}}')",
        )
        .await;
    let id = story.session.text("select id from auth0.branding_phone_template").await;
    let path = format!("/branding/phone/templates/{id}");
    story.auth0(&path, "/content/body/text", "{{ code }}").await;
    // The object merges: what is not named stays.
    story
        .writes("update auth0.branding_phone_template set content = content || '{\"from\": \"+15550100\"}'")
        .await;
    story.auth0(&path, "/content/from", "+15550100").await;
    story.auth0(&path, "/content/syntax", "liquid").await;
    story
        .writes(&format!(
            "insert into auth0.branding_phone_template_try (branding_phone_template_id, \"to\") \
             values ('{id}', '+15550101')"
        ))
        .await;
    story
        .writes(&format!(
            "insert into auth0.branding_phone_template_reset (branding_phone_template_id) values ('{id}')"
        ))
        .await;
    let text =
        "select content->'body'->>'text' like '%verification code%' from auth0.branding_phone_template";
    story.sees(text, true).await;
    story.writes("delete from auth0.branding_phone_template").await;
    story.gone(&path).await;
}

async fn theme(story: &mut Story) {
    story
        .writes(
            "insert into auth0.branding_theme (display_name, borders, colors, fonts, page_background, widget) values \
             ('Ours', '{\"buttons_style\": \"pill\"}', '{\"primary_button\": \"#112233\"}', '{\"font_url\": \"\"}', \
             '{\"page_layout\": \"center\"}', '{\"logo_position\": \"center\"}')",
        )
        .await;
    story.auth0("/branding/themes/default", "/displayName", "Ours").await;
    story.writes("update auth0.branding_theme set borders = '{\"buttons_style\": \"sharp\"}'").await;
    story.auth0("/branding/themes/default", "/borders/buttons_style", "sharp").await;
    story.writes("delete from auth0.branding_theme").await;
    story.gone("/branding/themes/default").await;
}

async fn page(story: &mut Story) {
    let page = |text: &str| format!("<html>{{%- auth0:head -%}}{text}{{%- auth0:widget -%}}</html>");
    story.reads("select count(*) from auth0.branding_universal_login_template", 0).await;
    let insert = "insert into auth0.branding_universal_login_template (body) values";
    story.writes(&format!("{insert} ('{}')", page("one"))).await;
    story.auth0("/branding/templates/universal-login", "/body", page("one")).await;
    story
        .writes(&format!("update auth0.branding_universal_login_template set body = '{}'", page("two")))
        .await;
    story.auth0("/branding/templates/universal-login", "/body", page("two")).await;
    story.writes("delete from auth0.branding_universal_login_template").await;
    story.gone("/branding/templates/universal-login").await;
}
