//! Pushes events to the webhooks and Actions of streams, in the background: each that a stream asks for at least
//! once, in no promised order. What waits stands in the store until it is delivered or has failed, so
//! a restart of the emulator loses none. It never holds the tenant's lock while a request is under way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::act::act;
use super::attempt::{Attempt, Sender};
use crate::emulator::keys::{self, key_of};
use crate::emulator::quirks::event_streams::{ACTION, FAILED, STREAM, TABLE, WAITING, WEBHOOK, wait};
use crate::emulator::rules::Fields;
use crate::emulator::server::Shared;
use crate::emulator::store::{Row, Store};
use crate::emulator::{ids, template};

/// What the tenant's own values call the number of the last event that was handed to streams.
const HANDED: &str = "pushed";
/// Events that are handed to streams at a time.
const BATCH: usize = 100;
/// Deliveries under way at a time.
const AT_A_TIME: usize = 16;
/// Auth0 tries four times in all.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Pushes for ever; what is under way when it is dropped is pushed again by the next emulator.
pub(in crate::emulator) async fn push(shared: Arc<Shared>) {
    let sender = match Sender::new() {
        Ok(sender) => sender,
        Err(error) => {
            tracing::error!(%error, "the emulator cannot push events");
            return std::future::pending().await;
        }
    };
    let mut news = shared.events.subscribe();
    let (mut tasks, mut under_way, mut handed) = (JoinSet::new(), HashSet::new(), 0);
    loop {
        // Every call wakes this, whether it told an event or put one here to be pushed again.
        news.borrow_and_update();
        handed = hand_out(&shared, handed);
        for key in waiting(&shared, &under_way) {
            under_way.insert(key.clone());
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            tasks.spawn(async move {
                deliver(&shared, &sender, &key).await;
                key
            });
        }
        tokio::select! {
            _ = news.changed() => {}
            Some(done) = tasks.join_next() => {
                if let Ok(key) = done {
                    under_way.remove(&key);
                }
            }
        }
    }
}

/// Puts every new event where it waits, for each stream that asks for it; the number of the last one.
fn hand_out(shared: &Shared, handed: u64) -> u64 {
    let mut state = shared.state();
    let store = &mut state.store;
    let mut handed = handed.max(store.own(HANDED).and_then(|number| number.parse().ok()).unwrap_or_default());
    if handed >= store.events().last() {
        return handed;
    }
    let streams: Vec<(String, Feed)> =
        store.table(TABLE).iter().filter_map(|(key, row)| Some((key.clone(), Feed::of(row)?))).collect();
    loop {
        let events = store.events().after(handed, BATCH);
        let Some(last) = events.last() else { break };
        handed = last.number;
        for event in &events {
            for (stream, _) in streams.iter().filter(|(_, feed)| feed.wants(&event.kind, event.at)) {
                let mut event: Value = serde_json::from_str(&event.text).unwrap_or_default();
                event["a0stream"] = stream.as_str().into();
                wait(store, stream, &event, false);
            }
        }
    }
    handed = handed.max(store.events().last());
    if !streams.is_empty() {
        store.set_own(HANDED, &handed.to_string());
    }
    keep(store);
    handed
}

/// What a stream asks for.
struct Feed {
    enabled: bool,
    kinds: Vec<String>,
    /// In UNIX milliseconds; earlier events are none of its.
    since: i64,
}

impl Feed {
    fn of(row: &Row) -> Option<Feed> {
        let kind = template::at(&row.body, "destination.type");
        kind.and_then(Value::as_str).filter(|kind| [WEBHOOK, ACTION].contains(kind))?;
        let kinds = row.body.get("subscriptions").and_then(Value::as_array).into_iter().flatten();
        let kinds = kinds.filter_map(|one| one.get("event_type")?.as_str().map(str::to_owned));
        let since: Option<DateTime<Utc>> = row.text("created_at").and_then(|time| time.parse().ok());
        Some(Feed {
            enabled: is_enabled(row),
            kinds: kinds.collect(),
            since: since.map_or(i64::MIN, |time| time.timestamp_millis()),
        })
    }

    fn wants(&self, kind: &str, at: i64) -> bool {
        self.enabled && at >= self.since && self.kinds.iter().any(|wanted| wanted == kind)
    }
}

fn is_enabled(stream: &Row) -> bool {
    stream.text("status") != Some("disabled")
}

