//! Many new rows at once, for filling tables: one statement a page. Only rows that the mirror does
//! not have and that no client has touched go this way; the others go through `apply`, one by one.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::Context;
use super::apply::{apply_free, following};
use super::sweep::Change;
use super::target::Target;
use crate::catalog::{Resource, RowKey};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Row, Tick, lock_names, may_be_ours};
use crate::pg::{fault, has_unsettled, ident, key_columns, literal, qualified, selected_key};

/// What became of a page.
#[derive(Default)]
pub(super) struct Stored {
    /// Keys that have to be read again.
    pub(super) again: Vec<RowKey>,
    /// What has to be read because of these rows.
    pub(super) following: Vec<Target>,
}

/// Stores a page of rows read from `began` on.
///
/// # Errors
/// Database errors other than a row that a client holds.
pub(super) async fn store(
    context: &Context,
    resource: &Resource,
    rows: Vec<(RowKey, Row)>,
    began: Tick,
) -> Result<Stored> {
    let rows = match &context.compare {
        Some(differences) => differences.hold_back(context, resource, rows, began).await?,
        None => rows,
    };
    let stored = match insert(context, resource, &rows, began).await {
        // One of them is held: one by one, the others go through.
        Err(error) if error.kind() == Kind::DatabaseBusy => HashSet::new(),
        stored => stored?,
    };
    if let Some(differences) = &context.compare {
        differences.count(Change::Inserted, stored.len());
    }
    let mut page = Stored::default();
    for (key, row) in rows {
        if stored.contains(&key) {
            page.following.extend(following(&context.catalog, resource, &key, None, Some(&row)));
            continue;
        }
        match apply_free(context, resource, &key, Some(row), began).await? {
            Some(following) => page.following.extend(following),
            None => page.again.push(key),
        }
    }
    Ok(page)
}

/// Adds those rows of a page that the mirror does not have; rows that never change.
///
/// # Errors
/// Database errors.
pub(super) async fn add(
    context: &Context,
    resource: &Resource,
    rows: &[(RowKey, Row)],
    began: Tick,
) -> Result<()> {
    insert(context, resource, rows, began).await.map(drop)
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
    let name = qualified(&context.schema, &resource.table);
    let columns: Vec<_> = resource.columns.keys().map(String::as_str).chain(["extra"]).map(ident).collect();
    let list = columns.join(", ");
    let key_list = key_columns(resource);
    let touched = |alias: &str| has_unsettled(&context.schema, resource, alias);
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
    let mut stored: HashSet<RowKey> = inserted.iter().map(|row| selected_key(resource, row)).collect();
    let names = Value::Array(stored.iter().map(|key| Value::Object(key.to_json(resource))).collect());
    let undone = sqlx::query(AssertSqlSafe(undo))
        .bind(names)
        .fetch_all(&mut *transaction)
        .await
        .map_err(fault("cannot look again"))?;
    for row in undone {
        stored.remove(&selected_key(resource, &row));
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
