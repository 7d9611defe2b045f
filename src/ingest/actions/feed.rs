//! The event stream that posts to the webhook.

use serde_json::{Value, json};

use super::calls::{Calls, call, text};
use super::code::{key_of, object};
use super::own::{self, Own};
use super::wanted::{Wanted, name};
use crate::error::{Kind, Result};
use crate::pg::mirror::Row;

/// What it is called among what the service has made.
pub(super) const PART: &str = "event-stream";

const KEY: &str = "id";
const ENABLED: &str = "enabled";

/// Makes the event stream what it should be.
pub(super) async fn ensure(calls: &Calls<'_>, own: Option<&Own>, wanted: &Wanted) -> Result<()> {
    let (name, events) = (name(&calls.site.instance, PART), events(calls));
    if events.is_empty() {
        // No event tells of what is mirrored.
        return remove(calls, own).await;
    }
    let digest = wanted.digest_of_feed(&events);
    let found = find(calls, own, &name).await?;
    let subscriptions: Vec<Value> = events.iter().map(|event| json!({"event_type": event})).collect();
    let body = json!({
        "name": name,
        "subscriptions": subscriptions,
        "destination": wanted.destination(),
        "status": ENABLED,
    });
    let row = match found {
        None => {
            if own.is_some() {
                tracing::warn!("the service's event stream is gone from Auth0; it is made again");
            }
            let create = calls.feed.create.as_ref().map(|create| &create.call);
            let create = call(create, calls.feed, "makes a row")?;
            object(calls.make(create, &Row::new(), Some(body)).await?)?
        }
        Some(row)
            if own.is_some_and(|own| own.digest == digest && own.key == text(&row, KEY))
                && same(&row, &body) =>
        {
            return Ok(());
        }
        Some(row) => {
            tracing::warn!(status = text(&row, "status"), "the service's event stream is set right at Auth0");
            let update = call(calls.feed.update.as_ref(), calls.feed, "changes a row")?;
            object(calls.make(update, &key_of(calls.feed, text(&row, KEY)), Some(body)).await?)?
        }
    };
    let key = text(&row, KEY).to_owned();
    calls.changed(calls.feed, &key);
    let own = Own { part: PART.to_owned(), key, digest };
    own::store(&calls.site.database, &calls.site.schema, &own).await
}

/// Deletes the event stream, wherever it is.
pub(super) async fn remove(calls: &Calls<'_>, own: Option<&Own>) -> Result<()> {
    let name = name(&calls.site.instance, PART);
    // One that was never made may be out of reach of the token's scopes.
    let found = match find(calls, own, &name).await {
        Err(error) if own.is_none() && matches!(error.kind(), Kind::Auth0Forbidden | Kind::Auth0Scope) => {
            None
        }
        found => found?,
    };
    if let Some(row) = found {
        calls.delete(calls.feed, text(&row, KEY)).await?;
        tracing::info!("the service's event stream is removed from Auth0");
        calls.note_removed(|removed| removed.event_streams.push(name));
    }
    own::forget(&calls.site.database, &calls.site.schema, PART).await
}

async fn find(calls: &Calls<'_>, own: Option<&Own>, name: &str) -> Result<Option<Row>> {
    if let Some(own) = own
        && let Some(row) = calls.get(calls.feed, &own.key).await?
    {
        return Ok(Some(row));
    }
    calls.named(calls.feed, name).await
}

/// Whether Auth0 shows what should be there; what authorizes is never shown.
fn same(row: &Row, body: &Value) -> bool {
    let address = "/destination/configuration/webhook_endpoint";
    let row = Value::Object(row.clone());
    let events = |value: &Value| {
        let subscriptions = value.get("subscriptions").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut events: Vec<String> =
            subscriptions.iter().filter_map(|one| Some(one["event_type"].as_str()?.to_owned())).collect();
        events.sort();
        events
    };
    row.get("status") == body.get("status")
        && row.pointer(address) == body.pointer(address)
        && events(&row) == events(body)
}

/// The events that tell of what is mirrored.
fn events(calls: &Calls<'_>) -> Vec<String> {
    let mut events: Vec<String> = calls.site.catalog.event_types().map(str::to_owned).collect();
    events.sort();
    events.dedup();
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_left_alone_while_it_feeds_the_same_events_to_the_same_place() {
        let destination = |url: &str| json!({"type": "webhook", "configuration": {"webhook_endpoint": url}});
        let stream = |events: [&str; 2], url: &str, status: &str| {
            let subscriptions: Vec<Value> = events.iter().map(|event| json!({"event_type": event})).collect();
            json!({"subscriptions": subscriptions, "destination": destination(url), "status": status})
        };
        let wanted = stream(["a", "b"], "https://x/events", ENABLED);
        let shown = |stream: Value| same(stream.as_object().unwrap(), &wanted);
        assert!(shown(stream(["b", "a"], "https://x/events", ENABLED)), "their order says nothing");
        assert!(!shown(stream(["a", "c"], "https://x/events", ENABLED)));
        assert!(!shown(stream(["a", "b"], "https://y/events", ENABLED)));
        assert!(
            !shown(stream(["a", "b"], "https://x/events", "disabled")),
            "Auth0 gives up after many failures"
        );
    }
}
