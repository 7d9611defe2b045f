//! What follows once a strict change is committed: the table gets what Auth0 answered besides, NOTIFY
//! tells, and what the change has touched elsewhere is read.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::intent::{Intent, Stands};
use crate::catalog::{Resource, ResourceKind};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Locked, News, Operation, Row, Tick, has_gone_since, is_fresh, version_order};
use crate::writeback::dispatch::Suspicion;
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

/// Gives a row what Auth0 answered to its last committed change, unless something newer has come since
/// `began`; else it is read.
pub(super) async fn land(shared: &Shared, intent: &Intent, began: Tick) {
    let Ok(resource) = shared.context.catalog.resource(&intent.node.0) else { return };
    let context = &shared.context;
    if resource.kind == ResourceKind::Command {
        let asks = command::asks(&context.catalog, resource, &intent.node.1, &intent.content);
        return asks.into_iter().for_each(|ask| shared.suspect(ask));
    }
    let touched = worker::touched(&context.catalog, resource, &intent.content);
    touched.into_iter().for_each(|ask| shared.suspect(ask));
    let Stands::Applied { answer, .. } = &intent.stands else { return shared.suspect_row(intent.row()) };
    let operation = intent.content.operation;
    let open =
        operation != Operation::Delete && settlement::leaves_open(resource, operation, answer.as_ref());
    let known = match (operation, answer) {
        // The statement has stored it.
        (Operation::Insert, Some(_)) => true,
        (Operation::Update, Some(row)) => apply(shared, resource, intent, Some(row), began).await,
        (Operation::Delete, _) => apply(shared, resource, intent, None, began).await,
        (Operation::Insert | Operation::Update, None) => false,
    };
    if open || !known {
        shared.suspect_row(intent.row());
    }
    if operation == Operation::Delete && resource.kind.is_read() {
        shared.suspect(Suspicion::Gone(resource.table.clone()));
    }
}

/// False where the row has to be read instead.
async fn apply(
    shared: &Shared,
    resource: &Resource,
    intent: &Intent,
    row: Option<&Row>,
    began: Tick,
) -> bool {
    let mut pause = Duration::from_millis(2);
    for _ in 0..TRIES {
        match apply_once(shared, resource, intent, row, began).await {
            Ok(done) => return done,
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

async fn apply_once(
    shared: &Shared,
    resource: &Resource,
    intent: &Intent,
    row: Option<&Row>,
    began: Tick,
) -> Result<bool> {
    let context = &shared.context;
    let (table, key) = intent.row();
    let mut locked = Locked::take(&context.store.database, &context.store.schema, resource, &key).await?;
    // With the lock held: another statement of the row has set its mark before.
    let undecided = context.freshness.undecided().has(&table, &key);
    if undecided || !is_fresh(&context.freshness, &context.catalog, resource, &key, began) {
        return Ok(false);
    }
    match row {
        Some(row) => {
            if version_order(resource, Some(row), locked.base().as_ref()) == Some(Ordering::Less) {
                return Ok(true);
            }
            locked.apply(News::Present(row.clone())).await?;
        }
        None if locked.visible.is_some() || !locked.unsettled.is_empty() => return Ok(false),
        None => {
            context.freshness.gone(&table, &key);
            locked.apply(News::Absent).await?;
            locked.remove_children(&context.catalog).await?;
        }
    }
    context.freshness.applied(&table, &key, began);
    locked.commit().await?;
    Ok(row.is_none() || !has_gone_since(&context.freshness, &context.catalog, resource, &key, began))
}
