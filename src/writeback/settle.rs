//! Settling: makes an outcome final in one transaction: row, mutations, secrets, NOTIFY. What the
//! outcome means for them is decided in [`super::settlement`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use super::atomic::{Fate, close};
use super::call::{Verdict, delay};
use super::command;
use super::lanes::{Node, Work};
use super::settle_many::together;
use super::settlement::{APPLIED, Note, Settled, Settlement, cancelled, error_of, notes, settlement};
use super::store::Store;
use crate::catalog::{Catalog, Resource, ResourceKind, RowKey, Target};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Locked, News, Pending, Row};
use crate::pg::{Statement, fault, ident, insist, to_read};

/// NOTIFY takes at most 8,000 bytes.
const MAX_NOTIFICATION: usize = 7900;
/// How often storing the answer to a command is tried before the dispatcher starts anew.
const ANSWER_TRIES: u32 = 20;

/// Settles `work`; waits for clients that hold the row. What is to be read because of it, `also` among that, is kept.
///
/// # Errors
/// `internal` where the mutations are not ours any more; database errors otherwise. Nothing is
/// changed then, and the mutations stay unsettled.
pub(super) async fn settle(
    store: &Store,
    catalog: &Arc<Catalog>,
    work: &Work,
    verdict: &Verdict,
    also: &[Target],
) -> Result<Settled> {
    if let Some(settled) = together(store, catalog, work, verdict, also).await {
        return Ok(settled);
    }
    patiently(|| settle_once(store, catalog, work, verdict, also)).await
}

