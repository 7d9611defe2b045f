//! Rules on which clients of the network may reach the tenant, and the keys that they verify by.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const MARKER: &str = "bm8tdGFibGUtc2hvd3MtdGhpcw==";

#[tokio::test]
async fn network_acls() {
    let mut story = Story::begin(&["network_acl", "network_acl_key"], 0, async |emulator| {
        let rule = json!({"action": {"block": true}, "match": {"asns": [9453]}, "scope": "authentication"});
        let body = json!({"description": "Known abuser", "active": true, "priority": 1, "rule": rule});
        emulator.api.post("/api/v2/network-acls", body).await;
    })
    .await;
    story.reads("select rule #>> '{match,asns,0}' from auth0.network_acl", "9453").await;
    story
        .writes(
            "insert into auth0.network_acl (description, active, priority, rule) values ('At home', false, 2, \
             '{\"action\": {\"allow\": true}, \"match\": {\"geo_country_codes\": [\"DE\"]}, \"scope\": \"tenant\"}')",
        )
        .await;
    let id = story.session.text("select id from auth0.network_acl where priority = 2").await;
    let path = format!("/network-acls/{id}");
    story.auth0(&path, "/rule/match/geo_country_codes/0", "DE").await;
    // The rule goes whole: what is left out of it is gone.
    story
        .writes(&format!(
            "update auth0.network_acl set active = true, rule = rule - 'match' || '{{\"not_match\": {{\"asns\": [1]}}}}' \
             where id = '{id}'"
        ))
        .await;
    story.auth0(&path, "/rule/not_match/asns/0", 1).await;
    story.auth0(&path, "/rule/match", json!(null)).await;
    story
        .writes(&format!(
            "insert into auth0.network_acl_key (name, alg, value) values ('edge', 'hmac-sha256', '{MARKER}')"
        ))
        .await;
    let key = story.session.text("select id from auth0.network_acl_key").await;
    story.auth0(&format!("/keys/network-acls/{key}"), "/name", "edge").await;
    let logged = format!("select count(*) from auth0._sync_cdc c where c::text like '%{MARKER}%'");
    assert_eq!(story.session.count(&logged).await, 0);
    story
        .refused(
            &format!("update auth0.network_acl set priority = 0 where id = '{id}'"),
            "22003",
            "value of column \"priority\" out of range",
        )
        .await;
    story
        .reverted(
            &format!(
                "update auth0.network_acl set rule = '{{\"action\": {{\"redirect\": true}}, \"match\": {{\"asns\": [1]}}, \
                 \"scope\": \"tenant\"}}' where id = '{id}'"
            ),
            "requires a `redirect_uri`",
            &format!("select rule from auth0.network_acl where id = '{id}'"),
        )
        .await;
    let description = format!("select description from auth0.network_acl where id = '{id}'");
    let body = Some(json!({"description": "Abroad"}));
    story.changed(Method::PATCH, &path, body, &description, "Abroad").await;
    story.writes(&format!("delete from auth0.network_acl where id = '{id}'")).await;
    story.gone(&path).await;
    story.writes("delete from auth0.network_acl_key").await;
    story.gone(&format!("/keys/network-acls/{key}")).await;
    story.end().await;
}
