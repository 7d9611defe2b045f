//! What is kept of commits that cannot be seen, and whether a call has left, in a table of the service's own.

use bytes::Bytes;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::rows::{Told, Unseen};
use crate::error::Result;
use crate::pg::{fault, ident};
use crate::writeback::backlog::Sight;
use crate::writeback::lanes::Queued;
use crate::writeback::store::Store;
use crate::writeback::strict;

/// Whether the server's settings let commits wait for us.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn waits(store: &Store) -> Result<bool> {
    sqlx::query_scalar(include_str!("sql/waits.sql"))
        .fetch_one(&store.database.pool)
        .await
        .map_err(fault("cannot ask whether commits wait for the service"))
}

/// Keeps mutations that the stream has told: it does not tell them again.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn keep(store: &Store, page: &[Queued]) -> Result<()> {
    let told = page.iter().filter_map(|queued| Some((queued.id, queued.terms.unseen.as_ref()?)));
    let (ids, told): (Vec<i64>, Vec<&Unseen>) = told.unzip();
    let sql = include_str!("sql/keep.sql").replace("{schema}", &ident(&store.schema));
    sqlx::query(AssertSqlSafe(sql))
        .bind(&store.schema)
        .bind(ids)
        .bind(told.iter().map(|unseen| unseen.txid.to_string()).collect::<Vec<_>>())
        .bind(told.iter().map(|unseen| unseen.table.to_string()).collect::<Vec<_>>())
        .bind(told.iter().map(|unseen| unseen.content.operation.as_str().to_owned()).collect::<Vec<_>>())
        .bind(told.iter().map(|unseen| Value::Object(unseen.content.key.clone())).collect::<Vec<_>>())
        .bind(told.iter().map(|unseen| unseen.before()).collect::<Vec<_>>())
        .bind(told.iter().map(|unseen| unseen.after()).collect::<Vec<_>>())
        .bind(
            told.iter()
                .map(|unseen| unseen.sealed.as_ref().map(|sealed| sealed.to_vec()))
                .collect::<Vec<_>>(),
        )
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot keep mutations that cannot be seen yet"))?;
    Ok(())
}

/// Claims a mutation; the request id of the call that may have left, which is another one where it had been
/// claimed before. None where the mutation can be seen.
///
/// # Errors
/// Database errors.
pub(super) async fn claim(
    store: &Store,
    id: i64,
    unseen: &Unseen,
    request_id: &str,
) -> Result<Option<String>> {
    let content = &unseen.content;
    let sql = include_str!("sql/claim.sql").replace("{schema}", &ident(&store.schema));
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(&store.schema)
        .bind(id)
        .bind(&*unseen.txid)
        .bind(&*unseen.table)
        .bind(content.operation.as_str())
        .bind(Value::Object(content.key.clone()))
        .bind(unseen.before())
        .bind(unseen.after())
        .bind(request_id)
        .bind(unseen.sealed.as_deref())
        .fetch_optional(&store.database.pool)
        .await
        .map_err(fault("cannot claim a mutation that cannot be seen yet"))
}

/// Takes up what can be seen by now: the table has it, and what has left is being sent there. The ids of the latter.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn take_up(store: &Store) -> Result<Vec<i64>> {
    let sql = include_str!("sql/take_up.sql").replace("{schema}", &ident(&store.schema));
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(&store.schema)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot take up mutations that can be seen by now"))
}

/// Notes that nothing has left for mutations.
///
/// # Errors
/// Database errors.
pub(super) async fn forget(store: &Store, ids: &[i64]) -> Result<()> {
    sqlx::query(include_str!("sql/forget.sql"))
        .bind(&store.schema)
        .bind(ids)
        .execute(&store.database.pool)
        .await
        .map_err(fault("cannot forget a claim"))?;
    Ok(())
}

/// Mutations that an earlier process has kept and that cannot be seen yet, with the low half of their txid.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn left(store: &Store) -> Result<Vec<(u32, i64)>> {
    let told = sqlx::query(include_str!("sql/left.sql"))
        .bind(&store.schema)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot read which mutations are claimed"))?;
    Ok(told.iter().map(|row| (row.get::<i64, _>(0) as u32, row.get(1))).collect())
}

/// Claimed mutations.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn told(store: &Store, ids: &[i64]) -> Result<Vec<Told>> {
    let rows = sqlx::query(include_str!("sql/claimed.sql"))
        .bind(&store.schema)
        .bind(ids)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot read claimed mutations"))?;
    let told = rows.iter().map(|row| Told {
        id: row.get(0),
        txid: row.get(1),
        table: row.get(2),
        operation: row.get(3),
        key: row.get(4),
        before: row.get(5),
        after: row.get(6),
        is_pending: true,
        has_options: false,
        sealed: row.get::<Option<Vec<u8>>, _>(7).map(Bytes::from),
        values: Vec::new(),
    });
    Ok(told.collect())
}

/// Opens the write-only values of mutations of one transaction; false where that is not possible.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn open(store: &Store, told: &mut [Told]) -> Result<bool> {
    let Some(sealed) = told.iter().find_map(|told| told.sealed.clone()) else { return Ok(true) };
    let values = strict::open_sealed(&store.database, &store.schema, &sealed).await?;
    Ok(values.is_some_and(|values| told.iter_mut().all(|told| told.open(&values))))
}

/// Whether commits that have been put aside can be seen: of each its first mutation and the low half of its txid.
///
/// # Errors
/// Database errors.
pub(in crate::writeback) async fn look(store: &Store, aside: &[(i64, Option<u32>)]) -> Result<Vec<Sight>> {
    let (ids, xids): (Vec<i64>, Vec<Option<i64>>) =
        aside.iter().map(|(id, xid)| (*id, xid.map(i64::from))).unzip();
    let sql = include_str!("sql/look.sql").replace("{schema}", &ident(&store.schema));
    let seen: Vec<(bool, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(ids)
        .bind(xids)
        .fetch_all(&store.database.pool)
        .await
        .map_err(fault("cannot look for commits that have been put aside"))?;
    let sight = |(seen, open): (bool, bool)| match (seen, open) {
        (true, _) => Sight::Seen,
        (false, true) => Sight::Unseen,
        (false, false) => Sight::Nothing,
    };
    Ok(seen.into_iter().map(sight).collect())
}