/// What waits and is not under way, as much as may be begun.
fn waiting(shared: &Shared, under_way: &HashSet<String>) -> Vec<String> {
    let state = shared.state();
    let waiting = state.store.table(WAITING).keys().filter(|key| !under_way.contains(*key));
    waiting.take(AT_A_TIME.saturating_sub(under_way.len())).cloned().collect()
}

/// Delivers one event: again after growing pauses, and kept as failed when that has not helped.
async fn deliver(shared: &Shared, sender: &Sender, key: &str) {
    let mut attempts: Vec<Value> = Vec::new();
    loop {
        let Some((row, destination)) = order(shared, key) else { return };
        let event = row.body.get("event").cloned().unwrap_or_default();
        let attempt = match destination["type"].as_str() {
            Some(ACTION) => act(shared, &destination, &event).await,
            _ => sender.send(&destination, &event).await,
        };
        let (error, again) = match attempt {
            Attempt::Delivered => return settle(shared, key, None),
            Attempt::Failed { error, again } => (error, again),
        };
        let (status, timestamp) = ("failed", ids::time(Utc::now()));
        attempts.push(json!({"status": status, "timestamp": timestamp, "error_message": error}));
        // Whoever sends an event for a test waits for what becomes of it.
        let test = row.body.get("test") == Some(&Value::Bool(true));
        match PAUSES.get(attempts.len() - 1).filter(|_| again && !test) {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return settle(shared, key, Some(attempts)),
        }
    }
}

/// What is to be sent, and where to; none where its stream is gone or gets nothing any more.
fn order(shared: &Shared, key: &str) -> Option<(Row, Value)> {
    let mut state = shared.state();
    let row = state.store.get(WAITING, key)?.clone();
    let stream = row.text(STREAM).and_then(|stream| state.store.get(TABLE, stream));
    let test = row.body.get("test") == Some(&Value::Bool(true));
    match stream.filter(|stream| test || is_enabled(stream)) {
        Some(stream) => Some((row, stream.body.get("destination").cloned().unwrap_or_default())),
        None => {
            state.store.remove(WAITING, key);
            keep(&mut state.store);
            None
        }
    }
}

/// An event waits no more: it was delivered, or these attempts have failed.
fn settle(shared: &Shared, key: &str, failed: Option<Vec<Value>>) {
    let mut state = shared.state();
    let store = &mut state.store;
    let Some(row) = store.get(WAITING, key).cloned() else { return };
    store.remove(WAITING, key);
    let stream = row.text(STREAM).filter(|stream| store.get(TABLE, stream).is_some());
    if let Some((attempts, stream)) = failed.zip(stream.map(str::to_owned)) {
        let event = row.body.get("event").cloned().unwrap_or_default();
        let body = json!({
            "id": keys::last(key),
            STREAM: stream,
            "status": "failed",
            "event_type": event.get("type"),
            "attempts": attempts,
            "event": event,
        });
        let body: Fields = body.as_object().cloned().unwrap_or_default();
        store.put(
            FAILED,
            &key_of([stream.as_str(), keys::last(key).unwrap_or_default()]),
            body,
            Fields::new(),
        );
    }
    keep(store);
}

fn keep(store: &mut Store) {
    if let Err(error) = store.commit() {
        tracing::error!(%error, "the emulator cannot keep its state");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gets_what_it_subscribes_to_from_its_creation_on() {
        let stream = |status: &str, kind: &str| {
            let body = json!({
                "status": status, "created_at": "2026-01-01T00:00:00.000Z",
                "subscriptions": [{"event_type": "a"}, {"event_type": "b"}],
                "destination": {"type": kind, "configuration": {}},
            });
            Feed::of(&Row { body: body.as_object().unwrap().clone(), ..Row::default() })
        };
        let feed = stream("enabled", WEBHOOK).unwrap();
        let created = feed.since;
        assert!(feed.wants("b", created) && feed.wants("a", created + 1));
        assert!(!feed.wants("b", created - 1), "it happened before");
        assert!(!feed.wants("c", created + 1));
        assert!(!stream("disabled", WEBHOOK).unwrap().wants("a", created));
        assert!(stream("enabled", ACTION).unwrap().wants("a", created));
        assert!(stream("enabled", "eventbridge").is_none());
    }
}
