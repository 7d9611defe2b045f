//! Reads what one call of a list shows (over all its pages) and applies it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::apply::apply_free;
use super::listed::Listed;
use super::seen::Seen;
use super::slices::{Slice, Span};
use super::{Context, Filling, Queue, bulk, sets};
use crate::auth0::{Lane, Pages, list_request};
use crate::catalog::{List, Paging, Resource, ResourceKind, RowKey};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Row, row_from_answer, row_listed};
use crate::pg::{fault, ident, key_columns, qualified, selected_key};

/// Reads one set and applies all of it, the absence of rows included: where rows have a call of
/// their own they are asked for by key, else this list is the only way to read them. `known` says
/// whether the mirror may have rows already.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn read_set(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    list: &List,
    set: &[String],
    lane: Lane,
    known: bool,
) -> Result<Listed> {
    let values = sets::values(list, set);
    let reading = context.freshness.begin();
    let mut listed = if list.paging == Paging::Single {
        read_single(context, resource, list, &values, lane).await?
    } else {
        read_pages((context, queue), resource, list, &values, lane).await?
    };
    if !known || resource.keeps_rows {
        return Ok(listed);
    }
    let mut absent = unseen(context, resource, &values, &listed.seen, None).await?;
    if resource.get.is_some() && !is_the_row(resource, list) {
        listed.again.append(&mut absent);
    } else if listed.cut.is_none() {
        for key in absent {
            match apply_free(context, resource, &key, None, reading.began()).await? {
                Some(following) => listed.following.extend(following),
                None => listed.again.push(key),
            }
        }
    }
    Ok(listed)
}

/// Whether the list is in truth a reading by key.
fn is_the_row(resource: &Resource, list: &List) -> bool {
    let names = list.names();
    list.paging == Paging::Single && resource.key.iter().all(|column| names.contains(&column.as_str()))
}

async fn read_single(
    context: &Context,
    resource: &Resource,
    list: &List,
    values: &Row,
    lane: Lane,
) -> Result<Listed> {
    let reading = context.freshness.begin();
    let mut listed = Listed::default();
    let filling = counted(context, resource, lane);
    filling.iter().for_each(|filling| filling.calls(1));
    let body = match context.auth0.read(&list_request(list, values, lane)?).await {
        Ok(answer) => answer.body,
        Err(error) if error.kind() == Kind::Auth0NotFound => return Ok(listed),
        Err(error) => return Err(error),
    };
    let mut row = row_from_answer(resource, &body);
    if resource.is_absent(&row) {
        return Ok(listed);
    }
    place(resource, values, &mut row);
    let Some(key) = RowKey::of(resource, &row) else { return Ok(listed) };
    listed.seen.add(&key);
    filling.iter().for_each(|filling| filling.rows(1));
    listed.add(bulk::store(context, resource, vec![(key, row)], reading.began()).await?);
    Ok(listed)
}

async fn read_pages(
    (context, queue): (&Context, &Queue),
    resource: &Resource,
    list: &List,
    values: &Row,
    lane: Lane,
) -> Result<Listed> {
    let filling = counted(context, resource, lane);
    let (mut listed, mut span) = (Listed::default(), None);
    let mut slices = vec![Slice::whole(list)];
    while let Some(slice) = slices.pop() {
        let query = slice.as_ref().and_then(Slice::query);
        let mut pages = Pages::new(&context.auth0, list, values, lane)?.search(query);
        loop {
            let reading = context.freshness.begin();
            let calls = pages.calls();
            let page = pages.next_page().await;
            filling.iter().for_each(|filling| filling.calls(pages.calls() - calls));
            let items = match page {
                Ok(Some(items)) => items,
                Ok(None) => break,
                // The parent is gone, and what hung on it with it.
                Err(error) if error.kind() == Kind::Auth0NotFound && !values.is_empty() => break,
                Err(error) => return Err(error),
            };
            let first = listed.seen.len();
            let page = items.iter().enumerate().map(|(n, item)| {
                let mut row = row_listed(resource, list, item, values);
                place(resource, values, &mut row);
                // Where a link stands in the list is what its place is.
                if let Some(column) = resource.replace.as_ref().and_then(|replace| replace.order.as_ref()) {
                    row.insert(column.clone(), (first + n).into());
                }
                row
            });
            let page: Vec<_> = page.filter_map(|row| Some((RowKey::of(resource, &row)?, row))).collect();
            let rows = page.len() as u64;
            page.iter().for_each(|(key, _)| listed.seen.add(key));
            if list.part && resource.get.is_some() {
                listed.again.extend(page.into_iter().map(|(key, _)| key));
            } else if list.paging == Paging::Log {
                bulk::add(context, resource, page, reading.began()).await?;
            } else {
                listed.add(bulk::store(context, resource, page, reading.began()).await?);
            }
            listed.bound(context, queue, resource, lane).await?;
            if let (Some(slice), Some(cap), Some(column)) = (&slice, list.cap, &list.slice_by)
                && pages.total().is_some_and(|total| total > u64::from(cap))
            {
                let span = match span {
                    Some(span) => span,
                    None => *span.insert(Span::read(context, list, column, lane).await?),
                };
                if let Some(halves) = slice.halves(span) {
                    slices.extend(halves.map(Some));
                    // They show these rows again.
                    break;
                }
            }
            filling.iter().for_each(|filling| filling.rows(rows));
        }
        listed.cut = listed.cut.or(pages.cut());
    }
    Ok(listed)
}

