//! Many new rows at once, for filling tables: one statement a page. Only rows that the mirror does
//! not have and that no client has touched go this way; the others go through `apply`, one by one.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::Context;
use super::apply::apply;
use crate::catalog::{Resource, RowKey};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Row, Tick, lock_names, may_be_ours};
use crate::pg::{fault, ident, literal};

/// Stores a page of rows read from `began` on; returns the keys that have to be read again.
///
/// # Errors
/// Database errors other than a row that a client holds.
pub(super) async fn store(
    context: &Context,
    resource: &Resource,
    rows: Vec<(RowKey, Row)>,
    began: Tick,
) -> Result<Vec<RowKey>> {
    let stored = match insert(context, resource, &rows, began).await {
        // One of them is held: one by one, the others go through.
        Err(error) if error.kind() == Kind::DatabaseBusy => HashSet::new(),
        stored => stored?,
    };
    let mut again = Vec::new();
    for (key, row) in rows.into_iter().filter(|(key, _)| !stored.contains(key)) {
        match apply(context, resource, &key, Some(row), began).await {
            Ok(super::apply::Applied::ReadAgain) => again.push(key),
            Ok(_) => {}
            Err(error) if error.kind() == Kind::DatabaseBusy => again.push(key),
            Err(error) => return Err(error),
        }
    }
    Ok(again)
}

async fn insert(
    context: &Context,
    resource: &Resource,
    rows: &[(RowKey, Row)],
    began: Tick,
) -> Result<HashSet<RowKey>> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let name = format!("{}.{}", ident(&context.schema), ident(&resource.table));
    let columns: Vec<_> = resource.columns.keys().map(String::as_str).chain(["extra"]).map(ident).collect();
    let list = columns.join(", ");
    let keys: Vec<_> = resource.key.iter().map(|column| ident(column)).collect();
    let key_list = keys.join(", ");
    let key_object = |alias: &str| {
        let parts: Vec<_> =
            resource.key.iter().map(|k| format!("{}, {alias}.{}", literal(k), ident(k))).collect();
        format!("pg_catalog.jsonb_build_object({})", parts.join(", "))
    };
    let touched = |alias: &str| {
        format!(
            "exists (select from {}.\"_sync_cdc\" c where c.settled_at is null and c.\"table\" = {} and c.key = {})",
            ident(&context.schema),
            literal(&resource.table),
            key_object(alias)
        )
    };
    let unclaimed = may_be_ours(resource, &context.schema, "r");
    let unclaimed = unclaimed.map(|condition| format!(" and not {condition}")).unwrap_or_default();
    let sql = format!(
        "insert into {name} ({list}) select {list} from pg_catalog.jsonb_populate_recordset(null::{name}, $1) r \
         where not {}{unclaimed} on conflict do nothing returning {key_list}",
        touched("r")
    );
    let mut transaction = context.database.pool.begin().await.map_err(fault("cannot begin"))?;
    // A reading of one of these rows that finds it gone must not pass between look and commit.
    let names: Vec<_> = rows.iter().map(|(key, _)| key.clone()).collect();
    lock_names(&mut transaction, &context.schema, resource, &names).await?;
    let array = Value::Array(rows.iter().map(|(_, row)| Value::Object(row.clone())).collect());
    let inserted = sqlx::query(AssertSqlSafe(sql)).bind(array).fetch_all(&mut *transaction).await;
    let inserted = inserted.map_err(fault("cannot store a page of rows"))?;
    // A client's delete may have been committed while the insert waited for it: look in a new snapshot.
    let undo =
        format!("delete from {name} t where {} and {} returning {key_list}", one_of(resource), touched("t"));
    let mut stored: HashSet<RowKey> =
        inserted.iter().map(|row| RowKey((0..resource.key.len()).map(|n| row.get(n)).collect())).collect();
    let names = Value::Array(stored.iter().map(|key| Value::Object(key.to_json(resource))).collect());
    let undone = sqlx::query(AssertSqlSafe(undo))
        .bind(names)
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot look again"))?;
    for row in undone {
        stored.remove(&RowKey((0..resource.key.len()).map(|n| row.get(n)).collect()));
    }
    // The rows are locked now; a settlement that came before has set its mark.
    if !stored.iter().all(|key| context.freshness.may_apply(&resource.table, key, began)) {
        return Ok(HashSet::new());
    }
    transaction.commit().await.map_err(fault("cannot commit a page of rows"))?;
    for key in &stored {
        context.freshness.applied(&resource.table, key, began);
    }
    Ok(stored)
}

/// The rows of `t` whose keys stand in the JSON array `$1`.
fn one_of(resource: &Resource) -> String {
    let keys: Vec<_> = resource.key.iter().map(|column| format!("t.{}", ident(column))).collect();
    let parts: Vec<_> = resource.key.iter().map(|column| format!("k ->> {}", literal(column))).collect();
    format!(
        "({}) in (select {} from pg_catalog.jsonb_array_elements($1) k)",
        keys.join(", "),
        parts.join(", ")
    )
}
