//! Settling: makes an outcome final in one transaction: row, mutations, secrets, NOTIFY.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;

use super::call::Verdict;
use super::lanes::Work;
use super::store::Store;
use crate::auth0::Refusal;
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Locked, News, Operation, Row, row_from_auth0, version_order};
use crate::pg::{fault, ident};

/// NOTIFY takes at most 8,000 bytes.
const MAX_NOTIFICATION: usize = 7900;

/// What settling did.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Mutations of the row that have settled, those that were cancelled included.
    pub ids: Vec<i64>,
    /// The key that Auth0 made, where it replaced a provisional one.
    pub rekeyed: Option<RowKey>,
    /// The row was inserted by a client and refused: what hangs on it cannot go either.
    pub orphans: bool,
    /// The table may show less than Auth0 has: the row should be read.
    pub read_again: bool,
}

/// Settles `work`; waits for clients that hold the row.
///
/// # Errors
/// `internal` where the mutations are not ours any more; database errors otherwise. Nothing is
/// changed then, and the mutations stay unsettled.
pub(super) async fn settle(
    store: &Store,
    catalog: &Catalog,
    work: &Work,
    verdict: &Verdict,
) -> Result<Settled> {
    let mut pause = Duration::from_millis(5);
    loop {
        match settle_once(store, catalog, work, verdict).await {
            Err(error) if error.kind() == Kind::DatabaseBusy => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            other => return other,
        }
    }
}

async fn settle_once(store: &Store, catalog: &Catalog, work: &Work, verdict: &Verdict) -> Result<Settled> {
    let (table, key) = &work.node;
    let resource = catalog.resource(table)?;
    let mut locked = Locked::take(&store.database, &store.schema, resource, key).await?;
    let ours = locked.unsettled.iter().filter(|p| work.ids.contains(&p.mutation.id)).count();
    if ours != work.ids.len() {
        return Err(Error::new(Kind::Internal, "mutations to settle are not unsettled any more"));
    }
    let mut settled = Settled { ids: work.ids.clone(), ..Settled::default() };
    let mut error = None;
    let news = match verdict {
        Verdict::Applied(answer) => {
            let row = answer.as_ref().filter(|_| work.operation != Operation::Delete);
            let row = row.map(|answer| row_from_auth0(resource, answer, |_| None));
            let made = row.as_ref().and_then(|row| RowKey::of(resource, row)).filter(|made| made != key);
            if let Some(made) = made.filter(|_| work.operation == Operation::Insert) {
                locked.rekey(catalog, &made).await?;
                settled.rekeyed = Some(made);
            }
            applied(resource, &locked, &work.ids, row)
        }
        Verdict::Gone => News::Applied { ids: work.ids.clone(), answer: None },
        Verdict::Refused(refusal) => {
            error = Some(refusal_json(refusal));
            settled.orphans = work.operation == Operation::Insert;
            // A conflict says that Auth0 has something that the table does not show.
            settled.read_again = matches!(refusal.status, 404 | 409);
            match (refusal.status, work.operation) {
                (404, Operation::Update) => News::Absent,
                _ => News::Dropped { ids: work.ids.clone() },
            }
        }
    };
    let rebased = locked.apply(news).await?;
    if rebased.base.is_none() {
        locked.remove_children(catalog).await?;
    }
    let mut notes = Vec::new();
    for id in &work.ids {
        let state = match (&error, Some(id) == work.ids.last()) {
            (Some(_), _) => "reverted",
            (None, true) => "confirmed",
            (None, false) => "merged",
        };
        notes.push((*id, state, error.clone()));
    }
    let lost = json!({"kind": "cancelled", "message": "the row that it changes is not there", "after": work.ids.last()});
    for id in rebased.cancelled.iter().filter(|id| !work.ids.contains(id)) {
        notes.push((*id, "cancelled", Some(lost.clone())));
        settled.ids.push(*id);
    }
    let key = settled.rekeyed.as_ref().unwrap_or(key);
    write_down(store, &mut locked, resource, key, &notes).await?;
    locked.commit().await?;
    Ok(settled)
}

