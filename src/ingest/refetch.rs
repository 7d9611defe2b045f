//! Reads targets from Auth0 and applies what is there.

use super::apply::{Applied, apply, apply_free};
use super::backfill::is_refusal;
use super::listing::{keys, known_below, read_set};
use super::{Context, Queue, kept, part, sets};
use crate::auth0::{Lane, Request};
use crate::catalog::{NewKey, Resource, ResourceKind, RowKey, Target, list_groups};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::fault;
use crate::pg::mirror::{Row, row_from_answer};

/// Reads targets from the queue for ever.
pub async fn refetch(context: &Context, queue: &Queue) {
    loop {
        let target = queue.next().await;
        if context.refused.has(target.table()) {
            // Auth0 has said that it does not show this table; the backfill asks again.
            queue.done(&target);
            continue;
        }
        match read(context, queue, &target, Lane::Refetch).await {
            Ok(true) => queue.done(&target),
            Ok(false) => queue.again(target),
            Err(error) => {
                if error.kind().policy().retry == Retry::Never && error.kind() != Kind::Auth0Credentials {
                    // It stays unread until someone mends the cause; the others must not wait for it.
                    let hint = error.kind().policy().hint;
                    tracing::error!(%error, table = target.table(), "a row cannot be read: {hint}");
                    if is_refusal(&error) && is_about_the_table(&target, &error) {
                        note_refusal(context, target.table(), &error).await;
                    }
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

/// Whether a refusal says something of the whole table and not of one row's own ways.
fn is_about_the_table(target: &Target, error: &Error) -> bool {
    matches!(error.kind(), Kind::Auth0Forbidden | Kind::Auth0Scope) || matches!(target, Target::Table { .. })
}

async fn note_refusal(context: &Context, table: &str, error: &Error) {
    context.refused.add(table);
    let noted = sqlx::query(include_str!("sql/note_refusal.sql"))
        .bind(&context.schema)
        .bind(table)
        .bind(error.to_string())
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note that Auth0 refuses a table"));
    if let Err(error) = noted {
        tracing::warn!(%error, table, "the refusal is not shown");
    }
}

/// Reads one target; false where something of it has to be read again.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn read(context: &Context, queue: &Queue, target: &Target, lane: Lane) -> Result<bool> {
    let resource = context.catalog.resource(target.table())?;
    if !resource.is_read() && !matches!(target, Target::Below { .. }) {
        return Ok(true);
    }
    match target {
        Target::Below { key, .. } => read_below(context, queue, resource, key).await,
        Target::Row { key, .. } => read_row(context, queue, resource, key, lane).await,
        Target::Set { list, parent, .. } => {
            let list =
                resource.list.get(*list).ok_or_else(|| Error::new(Kind::Internal, "a list is gone"))?;
            let mut listed = Box::pin(read_set(context, queue, resource, list, parent, lane, true)).await?;
            if let Some(cut) = listed.cut {
                tracing::warn!(table = %resource.table, cap = cut.cap, "Auth0 shows only a part of this list");
            }
            kept::ask(context, queue, std::mem::take(&mut listed.following)).await?;
            let rows = listed.open();
            if resource.get.is_none() {
                // With its siblings, which this list alone shows.
                return Ok(rows.is_empty());
            }
            let rows = rows.into_iter();
            let rows = rows.filter_map(|key| Target::row(&context.catalog, &resource.table, key));
            kept::ask(context, queue, rows).await?;
            Ok(true)
        }
        Target::Part { values, .. } => part::read(context, queue, resource, values).await,
        Target::Table { .. } => {
            let filled = Box::pin(super::backfill::fill(context, queue, resource, Lane::Sweep)).await?;
            kept::ask(context, queue, filled.following).await?;
            // Where rows have no call of their own this table stands for them.
            let whole = !filled.again.contains(target);
            let others = filled.again.into_iter().filter(|again| again != target);
            kept::ask(context, queue, others).await?;
            Ok(whole)
        }
    }
}

/// Asks for everything that lists show below a row.
async fn read_below(context: &Context, queue: &Queue, resource: &Resource, key: &RowKey) -> Result<bool> {
    for other in context.catalog.iter().filter(|other| other.is_read() && sets::is_one_way(other)) {
        let preferred = list_groups(&context.catalog, other).into_iter().next().unwrap_or_default();
        for n in preferred {
            let Some(list) = other.list.get(n).filter(|list| list.parent.as_ref() == Some(&resource.table))
            else {
                continue;
            };
            let sets = sets::below(context, list, key).await?;
            let set = |parent| Target::Set { table: other.table.clone(), list: n, parent };
            kept::ask(context, queue, sets.into_iter().map(set)).await?;
        }
    }
    if resource.kind == ResourceKind::Watch {
        return forget_unwatched(context, resource, key).await;
    }
    Ok(true)
}

/// Removes what was listed below a key that a client watches no more.
async fn forget_unwatched(context: &Context, resource: &Resource, key: &RowKey) -> Result<bool> {
    if keys(context, resource).await?.contains(key) {
        return Ok(true);
    }
    let (named, began, mut whole) = (key.to_json(resource), context.freshness.begin(), true);
    for other in context.catalog.iter().filter(|other| other.is_read() && !other.keeps_rows) {
        for list in other.list.iter().filter(|list| list.parent.as_ref() == Some(&resource.table)) {
            let pairs = list.supplied(resource).into_iter();
            let values = pairs.map(|(name, column)| Some((name.to_owned(), named.get(column)?.clone())));
            let Some(values) = values.collect::<Option<Row>>() else { continue };
            for row in known_below(context, other, &values).await? {
                whole &= apply_free(context, other, &row, None, began.began()).await?.is_some();
            }
        }
    }
    Ok(whole)
}

/// Reads one row by its key; false where it has to be read again.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn read_row(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    key: &RowKey,
    lane: Lane,
) -> Result<bool> {
    if resource.kind == ResourceKind::Singleton {
        let following = read_singleton(context, resource, lane).await?;
        let whole = following.is_some();
        kept::ask(context, queue, following.into_iter().flatten()).await?;
        return Ok(whole);
    }
    let Some(get) = &resource.get else {
        let shows = Target::row(&context.catalog, &resource.table, key.clone());
        kept::ask(context, queue, shows).await?;
        return Ok(true);
    };
    // Where rows carry Auth0's own time of change, that decides, and nothing has to wait.
    if resource.version.is_none() && context.freshness.in_flight(&resource.table, key) {
        return Ok(false);
    }
    let named = key.to_json(resource);
    let request = Request::of_row(get, &named, lane)?;
    let reading = context.freshness.begin();
    let row = match context.auth0.read(&request).await {
        Ok(answer) => {
            let mut row = row_from_answer(resource, &answer.body);
            if let Some(made) = resource.made_column()
                && row.get(made).is_some_and(|other| Some(other) != named.get(made))
            {
                // Asked for by another name that it has: the row stands under its own.
                row.extend(named.into_iter().filter(|(column, _)| column != made));
                let own = RowKey::of(resource, &row);
                let own = own.and_then(|key| Target::row(&context.catalog, &resource.table, key));
                kept::ask(context, queue, own).await?;
                return Ok(true);
            }
            row.extend(named);
            Some(row).filter(|row| !resource.is_absent(row))
        }
        Err(error) if error.kind() == Kind::Auth0NotFound => None,
        Err(error) => return Err(error),
    };
    let gone = row.is_none();
    match apply(context, resource, key, row, reading.began()).await? {
        Applied::Done(following) => {
            kept::ask(context, queue, following).await?;
            if gone {
                kept::ask(context, queue, Target::taken_along(resource)).await?;
            }
        }
        Applied::Stale => {}
        Applied::ReadAgain => return Ok(false),
    }
    Ok(true)
}

/// Reads the one row of a table, or that it has none; what follows, none where it has to be read again.
pub(super) async fn read_singleton(
    context: &Context,
    resource: &Resource,
    lane: Lane,
) -> Result<Option<Vec<Target>>> {
    let wrong = |what: &str| Error::new(Kind::Catalog, format!("{} has no {what}", resource.table));
    let get = resource.get.as_ref().ok_or_else(|| wrong("call to read it"))?;
    let NewKey::Fixed { value } = &resource.new_key else { return Err(wrong("key of its own")) };
    let key = RowKey::single(value.clone());
    let reading = context.freshness.begin();
    let request = Request::of_row(get, &key.to_json(resource), lane)?;
    let row = match context.auth0.read(&request).await {
        Ok(answer) => Some(row_from_answer(resource, &answer.body)),
        Err(error) if error.kind() == Kind::Auth0NotFound => None,
        Err(error) => return Err(error),
    };
    apply_free(context, resource, &key, row, reading.began()).await
}
