//! What a write costs must not depend on how many rows there are.

use std::time::Duration;

use serde_json::Value;

use super::user;
use crate::support::{Session, Stand, wait_until};

const WRITES: i64 = 50;

/// Scans of whole tables, and updates, so far: of users and of mutations.
async fn counted(root: &mut Session) -> Vec<(i64, i64)> {
    let sql = "select seq_scan, n_tup_upd from pg_stat_user_tables \
               where schemaname = 'auth0' and relname in ('user', '_sync_cdc') order by relname";
    let number = |value: &Value| value.as_i64().unwrap();
    root.rows(sql).await.iter().map(|row| (number(&row["seq_scan"]), number(&row["n_tup_upd"]))).collect()
}

pub async fn no_statement_of_a_write_reads_a_whole_table(stand: &mut Stand) {
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    let id = user(&mut session, 0).await;
    // Where an index serves, it is taken, however small the table is here.
    root.run("alter role auth0_sync set enable_seqscan = off; alter role app set enable_seqscan = off").await;
    stand.restart_service().await;
    let mut session = stand.session().await;
    let update = |n: i64| {
        format!(
            "update auth0.user set nickname = 'plan {n}', user_metadata = '{{\"n\": {n}}}' where user_id = '{id}'"
        )
    };
    // Counters come late, and only from connections that go on working: so writes go on until enough are counted in
    // a row without a scan. What the start has read may be counted among them; for writes that scan it never comes.
    let (mut n, mut before) = (0, counted(&mut root).await);
    wait_until("many writes scan nothing", Duration::from_secs(60), async || {
        n += 1;
        session.confirmed(&update(n)).await;
        let now = counted(&mut root).await;
        if now.iter().zip(&before).any(|(now, before)| now.0 != before.0) {
            before = now;
            return false;
        }
        // Of a mutation: claimed, settled. Of a row: written, and the answer taken over.
        now.iter().zip(&before).all(|(now, before)| now.1 - before.1 >= 2 * WRITES)
    })
    .await;
}
