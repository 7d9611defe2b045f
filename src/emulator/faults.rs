//! Faults on demand: what a test asks to go wrong. It only decides; the server carries it out.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::events::StreamFaults;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// This answer, and the call does nothing.
    Status(u16, Option<Value>),
    /// The connection closes without an answer; the call did nothing.
    DropBefore,
    /// The connection closes without an answer; the call does what it says this much later.
    DropLate(Duration),
    /// The connection closes without an answer; the call did what it says.
    DropAfter,
    /// The call is carried out this much later.
    Delay(Duration),
    /// The call is carried out at once, and its answer comes this much later.
    DelayAfter(Duration),
    /// The connection closes after so many bytes of the answer's body.
    Cut(u64),
    /// Nothing comes for a while after so many bytes of the answer's body.
    Stall(u64, Duration),
    /// The job that the call starts.
    Job(JobFault),
}

/// What goes wrong with a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobFault {
    /// It fails, with this `summary` where it is an object.
    pub(super) fails: Option<Value>,
    /// It is in the works for so long at least, in milliseconds.
    pub(super) holds_ms: u64,
}

/// One order for faults, as `POST /_emulator/faults` takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Order {
    /// Which calls; without it, all.
    #[serde(rename = "match")]
    matches: Match,
    /// How often; without it, until cleared.
    times: Option<u32>,
    /// Calls that pass before the first fault.
    after: u32,
    /// `status`, `drop_before`, `drop_late`, `drop_after`, `delay`, `delay_after`, `cut`, `stall`, `fail_job` or `hold_job`;
    /// of event streams under way `events_drop`, `events_stall`, `events_error`, `events_duplicate`,
    /// `events_disorder`, `events_delay`.
    #[serde(rename = "do")]
    what: Option<String>,
    /// For `status`.
    status: Option<u16>,
    /// For `status`: the body instead of Auth0's usual one; for `fail_job`: the job's `summary`.
    body: Option<Value>,
    /// For `events_error`.
    code: Option<String>,
    /// For `drop_late`, `delay`, `delay_after`, `stall`, `hold_job` and `events_delay`; `fail_job` takes it too.
    delay_ms: Option<u64>,
    /// For `cut` and `stall`: bytes of the body that still come.
    bytes: Option<u64>,
    /// Refuses every call (true) or ends that (false).
    down: Option<bool>,
    /// Scopes that tokens do not get any more; those that are out keep theirs.
    withhold: Option<Vec<String>>,
    /// Forgets every order first.
    clear: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Match {
    method: Option<String>,
    /// A regular expression on the whole path, query excluded.
    path: Option<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    method: Option<String>,
    path: Option<regex::Regex>,
    times: Option<u32>,
    after: u32,
    fault: Fault,
}

/// The faults that are ordered.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    down: bool,
    withheld: Vec<String>,
    /// Of event streams under way.
    pub(super) stream: StreamFaults,
}

impl Faults {
    /// Takes an order; an error is a sentence for its sender.
    pub(super) fn order(&mut self, order: Order) -> Result<usize, String> {
        if let Some(what) = order.what.as_deref().filter(|what| what.starts_with("events_")) {
            if order.clear {
                *self = Faults::default();
            }
            self.stream.order((what, order.code, order.delay_ms), order.times, order.after)?;
            return Ok(self.rules.len() + self.stream.len());
        }
        let bytes = order.bytes.unwrap_or(0);
        let fault = match (order.what.as_deref(), order.status, order.delay_ms) {
            (Some("cut"), ..) => Some(Fault::Cut(bytes)),
            (Some("stall"), _, Some(ms)) => Some(Fault::Stall(bytes, Duration::from_millis(ms))),
            (Some("fail_job"), _, ms) => {
                let fails = Some(order.body.unwrap_or_default());
                Some(Fault::Job(JobFault { fails, holds_ms: ms.unwrap_or(0) }))
            }
            (Some("hold_job"), _, Some(ms)) => Some(Fault::Job(JobFault { fails: None, holds_ms: ms })),
            (Some("status"), Some(status), _) => Some(Fault::Status(status, order.body)),
            (Some("drop_before"), ..) => Some(Fault::DropBefore),
            (Some("drop_late"), _, Some(ms)) => Some(Fault::DropLate(Duration::from_millis(ms))),
            (Some("drop_after"), ..) => Some(Fault::DropAfter),
            (Some("delay") | None, _, Some(ms)) => Some(Fault::Delay(Duration::from_millis(ms))),
            (Some("delay_after"), _, Some(ms)) => Some(Fault::DelayAfter(Duration::from_millis(ms))),
            (None, None, None) => None,
            _ => {
                return Err(
                    "do is status (with status), drop_before, drop_after, drop_late, delay, delay_after or hold_job \
                            (with delay_ms), cut (with bytes), stall (with bytes and delay_ms) or fail_job"
                        .into(),
                );
            }
        };
        let path = order.matches.path.as_deref().map(regex::Regex::new).transpose();
        let path = path.map_err(|error| error.to_string())?;
        if order.clear {
            *self = Faults::default();
        }
        self.down = order.down.unwrap_or(self.down);
        self.withheld = order.withhold.unwrap_or(std::mem::take(&mut self.withheld));
        if let Some(fault) = fault {
            let method = order.matches.method.map(|method| method.to_uppercase());
            self.rules.push(Rule { method, path, times: order.times, after: order.after, fault });
        }
        Ok(self.rules.len())
    }

    /// Whether tokens get this scope.
    pub(super) fn grant(&self, scope: &str) -> bool {
        !self.withheld.iter().any(|withheld| withheld == scope)
    }

    /// The fault of a call, counted down.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        if self.down {
            return Some(Fault::DropBefore);
        }
        let hit = self.rules.iter_mut().find_map(|rule| {
            let matches = rule.method.as_deref().is_none_or(|wanted| wanted == method)
                && rule.path.as_ref().is_none_or(|pattern| pattern.is_match(path))
                && rule.times != Some(0);
            if !matches {
                return None;
            }
            if rule.after > 0 {
                rule.after -= 1;
                return None;
            }
            rule.times = rule.times.map(|times| times - 1);
            Some(rule.fault.clone())
        });
        self.rules.retain(|rule| rule.times != Some(0));
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_hits_the_calls_that_it_matches_so_often() {
        let mut faults = Faults::default();
        let order =
            json!({"match": {"method": "patch", "path": "^/api/v2/users/"}, "times": 1, "do": "drop_after"});
        faults.order(serde_json::from_value(order).unwrap()).unwrap();
        assert_eq!(faults.take("GET", "/api/v2/users/a"), None);
        assert_eq!(faults.take("PATCH", "/api/v2/users/a"), Some(Fault::DropAfter));
        assert_eq!(faults.take("PATCH", "/api/v2/users/a"), None);
        faults.order(Order { down: Some(true), ..Order::default() }).unwrap();
        assert_eq!(faults.take("GET", "/oauth/token"), Some(Fault::DropBefore));
        assert!(faults.grant("read:users"));
        let withhold = Some(vec!["read:users".to_owned()]);
        faults.order(Order { withhold, ..Order::default() }).unwrap();
        assert!(!faults.grant("read:users") && faults.grant("read:roles"));
        assert!(faults.order(Order { what: Some("explode".into()), ..Order::default() }).is_err());
    }
}
