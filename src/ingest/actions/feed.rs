//! The event stream, and the Action that it hands its events to where it does not post by itself. Auth0
//! binds such an Action by the stream's destination, and deletes it along with the stream.

use serde_json::{Value, json};

use super::calls::{Calls, call, text};
use super::code::{self, key_of, object};
use super::own::{self, Own};
use super::wanted::{Destination, EVENT_STREAM, Wanted, action, digest_of_feed, name};
use crate::error::{Kind, Result};
use crate::pg::mirror::Row;

/// What it is called among what the service has made.
const PART: &str = "event-stream";

const KEY: &str = "id";
const ENABLED: &str = "enabled";

/// Whether the service has made something of it.
pub(super) fn is_known(known: &[Own]) -> bool {
    [PART, EVENT_STREAM.part].into_iter().any(|part| own::of(known, part).is_some())
}

/// Makes event stream and Action what they should be: the Action runs before events come to it, and
/// stays until none do.
pub(super) async fn ensure(
    calls: &Calls<'_>,
    known: &[Own],
    wanted: &Wanted,
    destination: Destination,
) -> Result<()> {
    let events = events(calls);
    if events.is_empty() {
        // No event tells of what is mirrored.
        return remove(calls, known).await;
    }
    let made = own::of(known, EVENT_STREAM.part);
    match destination {
        Destination::Action => {
            let key = code::ensure(calls, EVENT_STREAM, made, wanted).await?;
            ensure_stream(calls, own::of(known, PART), &events, action(&key)).await
        }
        Destination::Webhook => {
            ensure_stream(calls, own::of(known, PART), &events, wanted.webhook()).await?;
            match made {
                Some(_) => code::remove(calls, EVENT_STREAM, made).await,
                None => Ok(()),
            }
        }
    }
}

async fn ensure_stream(
    calls: &Calls<'_>,
    own: Option<&Own>,
    events: &[String],
    destination: Value,
) -> Result<()> {
    let name = name(&calls.site.instance, PART);
    let digest = digest_of_feed(&destination, events);
    let subscriptions: Vec<Value> = events.iter().map(|event| json!({"event_type": event})).collect();
    let body = json!({
        "name": name,
        "subscriptions": subscriptions,
        "destination": destination,
        "status": ENABLED,
    });
    let found = match find(calls, own, &name).await? {
        None => {
            if own.is_some() {
                tracing::warn!("the service's event stream is gone from Auth0; it is made again");
            }
            None
        }
        // Auth0 does not say that a stream of one kind can become one of another.
        Some(row) if row.get("destination").map(|old| &old["type"]) != Some(&body["destination"]["type"]) => {
            tracing::info!("the service's event stream is made again: it has another kind of destination");
            calls.delete(calls.feed, text(&row, KEY)).await?;
            None
        }
        found => found,
    };
    let row = match found {
        None => {
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

/// Deletes event stream and Action, wherever they are.
pub(super) async fn remove(calls: &Calls<'_>, known: &[Own]) -> Result<()> {
    // Looked for first, because it may go with the stream; an Action that a stream needs is not deleted.
    let action = code::look(calls, EVENT_STREAM, own::of(known, EVENT_STREAM.part)).await?;
    remove_stream(calls, own::of(known, PART)).await?;
    code::discard(calls, EVENT_STREAM, action).await
}

async fn remove_stream(calls: &Calls<'_>, own: Option<&Own>) -> Result<()> {
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
    let shown = ["type", "configuration/webhook_endpoint", "configuration/action_id"];
    let row = Value::Object(row.clone());
    let at = |value: &Value, place: &str| value.pointer(&format!("/destination/{place}")).cloned();
    let events = |value: &Value| {
        let subscriptions = value.get("subscriptions").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut events: Vec<String> =
            subscriptions.iter().filter_map(|one| Some(one["event_type"].as_str()?.to_owned())).collect();
        events.sort();
        events
    };
    row.get("status") == body.get("status")
        && shown.into_iter().all(|place| at(&row, place) == at(body, place))
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
        let by = |key: &str| json!({"subscriptions": [], "destination": action(key), "status": ENABLED});
        let shown = |stream: Value| same(stream.as_object().unwrap(), &by("1"));
        assert!(shown(by("1")) && !shown(by("2")) && !shown(wanted.clone()), "another Action, or none");
    }
}
