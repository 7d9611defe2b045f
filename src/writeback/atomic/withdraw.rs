//! Takes a failed transaction back: what has not left comes back without a call, what Auth0 has by the opposite
//! call, the last mutation first. Every opposite may be made twice, so a crash in between needs no trace.

use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::close::on;
use super::opposite::{Applied, Opposite, image};
use crate::auth0::Refusal;
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::fault;
use crate::pg::mirror::{Locked, News, Operation, Pending, Unsettled};
use crate::pg::to_read::ToRead;
use crate::retry::Delays;
use crate::writeback::call::{Deed, Step, Verdict, after_read_back, not_read_back};
use crate::writeback::lanes::{Node, Terms, Work};
use crate::writeback::readback;
use crate::writeback::request::Content;
use crate::writeback::settle::{keep as keep_to_read, patiently, told, write_down};
use crate::writeback::settlement::{Note, Settled, error_of, leaves_open};
use crate::writeback::worker::{Context, call, touched};

/// What is left of a failed transaction, the last first.
struct Left {
    txid: u64,
    node: Node,
    state: String,
    applied: Applied,
}

impl Left {
    /// The mutation as the rebase rule is to see it.
    fn pending(&self, mutation: Unsettled) -> Pending {
        Pending { mutation, txid: self.txid.to_string(), atomic: true }
    }
}

