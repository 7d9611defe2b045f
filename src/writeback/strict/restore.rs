//! Takes back at Auth0 what a transaction has not committed. It is done again and again until Auth0 has
//! decided: the intent stays in the database as long.

use serde_json::Value;
use tokio::time::Instant;

use super::Shared;
use super::intent::{Intent, Stands, back};
use super::make::{Made, make};
use crate::catalog::{NewKey, Recognise, Resource, RowKey, Target};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Locked, News, Operation, Row, committed_base};
use crate::retry::Delays;
use crate::writeback::call::{Found, Verdict, holds};
use crate::writeback::lanes::Node;
use crate::writeback::readback;
use crate::writeback::request::Content;

/// A row that Auth0 has as it was.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) row: Node,
    /// As Auth0 has answered, where it did.
    pub(super) shown: Option<Row>,
}

/// Takes back one of several changes of a statement, another of which was refused: the row gets what
/// it had before the statement. None where Auth0 may have the change still: it waits for the
/// transaction's end.
pub(super) async fn undo(shared: &Shared, intent: &Intent, until: Instant) -> Option<Back> {
    let resource = shared.context.catalog.resource(&intent.node.0).ok()?;
    let Stands::Applied { made, .. } = &intent.stands else { return None };
    let Content { operation, before, .. } = &intent.content;
    // The row would get another key, which nobody can write down while its client holds it.
    if *operation == Operation::Delete && resource.new_key == NewKey::Server {
        return None;
    }
    let target = Some(before).filter(|_| *operation != Operation::Insert);
    let back = back(resource, &intent.content, made, target)?;
    let (row, id) = (intent.row(), shared.context.correlation());
    let taken = make(shared, resource, &row, &back, &id, Some(until));
    match tokio::time::timeout_at(until, taken).await {
        Ok(Made::Decided(Verdict::Applied(shown))) => Some(Back { row, shown }),
        Ok(Made::Decided(Verdict::Gone)) => Some(Back { row, shown: None }),
        _ => None,
    }
}

/// Takes back a change that was not committed: Auth0 gets what Postgres has. Ends when that is done, or
/// when Auth0 refuses it; then the row is read, so that the table follows. Tells what Auth0 has
/// answered to an update.
pub(super) async fn restore(shared: &Shared, intent: &Intent) -> Option<Back> {
    let resource = shared.context.catalog.resource(&intent.node.0).ok()?;
    let (mut delays, mut again) = (Delays::default(), intent.left);
    let back = loop {
        shared.resumed().await;
        match restore_once(shared, resource, intent, again).await {
            Ok(back) => break back,
            Err(error) => {
                again = true;
                tracing::warn!(%error, table = %resource.table, "what was rolled back cannot be taken back at Auth0 yet");
            }
        }
        tokio::time::sleep(delays.next_delay()).await;
    };
    shared.ask_for_row(intent.row()).await;
    back
}

/// `again`: an earlier try may have come as far as Auth0.
async fn restore_once(
    shared: &Shared,
    resource: &Resource,
    intent: &Intent,
    again: bool,
) -> Result<Option<Back>> {
    let context = &shared.context;
    let Some(row) = there(shared, resource, intent).await? else { return Ok(None) };
    let store = &context.store;
    // Not locked: a client that waits for this to be done may hold it.
    let base = committed_base(&store.database, &store.schema, resource, &row.1).await?;
    let Some(back) = back(resource, &intent.content, &row.1, base.as_ref()) else {
        if base.is_some() == (intent.content.operation == Operation::Insert) {
            return Ok(None);
        }
        tracing::error!(table = %resource.table, "what was rolled back cannot be taken back at Auth0");
        return Ok(None);
    };
    if intent.sealed && back.operation == Operation::Update {
        tracing::warn!(table = %resource.table, "write-only values that were rolled back cannot be taken back at Auth0");
    }
    if again
        && back.operation == Operation::Insert
        && let Found::Row(made) = readback::read_back(context, resource, &back).await?
    {
        return made_again(shared, resource, &row.1, Some(made)).await.map(|()| None);
    }
    match make(shared, resource, &row, &back, &shared.context.correlation(), None).await {
        Made::Decided(Verdict::Applied(answer)) if back.operation == Operation::Insert => {
            made_again(shared, resource, &row.1, answer).await.map(|()| None)
        }
        Made::Decided(Verdict::Applied(shown)) => Ok(Some(Back { row, shown })),
        Made::Decided(Verdict::Gone) => Ok(None),
        _ => {
            tracing::error!(table = %resource.table, "Auth0 refuses to take back what was rolled back; the table follows Auth0");
            Ok(None)
        }
    }
}