/// Where calls and rows are counted; a sweep and a reading of a few rows are no progress.
fn counted(context: &Context, resource: &Resource, lane: Lane) -> Option<Arc<Filling>> {
    (lane == Lane::Backfill).then(|| context.progress.of(&resource.table))
}

/// Puts what the call named into the row, and an empty text where a link lacks a part of its key.
fn place(resource: &Resource, values: &Map<String, Value>, row: &mut Row) {
    let named = values.iter().filter(|(name, _)| resource.columns.contains_key(*name));
    row.extend(named.map(|(name, value)| (name.clone(), value.clone())));
    let own = |column: &&String| !values.contains_key(*column);
    let made_here = resource.kind == ResourceKind::Association || resource.create.is_none();
    if resource.get.is_none()
        && made_here
        && resource.key.iter().filter(own).any(|column| row.contains_key(column))
    {
        for column in resource.key.iter().filter(own) {
            row.entry(column.clone()).or_insert_with(|| Value::String(String::new()));
        }
    }
}

/// The statement for keys of the mirror's rows with values in these columns (`$1`, …), those alone that
/// Auth0 can know.
fn keys_below<'c>(
    context: &Context,
    resource: &Resource,
    columns: impl Iterator<Item = &'c String>,
    condition: Option<String>,
) -> String {
    let mut conditions: Vec<_> =
        columns.enumerate().map(|(n, column)| format!("{} = ${}", ident(column), n + 1)).collect();
    conditions
        .extend(resource.key.iter().map(|key| format!("not pg_catalog.starts_with({}, 'new_')", ident(key))));
    conditions.extend(condition);
    format!(
        "select {} from {} where {}",
        key_columns(resource),
        qualified(&context.schema, &resource.table),
        conditions.join(" and ")
    )
}

/// Keys of the mirror's rows with these values in these columns, those alone that Auth0 can know.
///
/// # Errors
/// Database errors.
pub(super) async fn known_below(
    context: &Context,
    resource: &Resource,
    values: &Map<String, Value>,
) -> Result<Vec<RowKey>> {
    let mut query = sqlx::query(AssertSqlSafe(keys_below(context, resource, values.keys(), None)));
    for value in values.values() {
        query = query.bind(value.as_str());
    }
    let rows = query
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read the keys below a parent"))?;
    Ok(rows.iter().map(|row| selected_key(resource, row)).collect())
}

/// Those of these keys that have not been seen; with a column of times and a time, of rows no younger than
/// that. No more than these are held in memory.
///
/// # Errors
/// Database errors.
pub(super) async fn unseen(
    context: &Context,
    resource: &Resource,
    values: &Map<String, Value>,
    seen: &Seen,
    born: Option<(&str, DateTime<Utc>)>,
) -> Result<Vec<RowKey>> {
    let condition =
        born.map(|(column, _)| format!("({0} is null or {0} <= ${1})", ident(column), values.len() + 1));
    let mut query = sqlx::query(AssertSqlSafe(keys_below(context, resource, values.keys(), condition)));
    for value in values.values() {
        query = query.bind(value.as_str());
    }
    if let Some((_, time)) = born {
        query = query.bind(time);
    }
    let mut rows = query.fetch(&context.database.pool);
    let mut unseen = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(fault("cannot read the keys of a table"))? {
        let key = selected_key(resource, &row);
        if !seen.has(&key) {
            unseen.push(key);
        }
    }
    Ok(unseen)
}

/// Whether the mirror has a row that Auth0 can know.
///
/// # Errors
/// Database errors.
pub(super) async fn any_known(context: &Context, resource: &Resource) -> Result<bool> {
    let rows = keys_below(context, resource, std::iter::empty(), None);
    sqlx::query_scalar(AssertSqlSafe(format!("select exists ({rows})")))
        .fetch_one(&context.database.pool)
        .await
        .map_err(fault("cannot look for rows of a table"))
}

/// Every key that the mirror shows and that Auth0 can know.
///
/// # Errors
/// Database errors.
pub(super) async fn keys(context: &Context, resource: &Resource) -> Result<Vec<RowKey>> {
    known_below(context, resource, &Map::new()).await
}
