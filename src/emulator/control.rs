//! The emulator's own calls under `/_emulator`, for tests: no token, no limits, no faults.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::faults::Faults;
use super::populate::Names;
use super::problem::{Answer, Problem};
use super::server::{Shared, State};
use super::world::{Request, Scene};
use super::{populate, preload, reads};

/// Runs one of the emulator's own calls; `path` is what follows `/_emulator/`.
pub(super) fn run(shared: &Shared, state: &mut State, request: &Request, path: &str, body: &Bytes) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match (request.method.as_str(), path) {
        ("POST", "reset") => reset(shared, state, request),
        ("POST", "preload") => {
            let rows = preload::apply(&shared.world, &mut state.store, &body);
            // What was there before is no news, unless it is said to happen now.
            if body["announce"] != true {
                state.store.take_changes();
            }
            // Ids are kept as they were recorded.
            Answer::new(200, json!({"rows": rows, "ids": {}}))
        }
        ("POST", "faults") => match serde_json::from_value(body) {
            Ok(order) => match state.faults.order(order) {
                Ok(count) => Answer::new(200, json!({"faults": count})),
                Err(what) => Problem::body(what).into(),
            },
            Err(error) => Problem::body(error.to_string()).into(),
        },
        ("DELETE", "faults") => {
            state.faults = Faults::default();
            Answer::empty(204)
        }
        ("DELETE", "logs") => {
            state.store.forget_logs();
            Answer::empty(204)
        }
        ("GET", "health") => Answer::new(200, json!({"status": "ok"})),
        ("GET", "state") => Answer::new(200, everything(shared, state, request)),
        ("GET", "calls") => Answer::new(200, json!(state.calls)),
        ("GET", "visited") => Answer::new(200, json!({"rows": state.store.visited()})),
        ("DELETE", "calls") => {
            state.calls.clear();
            Answer::empty(204)
        }
        _ => Problem::plain(404, "Not Found").into(),
    }
}

fn everything(shared: &Shared, state: &State, request: &Request) -> Value {
    reads::everything(Scene { world: &shared.world, store: &state.store, request })
}

fn reset(shared: &Shared, state: &mut State, request: &Request) -> Answer {
    state.store.clear();
    state.faults = Faults::default();
    state.calls.clear();
    let names = Names { tenant: &request.tenant, host: &request.host, client: &shared.client };
    match populate::fresh(&shared.world, &mut state.store, &names) {
        Ok(()) => {
            state.store.take_changes();
            Answer::new(200, json!({}))
        }
        Err(error) => Problem::plain(500, error.to_string()).into(),
    }
}
