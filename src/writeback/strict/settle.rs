//! What follows once a strict change is committed: the table gets what Auth0 answered besides, NOTIFY
//! tells, and what the change has touched elsewhere is read.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::intent::{Intent, Stands};
use super::restore::Back;
use crate::catalog::{Resource, ResourceKind, Target};
use crate::error::{Kind, Result};
use crate::pg::fault;
use crate::pg::mirror::{Locked, News, Operation, Row, Tick, has_gone_since, is_fresh, version_order};
use crate::writeback::lanes::Node;
use crate::writeback::{command, settle, settlement, worker};

/// How often a row that a client holds is tried; then it is read from Auth0 instead.
const TRIES: u32 = 8;

/// What is told of committed changes.
pub(super) fn notes(shared: &Shared, txid: u64, committed: &[(&Intent, i64)]) -> Vec<String> {
    let note = |(intent, id): &(&Intent, i64)| {
        let (table, key) = intent.row();
        let key = shared.context.catalog.resource(&table).map(|resource| key.to_json(resource));
        settle::notification(json!({
            "id": id,
            "txid": txid.to_string(),
            "schema": shared.store.schema,
            "table": table,
            "key": key.unwrap_or_default(),
            "operation": intent.content.operation.as_str(),
            "state": "confirmed",
            "error": Value::Null,
        }))
    };
    committed.iter().map(note).collect()
}

/// What has become of Auth0's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landed {
    /// The table has it.
    Stored,
    /// A client holds the row.
    Held,
    /// The row has to be read.
    Unread,
}

/// While nobody else may apply anything to the row: it gets what Auth0 answered to its last committed
/// change. An answer that is not fresh counts by Auth0's time of change alone.
pub(super) async fn land(shared: &Shared, intent: &Intent, fresh: bool) -> Landed {
    let Ok(resource) = shared.context.catalog.resource(&intent.node.0) else { return Landed::Unread };
    let Stands::Applied { answer, .. } = &intent.stands else { return Landed::Unread };
    if let (Operation::Insert | Operation::Update, Some(row)) = (intent.content.operation, answer) {
        shared.context.freshness.answered(resource, &intent.row().1, row);
    }
    match (intent.content.operation, answer) {
        _ if resource.kind == ResourceKind::Command => Landed::Stored,
        // The statement has stored it.
        (Operation::Insert, Some(_)) => Landed::Stored,
        (Operation::Update, Some(row)) => put(shared, resource, &intent.row(), Some(row), fresh).await,
        (Operation::Delete, _) => put(shared, resource, &intent.row(), None, fresh).await,
        (Operation::Insert | Operation::Update, None) => Landed::Unread,
    }
}

/// The same of a row that Auth0 has back as it was: the time of that is known, so that what was seen of
/// the row before is known to be older.
pub(super) async fn land_back(shared: &Shared, back: &Back) {
    let Ok(resource) = shared.context.catalog.resource(&back.row.0) else { return };
    // Where it is not stored, it is read: that has been asked for. What was seen of the row in between is old then.
    if let Some(shown) = &back.shown {
        shared.context.freshness.answered(resource, &back.row.1, shown);
        put(shared, resource, &back.row, Some(shown), false).await;
    }
}

async fn put(shared: &Shared, resource: &Resource, row: &Node, shown: Option<&Row>, fresh: bool) -> Landed {
    match put_once(shared, resource, row, shown, None, fresh).await {
        Ok(landed) => landed,
        Err(error) if error.kind() == Kind::DatabaseBusy => Landed::Held,
        Err(error) => {
            tracing::warn!(%error, table = %resource.table, "what Auth0 answered cannot be stored, the row is read");
            Landed::Unread
        }
    }
}

/// When others may apply something again, from `began` on: an answer that has not landed does so now, or
/// the row is read; so is what the change has touched elsewhere.
pub(super) async fn follow(shared: &Shared, intent: &Intent, landed: Landed, began: Tick) {
    let Ok(resource) = shared.context.catalog.resource(&intent.node.0) else { return };
    let context = &shared.context;
    if resource.kind == ResourceKind::Command {
        return shared
            .ask(command::to_read(&context.catalog, resource, &intent.node.1, &intent.content))
            .await;
    }
    let mut to_read = worker::touched(&context.catalog, resource, &intent.content);
    let own = || Target::suspected(&context.catalog, &intent.node.0, intent.row().1);
    let Stands::Applied { answer, .. } = &intent.stands else {
        to_read.extend(own());
        return shared.ask(to_read).await;
    };
    let operation = intent.content.operation;
    let answer = answer.as_ref().filter(|_| operation != Operation::Delete);
    let open = operation != Operation::Delete && settlement::leaves_open(resource, operation, answer);
    let known = match landed {
        Landed::Stored => true,
        Landed::Held => put_later(shared, resource, &intent.row(), answer, began).await,
        Landed::Unread => false,
    };
    if open || !known {
        to_read.extend(own());
    }
    if operation == Operation::Delete && resource.kind.is_read() {
        to_read.extend(Target::taken_along(resource));
    }
    shared.ask(to_read).await;
}

/// False where the row has to be read instead.
async fn put_later(
    shared: &Shared,
    resource: &Resource,
    row: &Node,
    shown: Option<&Row>,
    began: Tick,
) -> bool {
    let mut pause = Duration::from_millis(2);
    for _ in 0..TRIES {
        match put_once(shared, resource, row, shown, Some(began), true).await {
            Ok(landed) => return landed == Landed::Stored,
            Err(error) if error.kind() == Kind::DatabaseBusy => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => {
                tracing::warn!(%error, table = %resource.table, "what Auth0 answered cannot be stored, the row is read");
                return false;
            }
        }
    }
    false
}

/// `began`: where others may apply something too, what is newer is not to be written over.
async fn put_once(
    shared: &Shared,
    resource: &Resource,
    (table, key): &Node,
    shown: Option<&Row>,
    began: Option<Tick>,
    fresh: bool,
) -> Result<Landed> {
    let context = &shared.context;
    let mut locked = Locked::take(&context.store.database, &context.store.schema, resource, key).await?;
    if let Some(began) = began {
        // With the lock held: another statement of the row has set its mark before.
        let undecided = context.freshness.undecided().has(table, key);
        if undecided || !is_fresh(&context.freshness, &context.catalog, resource, key, began) {
            return Ok(Landed::Unread);
        }
    }
    match shown {
        Some(row) => match version_order(resource, Some(row), locked.base().as_ref()) {
            Some(Ordering::Less) => return Ok(Landed::Stored),
            Some(Ordering::Equal) | None if !fresh => return Ok(Landed::Unread),
            _ => drop(locked.apply(News::Present(row.clone())).await?),
        },
        None if !fresh || locked.visible.is_some() || !locked.unsettled.is_empty() => {
            return Ok(Landed::Unread);
        }
        None => {
            context.freshness.gone(table, key);
            locked.apply(News::Absent).await?;
            locked.remove_children(&context.catalog).await?;
        }
    }
    if let Some(began) = began {
        context.freshness.applied(table, key, began);
    }
    // Until it is flushed its intent stands, and whoever finds that reads the row.
    sqlx::query(include_str!("sql/soon.sql"))
        .execute(&mut *locked.transaction)
        .await
        .map_err(fault("cannot store what Auth0 has answered"))?;
    locked.commit().await?;
    // What it hangs on may have gone in the meantime.
    let stands = began.is_none_or(|began| {
        shown.is_none() || !has_gone_since(&context.freshness, &context.catalog, resource, key, began)
    });
    Ok(if stands { Landed::Stored } else { Landed::Unread })
}