/// Settles a command: its row stays and tells how it ended. A command cannot be found out about
/// later, so its answer is kept until the database takes it.
///
/// # Errors
/// As [`settle`], but for a database that may come back.
pub(super) async fn finish(
    store: &Store,
    catalog: &Catalog,
    work: &Work,
    verdict: &Verdict,
    also: &[Target],
) -> Result<Settled> {
    let mut tries = 0;
    loop {
        let ended = command::ended(verdict, now());
        let finish = || finish_once(store, catalog, work, (&ended, error_of(verdict)), "reverted", also);
        match patiently(finish).await {
            Err(error) if error.kind().policy().retry == Retry::Backoff && tries < ANSWER_TRIES => {
                tracing::warn!(%error, "the answer to a command cannot be stored yet");
                tokio::time::sleep(delay(tries)).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Cancels a mutation without a call: what it depends on, mutation `cause`, was refused.
///
/// # Errors
/// As [`settle`].
pub(super) async fn cancel(store: &Store, catalog: &Catalog, work: &Work, cause: i64) -> Result<Settled> {
    patiently(|| cancel_once(store, catalog, work, cause)).await
}

/// Again, with growing pauses, as long as a client holds a row that is needed.
pub(super) async fn patiently<F: Future<Output = Result<Settled>>>(once: impl Fn() -> F) -> Result<Settled> {
    let mut pause = Duration::from_millis(5);
    loop {
        match once().await {
            Err(error) if error.kind() == Kind::DatabaseBusy => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            other => return other,
        }
    }
}

async fn settle_once(
    store: &Store,
    catalog: &Catalog,
    work: &Work,
    verdict: &Verdict,
    also: &[Target],
) -> Result<Settled> {
    let (table, key) = &work.node;
    let resource = catalog.resource(table)?;
    let mut locked = Locked::take(&store.database, &store.schema, resource, key).await?;
    if !are_ours(work, &locked.unsettled) {
        return Err(Error::new(Kind::Internal, "mutations to settle are not unsettled any more"));
    }
    let Settlement { news, mut settled, error } =
        settlement(resource, work, verdict.clone(), locked.base().as_ref());
    if let Some(made) = &settled.rekeyed {
        locked.rekey(catalog, made).await?;
    }
    let rebased = locked.apply(news).await?;
    if rebased.base.is_none() {
        locked.remove_children(catalog).await?;
    }
    let notes = notes(work, error.as_ref(), &rebased.cancelled);
    settled.applied = notes.iter().any(|(_, state, _)| *state == APPLIED);
    settled.ids = notes.iter().filter(|(_, state, _)| *state != APPLIED).map(|(id, ..)| *id).collect();
    let key = settled.rekeyed.as_ref().unwrap_or(key);
    let told = told(store, resource, key, &locked.unsettled, notes);
    settled.fates = write_down(store, &mut locked.transaction, told).await?;
    settled.also.extend_from_slice(also);
    keep(store, catalog, &mut locked.transaction, [(&work.node, &mut settled)]).await?;
    locked.commit().await?;
    Ok(settled)
}

/// Keeps what is to be read because of what has settled, in the transaction that settles it.
pub(super) async fn keep<'a>(
    store: &Store,
    catalog: &Catalog,
    connection: &mut PgConnection,
    settled: impl IntoIterator<Item = (&'a Node, &'a mut Settled)>,
) -> Result<()> {
    let (mut targets, mut counts) = (Vec::new(), Vec::new());
    for (node, settled) in settled {
        let of_it = settled.targets(catalog, node);
        counts.push((of_it.len(), settled));
        targets.extend(of_it);
    }
    let mut kept = to_read::keep(connection, catalog, &store.schema, targets).await?.into_iter();
    for (count, settled) in counts {
        settled.to_read = kept.by_ref().take(count).collect();
    }
    Ok(())
}

/// Whether all that has been sent is unsettled still.
pub(super) fn are_ours(work: &Work, unsettled: &[Pending]) -> bool {
    let ours = unsettled.iter().filter(|pending| work.ids.contains(&pending.mutation.id)).count();
    ours == work.ids.len()
}

async fn finish_once(
    store: &Store,
    catalog: &Catalog,
    work: &Work,
    (ended, error): (&Row, Option<Value>),
    refused: &'static str,
    also: &[Target],
) -> Result<Settled> {
    let (table, key) = &work.node;
    let resource = catalog.resource(table)?;
    let mut locked = Locked::take(&store.database, &store.schema, resource, key).await?;
    let ours = locked.unsettled.iter().find(|pending| work.ids.contains(&pending.mutation.id));
    let Some(ours) = ours else {
        return Err(Error::new(Kind::Internal, "mutations to settle are not unsettled any more"));
    };
    // A row that its client has removed meanwhile stays removed.
    if locked.visible.is_some() {
        let mut row = ours.mutation.after.clone().unwrap_or_default();
        row.extend(ended.clone());
        locked.apply(News::Applied { ids: work.ids.clone(), answer: Some(row) }).await?;
    }
    let state = if error.is_some() { refused } else { "confirmed" };
    let notes = work.ids.iter().map(|id| (*id, state, error.clone())).collect();
    let told = told(store, resource, key, &locked.unsettled, notes);
    write_down(store, &mut locked.transaction, told).await?;
    let mut settled = Settled { ids: work.ids.clone(), also: also.to_vec(), ..Settled::default() };
    keep(store, catalog, &mut locked.transaction, [(&work.node, &mut settled)]).await?;
    locked.commit().await?;
    Ok(settled)
}

pub(super) fn now() -> String {
    Utc::now().to_rfc3339()
}

async fn cancel_once(store: &Store, catalog: &Catalog, work: &Work, cause: i64) -> Result<Settled> {
    let (table, key) = &work.node;
    let resource = catalog.resource(table)?;
    let why = json!({"kind": "cancelled", "message": format!("mutation {cause}, on which it depends, was refused")});
    if resource.kind == ResourceKind::Command {
        let mut ended = command::ended(&Verdict::Lost, now());
        ended.extend([("state".to_owned(), json!("failed")), ("error".to_owned(), why.clone())]);
        return finish_once(store, catalog, work, (&ended, Some(why)), "cancelled", &[]).await;
    }
    let mut locked = Locked::take(&store.database, &store.schema, resource, key).await?;
    let rebased = locked.apply(News::Dropped { ids: work.ids.clone() }).await?;
    let mut settled = cancelled(resource, work, &rebased.cancelled);
    let notes = settled.ids.iter().map(|id| (*id, "cancelled", Some(why.clone()))).collect();
    let told = told(store, resource, key, &locked.unsettled, notes);
    settled.fates = write_down(store, &mut locked.transaction, told).await?;
    keep(store, catalog, &mut locked.transaction, [(&work.node, &mut settled)]).await?;
    locked.commit().await?;
    Ok(settled)
}

/// The end of a mutation with the text that tells of it; of transactions that are all or nothing nothing is
/// told before they are decided.
pub(super) struct Told {
    note: Note,
    text: Option<String>,
    transaction: Option<u64>,
}

/// The notes with their texts; `unsettled` are the row's mutations, these among them. Pure.
pub(super) fn told(
    store: &Store,
    resource: &Resource,
    key: &RowKey,
    unsettled: &[Pending],
    notes: Vec<Note>,
) -> Vec<Told> {
    let key = key.to_json(resource);
    let told = notes.into_iter().map(|note| {
        let (id, state, error) = &note;
        let pending = unsettled.iter().find(|pending| pending.mutation.id == *id);
        let transaction = pending.and_then(Pending::transaction);
        let text = transaction.is_none().then(|| {
            notification(json!({
                "id": id,
                "txid": pending.map(|pending| pending.txid.as_str()),
                "schema": store.schema,
                "table": resource.table,
                "key": key,
                "operation": pending.map(|pending| pending.mutation.operation.as_str()),
                "state": state,
                "error": error,
            }))
        });
        Told { note, text, transaction }
    });
    told.collect()
}

/// States, NOTIFY, and the end of write-only values, in one statement; returns what has become of transactions
/// that are all or nothing.
pub(super) async fn write_down(
    store: &Store,
    transaction: &mut Transaction<'static, Postgres>,
    told: Vec<Told>,
) -> Result<Vec<(u64, Fate)>> {
    let count = told.len() as i64;
    let undecided: BTreeSet<u64> = told.iter().filter_map(|told| told.transaction).collect();
    let Ends { ids, states, errors, texts } = Ends::of(told);
    let settled: i64 = sqlx::query_scalar(AssertSqlSafe(settling(store, "settled")))
        .bind(ids)
        .bind(states)
        .bind(errors)
        .bind(texts)
        .bind(&store.schema)
        .fetch_one(&mut **transaction)
        .await
        .map_err(fault("cannot settle mutations"))?;
    if settled != count {
        return Err(Error::new(Kind::Internal, "a mutation settled twice"));
    }
    let mut fates = Vec::new();
    for txid in undecided {
        fates.push((txid, close(transaction, store, txid).await?));
    }
    Ok(fates)
}

/// The same as a statement for later, which fails where not all of them are unsettled; none of them is of a
/// transaction that is all or nothing.
pub(super) fn writing_down(store: &Store, told: Vec<Told>) -> Statement {
    let count = told.len().to_string();
    let Ends { ids, states, errors, texts } = Ends::of(told);
    Statement::new(settling(store, &insist("settled", "$6", "mutations settled")))
        .numbers(&ids)
        .array(states.into_iter().map(Some))
        .array(errors.into_iter().map(|error| error.map(|error| error.to_string())))
        .array(texts.into_iter().map(Some))
        .text(&store.schema)
        .text(&count)
}

fn settling(store: &Store, settled: &str) -> String {
    include_str!("sql/settle.sql").replace("{schema}", &ident(&store.schema)).replace("{settled}", settled)
}

/// What is to be written of mutations.
#[derive(Default)]
struct Ends {
    ids: Vec<i64>,
    states: Vec<&'static str>,
    errors: Vec<Option<Value>>,
    /// To NOTIFY.
    texts: Vec<String>,
}

impl Ends {
    fn of(told: Vec<Told>) -> Ends {
        let mut ends = Ends::default();
        for Told { note: (id, state, error), text, .. } in told {
            ends.ids.push(id);
            ends.states.push(state);
            ends.errors.push(error);
            ends.texts.extend(text);
        }
        ends
    }
}

/// The note as JSON text; what makes it too long is left out, longest first.
pub(super) fn notification(mut note: Value) -> String {
    for leave_out in ["", "error", "key"] {
        if !leave_out.is_empty() {
            note[leave_out] = json!({"truncated": true});
        }
        let text = note.to_string();
        if text.len() <= MAX_NOTIFICATION {
            return text;
        }
    }
    json!({"id": note.get("id"), "state": note.get("state"), "truncated": true}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_never_exceeds_what_postgres_takes() {
        let long = json!({"message": "x".repeat(20_000)});
        let note = json!({"id": 7, "error": long, "key": {"user_id": "auth0|1"}});
        let text = notification(note);
        assert!(text.len() <= MAX_NOTIFICATION && text.contains("auth0|1"), "{text}");
    }
}
