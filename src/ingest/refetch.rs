//! Reads targets from Auth0 and applies what is there.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::apply::{Applied, apply, apply_free};
use super::target::Target;
use super::{Context, Queue};
use crate::auth0::{Lane, Pages, Request};
use crate::catalog::{List, Resource, RowKey, fill_path, placeholders};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Row, row_from_auth0};
use crate::pg::{fault, ident, key_columns, qualified, selected_key};

/// Reads targets from the queue for ever.
pub async fn refetch(context: &Context, queue: &Queue) {
    loop {
        let target = queue.next().await;
        match read(context, queue, &target).await {
            Ok(true) => queue.done(&target),
            Ok(false) => queue.again(target),
            Err(error) => {
                if error.kind().policy().retry == Retry::Never {
                    // It stays unread until someone mends the cause; the others must not wait for it.
                    let hint = error.kind().policy().hint;
                    tracing::error!(%error, table = target.table(), "a row cannot be read: {hint}");
                    queue.done(&target);
                    continue;
                }
                if error.kind() != Kind::DatabaseBusy {
                    tracing::warn!(%error, table = target.table(), "a row could not be read again yet");
                }
                queue.again(target);
            }
        }
    }
}

/// Reads one target; false where something of it has to be read again.
async fn read(context: &Context, queue: &Queue, target: &Target) -> Result<bool> {
    let resource = context.catalog.resource(target.table())?;
    match target {
        Target::Row { key, .. } => read_row(context, queue, resource, key).await,
        Target::Set { list, parent, .. } => {
            let list =
                resource.list.get(*list).ok_or_else(|| Error::new(Kind::Internal, "a list is gone"))?;
            read_set(context, resource, list, parent, Lane::Refetch).await
        }
        Target::Table { .. } => {
            let filled = super::backfill::fill(context, resource, Lane::Sweep).await?;
            queue.ask(filled.again);
            Ok(true)
        }
    }
}

async fn read_row(context: &Context, queue: &Queue, resource: &Resource, key: &RowKey) -> Result<bool> {
    let Some(get) = &resource.get else {
        queue.ask(Target::row(&context.catalog, &resource.table, key.clone()));
        return Ok(true);
    };
    // Where rows carry Auth0's own time of change, that decides, and nothing has to wait.
    if resource.version.is_none() && context.freshness.in_flight(&resource.table, key) {
        return Ok(false);
    }
    let path = fill_path(&get.path, &key.to_json(resource))
        .ok_or_else(|| Error::new(Kind::Internal, format!("a value for {} is missing", get.path)))?;
    let reading = context.freshness.begin();
    let row = match context.auth0.read(&Request::get(path, Lane::Refetch)).await {
        Ok(answer) => Some(row_from_auth0(resource, &object(answer.body), |_| None)),
        Err(error) if error.kind() == Kind::Auth0NotFound => None,
        Err(error) => return Err(error),
    };
    let gone = row.is_none();
    let applied = apply(context, resource, key, row, reading.began()).await?;
    if gone && applied == Applied::Done {
        queue.ask(Target::taken_along(resource));
    }
    Ok(applied != Applied::ReadAgain)
}

/// Reads every row below a parent and applies all, the absence of others included: for rows that
/// are links this list is the only way to read them.
pub(super) async fn read_set(
    context: &Context,
    resource: &Resource,
    list: &List,
    parent: &[String],
    lane: Lane,
) -> Result<bool> {
    let names = placeholders(&list.path).map(str::to_owned);
    let values: Map<String, Value> = names.zip(parent.iter().cloned().map(Value::String)).collect();
    let reading = context.freshness.begin();
    let mut pages = Pages::new(&context.auth0, list, &values, lane)?;
    let mut rows = Vec::new();
    loop {
        match pages.next_page().await {
            Ok(Some(items)) => rows.extend(items.iter().map(|item| below(resource, list, item, &values))),
            Ok(None) => break,
            // The parent is gone, and what hung on it with it.
            Err(error) if error.kind() == Kind::Auth0NotFound => break,
            Err(error) => return Err(error),
        }
    }
    let mut whole = true;
    let mut seen = HashSet::new();
    for row in rows {
        let Some(key) = RowKey::of(resource, &row) else { continue };
        whole &= apply_free(context, resource, &key, Some(row), reading.began()).await?;
        seen.insert(key);
    }
    if let Some(cut) = pages.cut() {
        tracing::warn!(table = %resource.table, cap = cut.cap, "Auth0 shows only a part of this list");
        return Ok(whole);
    }
    for key in known_below(context, resource, &values).await?.into_iter().filter(|key| !seen.contains(key)) {
        whole &= apply_free(context, resource, &key, None, reading.began()).await?;
    }
    Ok(whole)
}

/// A listed item as a row of the mirror: the parent's columns come from the path.
pub(super) fn below(
    resource: &Resource,
    list: &List,
    item: &Map<String, Value>,
    parent: &Map<String, Value>,
) -> Row {
    let mut row = row_from_auth0(resource, item, |column| list.fields.get(column).map(String::as_str));
    row.extend(
        parent
            .iter()
            .filter(|(name, _)| resource.columns.contains_key(*name))
            .map(|(n, v)| (n.clone(), v.clone())),
    );
    row
}

/// Keys of the mirror's rows with these values in these columns.
async fn known_below(
    context: &Context,
    resource: &Resource,
    values: &Map<String, Value>,
) -> Result<Vec<RowKey>> {
    let conditions: Vec<_> =
        values.keys().enumerate().map(|(n, column)| format!("{} = ${}", ident(column), n + 1)).collect();
    let sql = format!(
        "select {} from {} where {}",
        key_columns(resource),
        qualified(&context.schema, &resource.table),
        conditions.join(" and ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values.values() {
        query = query.bind(value.as_str());
    }
    let rows = query
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read the keys below a parent"))?;
    Ok(rows.iter().map(|row| selected_key(resource, row)).collect())
}

/// A body that is an object; an answer without one shows no field.
pub(super) fn object(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
