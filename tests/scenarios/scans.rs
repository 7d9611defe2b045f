//! What a write costs must not depend on how many rows there are.

use std::time::Duration;

use serde_json::Value;

use super::user;
use crate::support::{Session, Stand, wait_until};

const WRITES: i64 = 50;

/// Rows that may be looked up by an index for each that is updated: fewer than there are, which is what reading a
/// whole index takes.
const LOOKED_UP: i64 = 8;

/// What a table has seen so far.
#[derive(Clone, Copy, PartialEq)]
struct Seen {
    /// Scans of the whole of it.
    scans: i64,
    /// Rows that were found by an index.
    looked_up: i64,
    updates: i64,
}

/// Of mutations, and of users.
async fn seen(root: &mut Session) -> Vec<Seen> {
    let sql = "select seq_scan, idx_tup_fetch, n_tup_upd from pg_stat_user_tables \
               where schemaname = 'auth0' and relname in ('user', '_sync_cdc') order by relname";
    let of_table = |row: &Value| {
        let number = |name: &str| row[name].as_i64().unwrap();
        Seen { scans: number("seq_scan"), looked_up: number("idx_tup_fetch"), updates: number("n_tup_upd") }
    };
    root.rows(sql).await.iter().map(of_table).collect()
}

/// The server's processes for what settles together.
async fn settling(root: &mut Session) -> Vec<Value> {
    root.rows("select pid from pg_stat_activity where application_name = 'auth0-sync' and query ~ '^(prepare|execute) batch_'").await
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
    session.confirmed(&update(0)).await;
    let settled_by = settling(&mut root).await;
    assert_eq!(settled_by.len(), 1, "one connection settles");
    // Counters come late, and only from connections that go on working: so writes go on until enough are counted in
    // a row without a scan. What the start has read may be counted among them; for writes that scan it never comes.
    let (mut n, mut before) = (0, seen(&mut root).await);
    wait_until("many writes scan nothing", Duration::from_secs(60), async || {
        n += 1;
        session.confirmed(&update(n)).await;
        let now = seen(&mut root).await;
        let both = || now.iter().zip(&before);
        if both().any(|(now, before)| {
            now.scans != before.scans
                || now.looked_up - before.looked_up > LOOKED_UP * (now.updates - before.updates).max(1)
        }) {
            before = now;
            return false;
        }
        // Of a mutation: claimed, settled. Of a row: written, and the answer taken over.
        both().all(|(now, before)| now.updates - before.updates >= 2 * WRITES)
    })
    .await;
    assert_eq!(settling(&mut root).await, settled_by, "by the same connection for ever");
}
