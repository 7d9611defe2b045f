//! What follows from the outcome of a call, pure: send, read back, settle, or wait.
//! A transient failure never settles anything, and an unknown outcome is never guessed.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::auth0::{Outcome, Refusal};
use crate::error::Kind;
use crate::pg::mirror::{Operation, Row};
use crate::retry::pause;

/// A final outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Auth0 has it; the row as it answered, in the mirror's shape, where it did.
    Applied(Option<Row>),
    /// The delete found nothing: done.
    Gone,
    /// Auth0 refused it.
    Refused(Refusal),
    /// Auth0 took a part of it before it refused the rest; that part has been put back, or cannot be.
    PartlyRefused(Refusal),
    /// A command whose answer was lost: it may have run, and is never sent again.
    Lost,
    /// It cannot be sent as it is.
    Unfit {
        /// Why, in a word.
        kind: Kind,
        /// Why, in a sentence.
        message: String,
    },
}

/// What to do after an answer, or its absence.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Settle.
    Finish(Verdict),
    /// The outcome is unknown: read the row back, not before this time.
    ReadBack {
        /// Not before this time.
        at: Instant,
        /// What went wrong, for the status page.
        kind: Kind,
    },
    /// Nothing happened; send it again, not before this time.
    SendAgain {
        /// Not before this time.
        at: Instant,
        /// What went wrong, for the status page.
        kind: Kind,
        /// Whether the cause concerns every call, so that the others wait too.
        everybody: bool,
    },
    /// Several mutations were refused together: send them one by one.
    SplitUp,
}

/// What a worker does about a [`Step`].
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Settles.
    Settle(Verdict),
    /// Puts the mutations back: nothing happened.
    PutBack {
        /// Not to be taken up again before this time.
        at: Instant,
        /// They go one by one from now on.
        alone: bool,
        /// What else waits for the cause to pass.
        holds: Holds,
    },
    /// Notes the doubt and reads the row back, not before this time.
    ReadBack {
        /// Not before this time.
        at: Instant,
        /// What went wrong.
        kind: Kind,
    },
}

/// What waits for the cause to pass for which nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// This work alone.
    Itself,
    /// Every write of its kind to its table.
    Alike(Kind),
    /// Every write.
    Everything(Kind),
}

impl Step {
    /// What is to be done about it.
    pub fn deed(self, is_command: bool, now: Instant) -> Deed {
        match self {
            Step::Finish(verdict) => Deed::Settle(verdict),
            // It may have run: it is never sent again, and nothing tells whether it has.
            Step::ReadBack { .. } if is_command => Deed::Settle(Verdict::Lost),
            Step::ReadBack { at, kind } => Deed::ReadBack { at, kind },
            Step::SplitUp => Deed::PutBack { at: now, alone: true, holds: Holds::Itself },
            Step::SendAgain { at, kind, everybody } => {
                let holds = match kind {
                    Kind::Auth0Scope => Holds::Alike(kind),
                    kind if everybody => Holds::Everything(kind),
                    _ => Holds::Itself,
                };
                Deed::PutBack { at, alone: false, holds }
            }
        }
    }
}

/// The row could not be read back, `tries` times by now: it is tried again, for nothing else decides.
pub fn not_read_back(kind: Kind, tries: u32, now: Instant) -> Step {
    Step::ReadBack { at: now + delay(tries), kind }
}

/// What a call's outcome leads to; `shown` finds the row in an answer, `tries` counts calls of this
/// work that brought no decision.
pub fn after_call(
    outcome: Outcome,
    shown: impl FnOnce(&Value) -> Option<Row>,
    together: usize,
    tries: u32,
    now: Instant,
) -> Step {
    match outcome {
        Outcome::Applied(body) => Step::Finish(Verdict::Applied(shown(&body))),
        Outcome::Gone => Step::Finish(Verdict::Gone),
        Outcome::Refused(_) if together > 1 => Step::SplitUp,
        Outcome::Refused(refusal) => Step::Finish(Verdict::Refused(refusal)),
        Outcome::Throttled { until } => {
            Step::SendAgain { at: until, kind: Kind::Auth0Throttled, everybody: true }
        }
        Outcome::Blocked { kind, .. } | Outcome::NeverLeft { kind, .. } => {
            // Another write may need another scope.
            let everybody = kind != Kind::Auth0Scope;
            Step::SendAgain { at: now + delay(tries), kind, everybody }
        }
        Outcome::Unknown { kind, .. } => Step::ReadBack { at: now + delay(tries), kind },
    }
}