/// The row that the intent has at Auth0; none where Auth0 does not have what it was to do.
async fn there(shared: &Shared, resource: &Resource, intent: &Intent) -> Result<Option<Node>> {
    let (context, content) = (&shared.context, &intent.content);
    if intent.stands != Stands::Unknown {
        return Ok((intent.stands != Stands::Nothing).then(|| intent.row()));
    }
    match content.operation {
        // The same again does no harm.
        Operation::Update => Ok(Some(intent.node.clone())),
        Operation::Delete => match readback::current(context, resource, &content.key).await? {
            readback::There::Row(..) => Ok(None),
            readback::There::Nothing | readback::There::Unknown => Ok(Some(intent.node.clone())),
        },
        Operation::Insert => match readback::read_back(context, resource, content).await? {
            Found::Nothing => Ok(None),
            Found::Row(row) if is_ours(resource, content, &row) => {
                let key = RowKey::of(resource, &row).unwrap_or_else(|| intent.node.1.clone());
                Ok(Some((intent.node.0.clone(), key)))
            }
            // It was there before, and its key kept ours from being made.
            Found::Row(_) => Ok(None),
            // Deleting what is not there does no harm; whose key Auth0 makes cannot be named.
            Found::Repeatable => {
                let named = resource.new_key != NewKey::Server || resource.replace.is_some();
                Ok(named.then(|| intent.node.clone()))
            }
        },
    }
}

/// Whether a row under the same key is what we have sent, and not somebody else's.
fn is_ours(resource: &Resource, content: &Content, row: &Row) -> bool {
    let recognised =
        resource.create.as_ref().is_some_and(|create| !matches!(create.recognise, Recognise::Key));
    let same = |(name, value): (&String, &Value)| value.is_null() || holds(row.get(name), value);
    recognised || content.after.iter().all(same)
}

/// A row that was deleted at Auth0 and stays in Postgres has been made again: it may have another key.
async fn made_again(shared: &Shared, resource: &Resource, key: &RowKey, answer: Option<Row>) -> Result<()> {
    let (context, mut delays) = (&shared.context, Delays::default());
    let Some(answer) = answer else { return Ok(()) };
    let made = RowKey::of(resource, &answer).unwrap_or_else(|| key.clone());
    loop {
        let done = async {
            let mut locked =
                Locked::take(&context.store.database, &context.store.schema, resource, key).await?;
            if made != *key {
                locked.rekey(&context.catalog, &made).await?;
            }
            locked.apply(News::Present(answer.clone())).await?;
            locked.commit().await
        };
        match done.await {
            Err(error) if error.kind() == Kind::DatabaseBusy => tokio::time::sleep(delays.next_delay()).await,
            done => {
                // What hung on it has gone with it.
                shared.ask(Target::taken_along(resource)).await;
                return done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_row_under_our_key_with_other_values_is_somebody_elses() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let row = |value: Value| value.as_object().cloned().unwrap();
        let content = Content {
            operation: Operation::Insert,
            key: row(json!({"user_id": "auth0|a"})),
            before: Map::new(),
            after: row(json!({"user_id": "auth0|a", "email": "a@b.c", "name": null})),
            write_only: Map::new(),
        };
        assert!(is_ours(
            resource,
            &content,
            &row(json!({"user_id": "auth0|a", "email": "a@b.c", "name": "a"}))
        ));
        assert!(!is_ours(resource, &content, &row(json!({"user_id": "auth0|a", "email": "other@b.c"}))));
    }
}
