//! What a write costs must not depend on how many rows there are.

use std::time::Duration;

use serde_json::Value;

use super::user;
use crate::support::{Session, Stand, wait_for, wait_until};

const WRITES: i64 = 10;

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
    // Counters come late, and what the start has read may come later still: a round without a scan will do, for
    // one whose writes scan never comes.
    let mut n = 0;
    wait_until("ten writes scan nothing", Duration::from_secs(60), async || {
        let before = counted(&mut root).await;
        for _ in 0..WRITES {
            n += 1;
            session.confirmed(&update(n)).await;
        }
        // Of a mutation: claimed, settled. Of a row: written, and the answer taken over.
        let after = wait_for("the writes are counted", Duration::from_secs(30), async || {
            let now = counted(&mut root).await;
            now.iter().zip(&before).all(|(now, before)| now.1 - before.1 >= 2 * WRITES).then_some(now)
        })
        .await;
        after.iter().zip(&before).all(|(after, before)| after.0 == before.0)
    })
    .await;
}
