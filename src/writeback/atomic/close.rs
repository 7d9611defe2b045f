//! Decides a transaction in the database: whoever settles one of its mutations asks, in the same transaction,
//! whether it was the last. So a transaction is confirmed, or told to have come back, once, whatever crashes.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::time::Instant;

use super::decision::{Decision, Fate, Tally};
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::{fault, ident};
use crate::writeback::call::Holds;
use crate::writeback::lanes::Work;
use crate::writeback::settle::notification;
use crate::writeback::settlement::{Settled, unheard as settled_unheard};
use crate::writeback::store::Store;
use crate::writeback::worker::Ended;

/// A statement of this module on the tenant's `_sync_cdc`.
pub(super) fn on(store: &Store, sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.replace("{schema}", &ident(&store.schema)))
}

/// Decides a transaction of which a mutation has just settled or is applied, as far as it can be decided, and
/// tells it. Ask last, in the transaction that has written that down.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn close(
    connection: &mut PgConnection,
    store: &Store,
    txid: u64,
) -> Result<Fate> {
    let fail = || fault("cannot decide a transaction");
    let of = txid.to_string();
    // Two that are last at the same time must see each other.
    sqlx::query(include_str!("sql/lock.sql"))
        .bind(&store.schema)
        .bind(&of)
        .execute(&mut *connection)
        .await
        .map_err(fail())?;
    let (applied, open, failed) = sqlx::query_as(on(store, include_str!("sql/tally.sql")))
        .bind(&of)
        .fetch_one(&mut *connection)
        .await
        .map_err(fail())?;
    match (Tally { applied, open, failed }).decision() {
        Decision::Wait => Ok(Fate::Open),
        Decision::TakeBack => Ok(Fate::Failed),
        Decision::Confirm => {
            let ids: Vec<i64> = sqlx::query_scalar(on(store, include_str!("sql/confirm.sql")))
                .bind(&of)
                .fetch_all(&mut *connection)
                .await
                .map_err(fail())?;
            let note = json!({
                "txid": of, "schema": store.schema, "state": "confirmed", "mutations": ids.len(),
            });
            tell(connection, note).await?;
            Ok(Fate::Confirmed(ids))
        }
        Decision::Tell => {
            let outcome = sqlx::query(on(store, include_str!("sql/outcome.sql")))
                .bind(&of)
                .fetch_one(&mut *connection)
                .await
                .map_err(fail())?;
            let note = json!({
                "id": outcome.get::<i64, _>(0),
                "txid": of,
                "schema": store.schema,
                "table": outcome.get::<String, _>(1),
                "key": outcome.get::<Value, _>(2),
                "operation": outcome.get::<String, _>(3),
                "state": "reverted",
                "error": outcome.get::<Option<Value>, _>(4),
                "mutations": outcome.get::<i64, _>(5),
                "kept": outcome.get::<i64, _>(6),
            });
            tell(connection, note).await?;
            Ok(Fate::Failed)
        }
    }
}

async fn tell(connection: &mut PgConnection, note: Value) -> Result<()> {
    sqlx::query(include_str!("sql/tell.sql"))
        .bind(notification(note))
        .execute(connection)
        .await
        .map_err(fault("cannot tell what has become of a transaction"))?;
    Ok(())
}

/// Which of these transactions have failed.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn failed(store: &Store, txids: &[u64]) -> Result<Vec<u64>> {
    let failed: Vec<String> = sqlx::query_scalar(on(store, include_str!("sql/failed.sql")))
        .bind(txids.iter().map(u64::to_string).collect::<Vec<_>>())
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot look which transactions have failed"))?;
    Ok(failed.iter().filter_map(|txid| txid.parse().ok()).collect())
}

/// How work in doubt has ended, where it has: it was written down and nobody heard of it, or it has not left and
/// is not to leave any more.
///
/// # Errors
/// `internal` where there is no such mutation; database errors.
pub(in crate::writeback) async fn unheard(
    store: &Store,
    resource: &Resource,
    work: &Work,
) -> Result<Option<Ended>> {
    let (Some(atomic), Some(own)) = (work.terms.atomic, work.ids.first()) else { return Ok(None) };
    let rows: Vec<(i64, String, Value)> = sqlx::query_as(on(store, include_str!("sql/stand.sql")))
        .bind(atomic.txid.to_string())
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot look how far a transaction has got"))?;
    let missing = || Error::new(Kind::Internal, "a mutation that was sent is not there");
    let (_, state, key) = rows.iter().find(|(id, ..)| id == own).ok_or_else(missing)?;
    let key = key.as_object().and_then(|key| RowKey::of(resource, key)).ok_or_else(missing)?;
    let settled = |reverted: bool| settled_unheard(work, key.clone(), reverted);
    let any_failed = rows.iter().any(|(_, state, _)| state == "reverted" || state == "cancelled");
    Ok(match state.as_str() {
        "pending" if atomic.withdrawn => {
            Some(Ended::Back { at: Instant::now(), alone: false, holds: Holds::Itself })
        }
        "applied" => Some(Ended::Settled(Settled { ids: Vec::new(), applied: true, ..settled(false) })),
        "confirmed" | "reverted" | "cancelled" => {
            let fate = if any_failed {
                Fate::Failed
            } else {
                Fate::Confirmed(rows.iter().map(|(id, ..)| *id).collect())
            };
            let fates = vec![(atomic.txid, fate)];
            Some(Ended::Settled(Settled { fates, ..settled(state != "confirmed") }))
        }
        _ => None,
    })
}
