//! Simulated logins, sign-ups and changes of passwords, with the Actions that the tenant has bound:
//! first what Auth0 changes, then the Actions, without the tenant's lock, then what follows from them.
//! Actions of event streams run by the same Node.

mod node;

use axum::body::Bytes;
use serde_json::{Value, json};

pub(super) use node::Node;

use super::problem::Answer;
use super::quirks::action_bindings::{self, Bound};
use super::quirks::logins;
use super::server::Shared;
use super::world::Request;

/// What somebody does at the tenant's login page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Login,
    SignUp,
    ChangePassword,
}

impl Deed {
    /// The deed that one of the emulator's own paths names.
    pub(super) fn of(path: &str) -> Option<Deed> {
        Some(match path {
            "login" => Deed::Login,
            "signup" => Deed::SignUp,
            "change-password" => Deed::ChangePassword,
            _ => return None,
        })
    }

    /// The trigger that it is.
    pub(super) fn trigger(self) -> &'static str {
        match self {
            Deed::Login => "post-login",
            Deed::SignUp => "post-user-registration",
            Deed::ChangePassword => "post-change-password",
        }
    }

    /// Whether Auth0 waits for its Actions, and a failure of theirs is one of the deed.
    fn is_blocking(self) -> bool {
        self == Deed::Login
    }
}

/// The function that Auth0 calls at a trigger: `onExecutePostLogin` at `post-login`.
fn handler(trigger: &str) -> String {
    let words = trigger.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    format!("onExecute{}", words.collect::<String>())
}

/// Does it, and answers what has come of it.
pub(super) async fn simulate(shared: &Shared, request: &Request, deed: Deed, body: &Bytes) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let begun = shared.change(request, |world, store| {
        let begun = logins::begin(world, store, request, deed, &body)?;
        Ok((action_bindings::bound(store, deed.trigger()), begun))
    });
    let (bound, begun) = match begun {
        Ok(begun) => begun,
        Err(problem) => return problem.into(),
    };
    let ran = run(shared, (deed.trigger(), deed.is_blocking()), &bound, &begun.event).await;
    let ended =
        shared.change(request, |world, store| logins::end(world, store, request, (deed, &begun), &ran));
    ended.unwrap_or_else(Answer::from)
}

/// What Actions did.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// One for each that ran, as an execution shows it.
    pub(super) results: Vec<Value>,
    /// Calls of `api`, for tests.
    pub(super) calls: Value,
    /// Lines that they wrote.
    pub(super) logs: Value,
    /// Why the deed fails.
    pub(super) denied: Option<String>,
    /// Why none ran although some are bound.
    pub(super) failure: Option<String>,
}

/// Runs the Actions of a trigger, one after the other; `is_blocking`: Auth0 waits for them.
pub(super) async fn run(
    shared: &Shared,
    (trigger, is_blocking): (&str, bool),
    bound: &[Bound],
    event: &Value,
) -> Ran {
    if bound.is_empty() {
        return Ran::default();
    }
    let actions: Vec<Value> = bound.iter().map(Bound::order).collect();
    let order = json!({
        "actions": actions,
        "handler": handler(trigger),
        "event": event,
        "blocking": is_blocking,
    });
    match shared.node.run(order).await {
        Ok(mut done) => {
            let results = done["results"].as_array().cloned().unwrap_or_default();
            let failed = results.iter().find_map(|result| result["error"]["msg"].as_str());
            let denied = done["denied"].as_str().or(failed.filter(|_| is_blocking));
            let denied = denied.map(str::to_owned);
            Ran { denied, results, calls: done["calls"].take(), logs: done["logs"].take(), failure: None }
        }
        Err(failure) => Ran {
            // Where there is no Node the login goes on: nobody said no.
            denied: (failure == node::Failure::TooLong && is_blocking).then(|| failure.text()),
            failure: Some(failure.text()),
            ..Ran::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_calls_the_function_of_its_name() {
        for (trigger, function) in [
            ("post-login", "onExecutePostLogin"),
            ("post-user-registration", "onExecutePostUserRegistration"),
            ("post-change-password", "onExecutePostChangePassword"),
            ("event-stream", "onExecuteEventStream"),
        ] {
            assert_eq!(handler(trigger), function);
        }
    }
}