/// Cancels a mutation without a call: what it depends on was refused.
///
/// # Errors
/// As [`settle`].
pub(super) async fn cancel(store: &Store, catalog: &Catalog, work: &Work, cause: i64) -> Result<Settled> {
    let (table, key) = &work.node;
    let resource = catalog.resource(table)?;
    let mut pause = Duration::from_millis(5);
    let mut locked = loop {
        match Locked::take(&store.database, &store.schema, resource, key).await {
            Err(error) if error.kind() == Kind::DatabaseBusy => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            other => break other?,
        }
    };
    let rebased = locked.apply(News::Dropped { ids: work.ids.clone() }).await?;
    let why = json!({"kind": "cancelled", "message": format!("mutation {cause}, on which it depends, was refused")});
    let mut settled = Settled { ids: work.ids.clone(), ..Settled::default() };
    settled.ids.extend(rebased.cancelled.iter().filter(|id| !work.ids.contains(id)));
    settled.orphans = work.operation == Operation::Insert;
    let notes: Vec<_> = settled.ids.iter().map(|id| (*id, "cancelled", Some(why.clone()))).collect();
    write_down(store, &mut locked, resource, key, &notes).await?;
    locked.commit().await?;
    Ok(settled)
}

/// By Auth0's own time: an answer older than the base settles the mutation with the base's values.
fn applied(resource: &Resource, locked: &Locked<'_>, ids: &[i64], row: Option<Row>) -> News {
    match version_order(resource, row.as_ref(), locked.base().as_ref()) {
        Some(Ordering::Less) => News::Dropped { ids: ids.to_vec() },
        _ => News::Applied { ids: ids.to_vec(), answer: row },
    }
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "kind": refusal.kind().as_str(),
        "status": refusal.status,
        "error": refusal.error,
        "message": refusal.message,
        "errorCode": refusal.error_code,
    })
}

async fn write_down(
    store: &Store,
    locked: &mut Locked<'_>,
    resource: &Resource,
    key: &RowKey,
    notes: &[(i64, &str, Option<Value>)],
) -> Result<()> {
    let update = format!(
        "update {}.\"_sync_cdc\" set state = $2, error = $3, settled_at = clock_timestamp() \
         where id = $1 and settled_at is null returning txid::text, operation",
        ident(&store.schema)
    );
    for (id, state, error) in notes {
        let (txid, operation): (String, String) = sqlx::query_as(AssertSqlSafe(update.clone()))
            .bind(id)
            .bind(state)
            .bind(error)
            .fetch_optional(&mut *locked.transaction)
            .await
            .map_err(fault("cannot settle a mutation"))?
            .ok_or_else(|| Error::new(Kind::Internal, "a mutation settled twice"))?;
        let mut note = Map::new();
        note.insert("id".into(), json!(id));
        note.insert("txid".into(), json!(txid));
        note.insert("schema".into(), json!(store.schema));
        note.insert("table".into(), json!(resource.table));
        note.insert("key".into(), Value::Object(key.to_json(resource)));
        note.insert("operation".into(), json!(operation));
        note.insert("state".into(), json!(state));
        note.insert("error".into(), error.clone().unwrap_or(Value::Null));
        sqlx::query("select pg_catalog.pg_notify('auth0_sync', $1)")
            .bind(notification(note))
            .execute(&mut *locked.transaction)
            .await
            .map_err(fault("cannot notify"))?;
    }
    let ids: Vec<i64> = notes.iter().map(|(id, ..)| *id).collect();
    sqlx::query("delete from _auth0_sync.write_only where schema = $1 and mutation_id = any ($2)")
        .bind(&store.schema)
        .bind(&ids)
        .execute(&mut *locked.transaction)
        .await
        .map_err(fault("cannot remove write-only values"))?;
    Ok(())
}

/// The note as JSON text; what makes it too long is left out, longest first.
fn notification(mut note: Map<String, Value>) -> String {
    for leave_out in ["", "error", "key"] {
        if !leave_out.is_empty() {
            note.insert(leave_out.into(), json!({"truncated": true}));
        }
        let text = Value::Object(note.clone()).to_string();
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
        let mut note = Map::new();
        note.insert("id".into(), json!(7));
        note.insert("error".into(), json!({"message": "x".repeat(20_000)}));
        note.insert("key".into(), json!({"user_id": "auth0|1"}));
        let text = notification(note);
        assert!(text.len() <= MAX_NOTIFICATION && text.contains("auth0|1"), "{text}");
    }
}