/// What reading back found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The row.
    Row(Row),
    /// No such row.
    Nothing,
    /// Reading back cannot tell, and sending again does no harm.
    Repeatable,
}

/// What reading back leads to; `wanted` holds the columns that the call was to write.
pub fn after_read_back(found: Found, operation: Operation, wanted: &Row, now: Instant) -> Step {
    let again = Step::SendAgain { at: now, kind: Kind::Auth0NoAnswer, everybody: false };
    match (operation, found) {
        (_, Found::Repeatable)
        | (Operation::Insert, Found::Nothing)
        | (Operation::Delete, Found::Row(..)) => again,
        (Operation::Insert, Found::Row(row)) => Step::Finish(Verdict::Applied(Some(row))),
        (Operation::Delete, Found::Nothing) => Step::Finish(Verdict::Gone),
        (Operation::Update, Found::Nothing) => Step::Finish(Verdict::Refused(not_there())),
        (Operation::Update, Found::Row(row)) => {
            if wanted.iter().all(|(column, value)| holds(row.get(column), value)) {
                Step::Finish(Verdict::Applied(Some(row)))
            } else {
                again
            }
        }
    }
}

/// The refusal of an update whose row Auth0 does not have.
pub fn not_there() -> Refusal {
    Refusal {
        status: 404,
        error: "Not Found".into(),
        message: "the row does not exist at Auth0 any more".into(),
        error_code: None,
    }
}

/// Whether Auth0's value shows what was to be written; objects may have more keys than were sent.
pub(super) fn holds(there: Option<&Value>, wanted: &Value) -> bool {
    match (there, wanted) {
        (None | Some(Value::Null), Value::Null) => true,
        (Some(Value::Object(there)), Value::Object(wanted)) if wanted.is_empty() => there.is_empty(),
        (None, Value::Object(wanted)) => wanted.values().all(Value::is_null),
        (Some(Value::Object(there)), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| holds(there.get(key), value))
        }
        (Some(there), wanted) => there == wanted,
        (None, _) => false,
    }
}

/// Growing pauses between calls that bring no decision: short enough that Auth0 being back is noticed soon.
pub fn delay(tries: u32) -> Duration {
    pause(tries, Duration::from_millis(100), Duration::from_secs(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn only_an_answer_settles() {
        let now = Instant::now();
        let refusal = Refusal { status: 400, ..Refusal::default() };
        let settles = |outcome| matches!(after_call(outcome, |_| None, 1, 0, now), Step::Finish(_));
        assert!(settles(Outcome::Applied(Value::Null)) && settles(Outcome::Gone));
        assert!(settles(Outcome::Refused(refusal.clone())));
        for kind in [Kind::Auth0Token, Kind::Auth0Scope, Kind::Auth0Unreachable, Kind::Auth0Server] {
            assert!(!settles(Outcome::Blocked { kind, message: String::new() }));
            assert!(!settles(Outcome::NeverLeft { kind, reason: String::new() }));
            assert!(!settles(Outcome::Unknown { kind, reason: String::new() }));
        }
        assert!(!settles(Outcome::Throttled { until: now }));
        assert_eq!(after_call(Outcome::Refused(refusal), |_| None, 2, 0, now), Step::SplitUp);
    }

    #[test]
    fn reading_back_decides_by_what_is_there() {
        let now = Instant::now();
        let row = object(json!({"name": "new", "app_metadata": {"a": 1, "b": 2}}));
        let found = || Found::Row(row.clone());
        let wanted = object(json!({"name": "new", "app_metadata": {"a": 1, "gone": null}, "picture": null}));
        let step = after_read_back(found(), Operation::Update, &wanted, now);
        assert_eq!(step, Step::Finish(Verdict::Applied(Some(row.clone()))));
        let other = object(json!({"name": "old"}));
        assert!(matches!(after_read_back(found(), Operation::Update, &other, now), Step::SendAgain { .. }));
        assert!(matches!(
            after_read_back(Found::Nothing, Operation::Insert, &other, now),
            Step::SendAgain { .. }
        ));
        assert_eq!(
            after_read_back(Found::Nothing, Operation::Delete, &other, now),
            Step::Finish(Verdict::Gone)
        );
    }
}
