//! Event streams: what waits to be pushed to one, and the calls that put it there again. A redelivery
//! takes a failed delivery back; a test event is pushed like any other, whether the stream is enabled
//! or not. Pushing itself is `events/push.rs`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::keys::key_of;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};

/// The table of streams.
pub(in crate::emulator) const TABLE: &str = "event_stream";
/// What could not be delivered.
pub(in crate::emulator) const FAILED: &str = "event_stream_delivery";
/// Commands.
pub(super) const REDELIVER: &str = "event_stream_redeliver";
pub(super) const REDELIVER_ONE: &str = "event_stream_redeliver_event";
pub(super) const TEST: &str = "event_stream_test";
/// What waits to be delivered, in the store alone: no call shows it.
pub(in crate::emulator) const WAITING: &str = "event_stream_waiting";
/// Kinds of destinations that are pushed to; what others get, nobody sees here.
pub(in crate::emulator) const WEBHOOK: &str = "webhook";
pub(in crate::emulator) const ACTION: &str = "action";
/// The column that names the stream.
pub(in crate::emulator) const STREAM: &str = "event_stream_id";

/// Puts an event where it waits to be pushed; `test`: it is one that was sent for a test.
pub(in crate::emulator) fn wait(store: &mut Store, stream: &str, event: &Value, test: bool) {
    let Some(id) = event.get("id").and_then(Value::as_str) else { return };
    let body = json!({STREAM: stream, "event": event, "test": test});
    if let Value::Object(body) = body {
        store.put(WAITING, &key_of([stream, id]), body, Fields::new());
    }
}

/// The exceptions of the commands.
pub(super) struct Commands;

impl Quirks for Commands {
    fn call(
        &self,
        store: &mut Store,
        Incoming { route, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let named = |column: &str| values.get(column).and_then(Value::as_str).unwrap_or_default();
        let stream = named(STREAM);
        if store.get(TABLE, stream).is_none() {
            return Some(Err(Problem::plain(404, "The event stream does not exist.")));
        }
        let lost =
            route.table == REDELIVER_ONE && store.get(FAILED, &key_of([stream, named("event_id")])).is_none();
        lost.then(|| Err(Problem::plain(404, "The event does not exist.")))
    }

    fn after(
        &self,
        store: &mut Store,
        Incoming { request, route, values, .. }: Incoming,
        answer: &mut Answer,
    ) {
        let stream = values.get(STREAM).and_then(Value::as_str).unwrap_or_default();
        if route.table == TEST {
            if let Some(body) = &mut answer.body {
                // A delivery goes by the id of its event.
                body["event"]["id"] = body["id"].clone();
                wait(store, stream, &body["event"], true);
            }
            return;
        }
        let one = values.get("event_id").and_then(Value::as_str);
        let body = request.body.clone().unwrap_or_default();
        let meant = |row: &Row| {
            row.text(STREAM) == Some(stream)
                && one.is_none_or(|one| row.text("id") == Some(one))
                && is_asked_for(row, &body)
        };
        let found = store.table(FAILED).iter().filter(|(_, row)| meant(row));
        let found: Vec<_> = found.map(|(key, row)| (key.clone(), row.body.get("event").cloned())).collect();
        for (key, event) in found {
            store.remove(FAILED, &key);
            wait(store, stream, &event.unwrap_or_default(), false);
        }
    }
}

/// Whether a failed delivery is one of those that a redelivery names by type, status and time.
fn is_asked_for(row: &Row, body: &Value) -> bool {
    let among = |name: &str, field: &str| {
        let wanted = body.get(name).and_then(Value::as_array).filter(|wanted| !wanted.is_empty());
        wanted.is_none_or(|wanted| wanted.iter().any(|one| one.as_str() == row.text(field)))
    };
    let time = |text: Option<&Value>| text.and_then(Value::as_str)?.parse::<DateTime<Utc>>().ok();
    let at = time(row.body.get("event").and_then(|event| event.get("time")));
    let from = time(body.get("date_from")).is_none_or(|from| at.is_some_and(|at| at >= from));
    let to = time(body.get("date_to")).is_none_or(|to| at.is_some_and(|at| at < to));
    from && to && among("event_types", "event_type") && among("statuses", "status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redelivery_takes_what_it_names() {
        let body = json!({
            "event_type": "a", "status": "failed", "event": {"time": "2026-01-02T00:00:00.000Z"},
        });
        let row = Row { body: body.as_object().unwrap().clone(), ..Row::default() };
        for (asked, taken) in [
            (json!({}), true),
            (Value::Null, true),
            (json!({"event_types": ["b", "a"]}), true),
            (json!({"event_types": ["b"]}), false),
            (json!({"statuses": ["failed"], "date_from": "2026-01-02T00:00:00Z"}), true),
            (json!({"date_to": "2026-01-02T00:00:00Z"}), false),
            (json!({"date_from": "2026-01-02T00:00:01Z"}), false),
        ] {
            assert_eq!(is_asked_for(&row, &asked), taken, "{asked}");
        }
    }
}