/// Takes all of a failed transaction back, however long that takes; returns those of its mutations that
/// have settled: all of them.
pub(in crate::writeback) async fn withdraw(
    context: &Context,
    txid: u64,
    to_read: &mpsc::UnboundedSender<ToRead>,
) -> Vec<i64> {
    let mut delays = Delays::default();
    loop {
        match withdraw_once(context, txid, to_read).await {
            Ok(Some(ids)) => return ids,
            // Something of it was sent before a crash, and has to be read back first.
            Ok(None) => {}
            Err(error) => tracing::error!(%error, txid, "a transaction cannot be taken back yet"),
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn withdraw_once(
    context: &Context,
    txid: u64,
    to_read: &mpsc::UnboundedSender<ToRead>,
) -> Result<Option<Vec<i64>>> {
    let left = left(context, txid).await?;
    if left.iter().any(|left| matches!(left.state.as_str(), "sending" | "verifying")) {
        return Ok(None);
    }
    let cause = cause(context, txid).await?;
    for left in left {
        let resource = context.catalog.resource(&left.node.0)?;
        // What is read until it is dropped may be from before the call.
        let flight = context.freshness.send(&left.node.0, &left.node.1);
        let settled = take_back(context, resource, &left, cause).await?;
        drop(flight);
        for kept in settled.to_read {
            // The receiver is gone only at shutdown.
            let _ = to_read.send(kept);
        }
    }
    settled(context, txid).await.map(Some)
}

async fn take_back(context: &Context, resource: &Resource, left: &Left, cause: i64) -> Result<Settled> {
    let (store, catalog) = (&context.store, &context.catalog);
    let why = json!({
        "kind": "rolled_back",
        "message": format!("mutation {cause}, of the same transaction, was refused"),
        "after": cause,
    });
    let id = left.applied.id;
    let goes = || context.freshness.gone(&left.node.0, &left.node.1);
    if left.applied.operation == Operation::Insert {
        goes();
    }
    if left.state != "applied" {
        return patiently(|| async {
            let mut locked = Locked::take(&store.database, &store.schema, resource, &left.node.1).await?;
            let rebased = locked.apply(News::Dropped { ids: vec![id] }).await?;
            let notes = notes(id, "cancelled", &why, &rebased.cancelled);
            let told = told(store, resource, &left.node.1, &locked.unsettled, notes);
            write_down(store, &mut locked.transaction, told, None).await?;
            locked.commit().await?;
            Ok(Settled::default())
        })
        .await;
    }
    let (verdict, content) = match left.applied.opposite(resource) {
        Opposite::Silent => (Verdict::Applied(None), None),
        Opposite::Nameless => {
            let message = "nobody knows the key that Auth0 has given the row".to_owned();
            (Verdict::Unfit { kind: Kind::Auth0Answer, message }, None)
        }
        Opposite::Call(content) => (make(context, resource, left, &content).await, Some(content)),
    };
    let answer = match verdict {
        Verdict::Applied(answer) => Ok(answer),
        Verdict::Gone => Ok(None),
        // There is nothing to write it back into.
        Verdict::Refused(Refusal { status: 404, .. }) if left.applied.operation == Operation::Update => {
            Err(None)
        }
        verdict => Err(error_of(&verdict)),
    };
    let (first, news) = match &answer {
        Ok(answer) => left.applied.news(answer.clone()),
        Err(None) => {
            goes();
            left.applied.gone()
        }
        Err(Some(error)) => return keep(context, resource, left, error).await,
    };
    let (mut read_again, mut also) = (false, Vec::new());
    if let (Some(content), Ok(answer)) = (content, answer) {
        read_again = leaves_open(resource, content.operation, answer.as_ref());
        also = touched(catalog, resource, &content);
    }
    patiently(|| async {
        let mut locked = Locked::take(&store.database, &store.schema, resource, &left.node.1).await?;
        let rebased = if let Some(first) = &first {
            locked.unsettled.insert(0, left.pending(first.clone()));
            locked.apply(news.clone()).await?
        } else {
            let rebased = locked.apply(news.clone()).await?;
            locked.unsettled.insert(0, left.pending(left.applied.as_written()));
            rebased
        };
        if rebased.base.is_none() {
            locked.remove_children(catalog).await?;
        }
        let notes = notes(id, "reverted", &why, &rebased.cancelled);
        let told = told(store, resource, &left.node.1, &locked.unsettled, notes);
        write_down(store, &mut locked.transaction, told, None).await?;
        let gone = left.applied.operation == Operation::Insert;
        let mut settled = Settled { gone, read_again, also: also.clone(), ..Settled::default() };
        keep_to_read(store, catalog, &mut locked.transaction, [(&left.node, &mut settled)]).await?;
        locked.commit().await?;
        Ok(settled)
    })
    .await
}

/// Makes the opposite call, and again until Auth0 has decided.
async fn make(context: &Context, resource: &Resource, left: &Left, content: &Content) -> Verdict {
    let work = Work {
        ids: vec![left.applied.id],
        node: left.node.clone(),
        operation: content.operation,
        uncertain: false,
        terms: Terms::default(),
    };
    let request_id = context.correlation();
    context.freshness.undecided().free(&left.node).await;
    let mut tries = 0;
    let mut step = if content.operation == Operation::Insert {
        // One that was made before a crash is there, and a second would be refused.
        Step::ReadBack { at: Instant::now(), kind: Kind::Auth0NoAnswer }
    } else {
        call(context, &work, resource, content, &request_id, tries).await
    };
    loop {
        let at = match step.deed(false, Instant::now()) {
            Deed::Settle(verdict) => {
                let verdict = readback::named(context, resource, content, verdict).await;
                return readback::as_read(context, resource, content, verdict).await;
            }
            Deed::PutBack { at, .. } => {
                tokio::time::sleep_until(at).await;
                step = call(context, &work, resource, content, &request_id, tries).await;
                tries += 1;
                continue;
            }
            Deed::ReadBack { at, .. } => at,
        };
        tokio::time::sleep_until(at).await;
        tries += 1;
        step = match readback::read_back(context, resource, content).await {
            Ok(found) => after_read_back(found, content.operation, &content.after, Instant::now()),
            Err(error) => not_read_back(error.kind(), tries, Instant::now()),
        };
    }
}

/// Auth0 refuses to take it back: it stays, and everybody is told that it does.
async fn keep(context: &Context, resource: &Resource, left: &Left, error: &Value) -> Result<Settled> {
    let store = &context.store;
    tracing::error!(table = %resource.table, txid = left.txid, "Auth0 refuses to take back a change of a transaction that has failed; it stays");
    patiently(|| async {
        let mut locked = Locked::take(&store.database, &store.schema, resource, &left.node.1).await?;
        locked.unsettled.insert(0, left.pending(left.applied.as_written()));
        sqlx::query(on(store, include_str!("sql/keep.sql")))
            .bind(left.applied.id)
            .bind(error)
            .execute(&mut *locked.transaction)
            .await
            .map_err(fault("cannot note that a change stays"))?;
        let notes = vec![(left.applied.id, "confirmed", None)];
        let told = told(store, resource, &left.node.1, &locked.unsettled, notes);
        write_down(store, &mut locked.transaction, told, None).await?;
        let mut settled = Settled { read_again: true, ..Settled::default() };
        keep_to_read(store, &context.catalog, &mut locked.transaction, [(&left.node, &mut settled)]).await?;
        locked.commit().await?;
        Ok(settled)
    })
    .await
}

/// What of a transaction has not settled, the last first.
async fn left(context: &Context, txid: u64) -> Result<Vec<Left>> {
    let rows = sqlx::query(on(&context.store, include_str!("sql/to_take_back.sql")))
        .bind(txid.to_string())
        .fetch_all(&context.store.database.pool)
        .await
        .map_err(fault("cannot read what of a transaction is to come back"))?;
    let left = rows.iter().map(|row| {
        let table: String = row.get(1);
        let resource = context.catalog.resource(&table)?;
        let strange = || Error::new(Kind::Internal, format!("a mutation of {table} cannot be read"));
        let operation = Operation::parse(row.get(2)).ok_or_else(strange)?;
        let key = RowKey::of(resource, &image(row.get(3))).ok_or_else(strange)?;
        let base: Option<Value> = row.get(7);
        let (before, after) = (image(row.get(4)), image(row.get(5)));
        let base = base.as_ref().and_then(Value::as_object);
        let applied = Applied::new(row.get(0), operation, key.clone(), before, after, base);
        Ok(Left { txid, node: (table, key), state: row.get(6), applied })
    });
    left.collect()
}

/// The mutation because of which the others come back.
async fn cause(context: &Context, txid: u64) -> Result<i64> {
    sqlx::query_scalar(on(&context.store, include_str!("sql/outcome.sql")))
        .bind(txid.to_string())
        .fetch_one(&context.store.database.pool)
        .await
        .map_err(fault("cannot read why a transaction has failed"))
}

/// Its mutations that have settled.
async fn settled(context: &Context, txid: u64) -> Result<Vec<i64>> {
    let rows: Vec<(i64, String, Value)> = sqlx::query_as(on(&context.store, include_str!("sql/stand.sql")))
        .bind(txid.to_string())
        .fetch_all(&context.store.database.pool)
        .await
        .map_err(fault("cannot read what has become of a transaction"))?;
    let open = ["held", "pending", "sending", "verifying", "applied"];
    Ok(rows.into_iter().filter(|(_, state, _)| !open.contains(&state.as_str())).map(|(id, ..)| id).collect())
}

/// The mutation, and others of its row that have lost what they stood on.
fn notes(id: i64, state: &'static str, why: &Value, cancelled: &[i64]) -> Vec<Note> {
    let lost = json!({"kind": "cancelled", "message": "the row that it changes is not there", "after": id});
    let others = cancelled.iter().filter(|other| **other != id);
    let others = others.map(|other| (*other, "cancelled", Some(lost.clone())));
    std::iter::once((id, state, Some(why.clone()))).chain(others).collect()
}
