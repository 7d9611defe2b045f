//! One attempt to hand an event to the Action of a stream, and what its run means. The tenant's lock is
//! not held while it runs.

use serde_json::{Value, json};

use super::attempt::Attempt;
use crate::emulator::quirks::action_bindings::running;
use crate::emulator::runtime::{self, Ran};
use crate::emulator::server::Shared;

/// The trigger of such Actions; nobody's login waits for it.
const TRIGGER: (&str, bool) = ("event-stream", false);
/// The call by which an Action says that it has not taken the event.
const FAIL: &str = "message.fail";

/// Runs the Action that a `destination` names, as a stream holds it, on an event.
pub(super) async fn act(shared: &Shared, destination: &Value, event: &Value) -> Attempt {
    let action = destination["configuration"]["action_id"].as_str().unwrap_or_default();
    let found = running(&shared.state().store, action);
    let Some(action) = found else { return failed("the action is not there, or not deployed") };
    judge(&runtime::run(shared, TRIGGER, &[action], &json!({"message": event})).await)
}

fn judge(ran: &Ran) -> Attempt {
    let thrown = ran.results.iter().find_map(|result| result["error"]["msg"].as_str());
    let mut calls = ran.calls.as_array().into_iter().flatten();
    match (&ran.failure, thrown) {
        (Some(failure), _) => failed(failure),
        // Of a stack its first line tells what was thrown.
        (None, Some(thrown)) => failed(thrown.lines().next().unwrap_or_default()),
        (None, None) if calls.any(|call| call["call"] == FAIL) => failed("the action has failed the message"),
        (None, None) => Attempt::Delivered,
    }
}

/// Whatever it is, the next attempt may go better.
fn failed(error: &str) -> Attempt {
    Attempt::Failed { error: error.to_owned(), again: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_delivered_where_its_action_neither_throws_nor_fails_it() {
        let ran =
            |result: Value, calls: Value| judge(&Ran { results: vec![result], calls, ..Ran::default() });
        assert_eq!(ran(json!({}), json!([])), Attempt::Delivered);
        assert_eq!(ran(json!({}), json!([{"call": "cache.set", "arguments": []}])), Attempt::Delivered);
        let thrown = json!({"error": {"id": "script_error", "msg": "Error: not now\n    at deliver"}});
        assert_eq!(ran(thrown, json!([])), failed("Error: not now"));
        let said = ran(json!({}), json!([{"call": "message.fail", "arguments": ["no"]}]));
        assert!(matches!(said, Attempt::Failed { again: true, .. }), "{said:?}");
        let without = Ran { failure: Some("no node".into()), ..Ran::default() };
        assert_eq!(judge(&without), failed("no node"));
    }
}
