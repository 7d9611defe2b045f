//! Removes mutations that settled long ago, in small batches so that nothing else waits, and
//! write-only values that no mutation claims, and holds that have ended.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::store::Store;
use crate::error::Result;
use crate::pg::{fault, qualified};

const BATCH: i64 = 1_000;
/// Between two rounds; a round ends when a batch is not full.
const ROUND: Duration = Duration::from_secs(600);

/// Removes for ever what settled more than `keep` ago.
pub async fn forget_settled(store: Store, keep: Duration) {
    loop {
        match batch(&store, keep).await {
            Ok(removed) if removed >= BATCH as u64 => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "settled mutations could not be removed"),
        }
        if let Err(error) = unclaimed(&store).await {
            tracing::warn!(%error, "unclaimed write-only values could not be removed");
        }
        if let Err(error) = made_keys(&store, keep).await {
            tracing::warn!(%error, "provisional keys could not be forgotten");
        }
        if let Err(error) = ended_holds(&store).await {
            tracing::warn!(%error, "what was held could not be forgotten");
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// One batch, oldest first; returns how many went.
async fn batch(store: &Store, keep: Duration) -> Result<u64> {
    let cdc = qualified(&store.schema, "_sync_cdc");
    // Where the oldest of all is young, the others need not be looked at.
    let sql = format!(
        "delete from {cdc} where id in (select id from {cdc} \
         where (select created_at from {cdc} order by id limit 1) < now() - make_interval(secs => $1) \
         and settled_at < now() - make_interval(secs => $1) order by id limit {BATCH})"
    );
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(keep.as_secs_f64())
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot remove settled mutations"))?;
    Ok(done.rows_affected())
}

/// A value and its mutation are committed together; one without was judged for a row that a trigger
/// of a user then left out.
async fn unclaimed(store: &Store) -> Result<()> {
    sqlx::query("delete from _auth0_sync.write_only where schema = $1 and mutation_id is null")
        .bind(&store.schema)
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot remove unclaimed write-only values"))?;
    Ok(())
}

/// Whatever was held and has settled stands in nobody's way any more.
async fn ended_holds(store: &Store) -> Result<()> {
    let sql = format!(
        "delete from _auth0_sync.held h where h.schema = $1 and not exists (select from {} c where c.txid = h.txid \
         and (c.state = 'held' or h.ended_at is not null and c.settled_at is null))",
        qualified(&store.schema, "_sync_cdc")
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(&store.schema)
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot forget what was held"))?;
    Ok(())
}

/// Nobody goes on for so long to use a key that was provisional.
async fn made_keys(store: &Store, keep: Duration) -> Result<()> {
    sqlx::query(
        "delete from _auth0_sync.made_key where schema = $1 and made_at < now() - make_interval(secs => $2)",
    )
    .bind(&store.schema)
    .bind(keep.as_secs_f64())
    .execute(&store.database.pool)
    .await
    .map_err(fault("cannot forget provisional keys"))?;
    Ok(())
}
