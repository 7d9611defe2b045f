//! Custom domains, their verification, and the one that e-mails and links use.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn custom_domains() {
    let tables = &["custom_domain", "custom_domain_default", "custom_domain_test", "custom_domain_verify"];
    let mut story = Story::begin(tables, 0, async |emulator| {
        let domain = json!({"domain": "login.example.com", "type": "auth0_managed_certs"});
        emulator.api.post("/api/v2/custom-domains", domain).await;
    })
    .await;
    story
        .reads(
            "select status from auth0.custom_domain where domain = 'login.example.com'",
            "pending_verification",
        )
        .await;
    story
        .writes(
            "insert into auth0.custom_domain (domain, type, domain_metadata) values \
             ('shop.example.com', 'auth0_managed_certs', '{\"brand\": \"shop\"}')",
        )
        .await;
    let id = story
        .session
        .text("select custom_domain_id from auth0.custom_domain where domain like 'shop%'")
        .await;
    let path = format!("/custom-domains/{id}");
    story.auth0(&path, "/domain_metadata/brand", "shop").await;
    story
        .writes("update auth0.custom_domain set domain_metadata = '{\"kind\": \"web\"}' where domain like 'shop%'")
        .await;
    story.auth0(&path, "/domain_metadata", json!({"kind": "web"})).await;

    let kind = "insert into auth0.custom_domain (domain, type) values ('a.example.com', 'borrowed')";
    story.refused(kind, "22023", "invalid input value for column \"type\"").await;
    story
        .reverted(
            "update auth0.custom_domain_default set domain = 'shop.example.com'",
            "The domain must be verified before it can be set as default.",
            "select domain from auth0.custom_domain_default",
        )
        .await;

    story.writes(&format!("insert into auth0.custom_domain_verify (custom_domain_id) values ('{id}')")).await;
    story.reads("select status from auth0.custom_domain_verify", "ready").await;
    story.sees("select status from auth0.custom_domain where domain like 'shop%'", "ready").await;
    story.writes(&format!("insert into auth0.custom_domain_test (custom_domain_id) values ('{id}')")).await;
    story.reads("select success from auth0.custom_domain_test", true).await;
    story.writes("update auth0.custom_domain_default set domain = 'shop.example.com'").await;
    story.auth0("/custom-domains/default", "/custom_domain_id", id.as_str()).await;
    story.sees("select is_default from auth0.custom_domain where domain like 'shop%'", true).await;

    let metadata = Some(json!({"domain_metadata": {"kind": "app"}}));
    let kind = "select domain_metadata->>'kind' from auth0.custom_domain where domain like 'shop%'";
    story.changed(Method::PATCH, &path, metadata, kind, "app").await;
    story.writes("delete from auth0.custom_domain where domain = 'login.example.com'").await;
    story.reads("select count(*) from auth0.custom_domain", 1).await;
    story.end().await;
}
