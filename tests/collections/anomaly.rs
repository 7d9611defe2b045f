//! Addresses that Auth0 blocks.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn anomaly() {
    let tables = ["anomaly_ip_block", "anomaly_ip_block_watch"];
    let mut story = Story::begin(&tables, 5, async |emulator| {
        for ip in ["203.0.113.7", "203.0.113.8"] {
            let path = format!("/anomaly/blocks/ips/{ip}");
            emulator.api.post("/_emulator/preload", json!({"singletons": {path: {"ip": ip}}})).await;
        }
    })
    .await;
    let count = "select count(*) from auth0.anomaly_ip_block";
    story.reads(count, 0).await;
    story
        .writes(
            "insert into auth0.anomaly_ip_block_watch (ip) values ('203.0.113.7'), ('203.0.113.8'), ('198.51.100.1')",
        )
        .await;
    story.sees(count, 2).await;
    let strange = "insert into auth0.anomaly_ip_block_watch (ip) values ('somewhere')";
    story.refused(strange, "22023", "invalid value for column \"ip\"").await;
    story.without("reverted", "Auth0 refuses to lift no block of an address");
    story.writes("delete from auth0.anomaly_ip_block where ip = '203.0.113.7'").await;
    story.gone("/anomaly/blocks/ips/203.0.113.7").await;
    story.changed(Method::DELETE, "/anomaly/blocks/ips/203.0.113.8", None, count, 0).await;
    story.writes("delete from auth0.anomaly_ip_block_watch").await;
    story.end().await;
}
