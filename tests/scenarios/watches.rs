//! Keys that clients keep an eye on.

use std::time::Duration;

use serde_json::json;

use crate::support::{Stand, wait_until};

/// What the stand mirrors.
pub const TABLES: &[&str] = &["anomaly_ip_block", "anomaly_ip_block_watch"];

pub async fn a_watch_shows_what_hangs_on_it_and_is_never_sent(stand: &mut Stand) {
    let mut session = stand.session().await;
    let blocked =
        json!({"singletons": {"/anomaly/blocks/ips/192.0.2.7": {}, "/anomaly/blocks/ips/192.0.2.8": {}}});
    stand.emulator.api.post("/_emulator/preload", blocked).await;
    session.confirmed("insert into auth0.anomaly_ip_block_watch values ('192.0.2.7'), ('192.0.2.9')").await;
    let shown = "select count(*) from auth0.anomaly_ip_block";
    wait_until("the block is seen", Duration::from_secs(10), async || session.count(shown).await == 1).await;
    session.confirmed("delete from auth0.anomaly_ip_block_watch where ip = '192.0.2.7'").await;
    wait_until("nobody looks at it any more", Duration::from_secs(10), async || {
        session.count(shown).await == 0
    })
    .await;
    let states = session.rows("select distinct state, attempts from auth0._sync_cdc").await;
    assert_eq!(states, [json!({"state": "confirmed", "attempts": 0})]);
    // The rest of the test compares with Auth0: nothing is left there that a watch does not show.
    for ip in ["192.0.2.7", "192.0.2.8"] {
        stand.emulator.api.delete(&format!("/api/v2/anomaly/blocks/ips/{ip}")).await;
    }
}
