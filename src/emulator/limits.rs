//! Rate limits: token buckets for the tenant and for groups of calls, by plan. The figures are
//! Auth0's published ones; the clock is passed in.

use std::collections::HashMap;

use super::problem::{Answer, Problem};

/// A subscription whose limits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plan {
    /// Two calls a second.
    Free,
    /// Essentials and Professional: groups of calls, no figure for the whole.
    Professional,
    /// Enterprise, production.
    Enterprise,
    /// Enterprise, not production.
    EnterpriseDevelopment,
}

/// Burst, and how many come back in a minute.
type Rate = (f64, f64);

const MINUTE: f64 = 60.0;

impl Plan {
    /// Its name on the command line and in the catalogue.
    pub(super) fn name(self) -> &'static str {
        match self {
            Plan::Free => "free",
            Plan::Professional => "professional",
            Plan::Enterprise => "enterprise",
            Plan::EnterpriseDevelopment => "enterprise-development",
        }
    }

    fn whole(self) -> Option<Rate> {
        match self {
            Plan::Free => Some((2.0, 120.0)),
            Plan::Professional => None,
            Plan::Enterprise => Some((50.0, 960.0)),
            Plan::EnterpriseDevelopment => Some((10.0, 120.0)),
        }
    }

    /// The bucket of a call: its name and rate. `group` comes from the catalogue.
    fn group(self, group: &str, method: &str) -> Option<(String, Rate)> {
        let kind = match method {
            "GET" => "read",
            "DELETE" => "delete",
            _ => "write",
        };
        let rate = match (self, group, kind) {
            (Plan::Free, ..) => return None,
            (Plan::Professional, "users", "read") => (40.0, 500.0),
            (Plan::Professional, "users", _) => (20.0, 200.0),
            (Plan::Professional, "logs", _) => (10.0, 100.0),
            (Plan::Professional, "clients", "read") => (5.0, 100.0),
            (Plan::Professional, "connections", "read") => (5.0, 50.0),
            (Plan::Professional, "organizations", "read") => (20.0, 200.0),
            (Plan::Professional, "organizations", _) => (5.0, 25.0),
            (Plan::Professional, "organization_members", "read") => (40.0, 500.0),
            (Plan::Professional, "organization_members", _) => (20.0, 200.0),
            (Plan::Professional, ..) => return Some(("other".to_owned(), (10.0, 150.0))),
            (_, "organizations", "read") => (20.0, 200.0),
            (_, "organizations", _) => (5.0, 150.0),
            (_, "organization_members", "read") => (40.0, 500.0),
            (_, "organization_members", _) => (20.0, 200.0),
            _ => return None,
        };
        Some((format!("{group}_{kind}"), rate))
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: f64,
}

/// The buckets of a tenant.
#[derive(Debug)]
pub(super) struct Limits {
    plan: Plan,
    buckets: HashMap<String, Bucket>,
}

/// What the bucket that is nearest to empty says: `x-ratelimit-*`.
pub(super) type Headers = Vec<(&'static str, String)>;

impl Limits {
    /// Full buckets.
    pub(super) fn new(plan: Plan) -> Limits {
        Limits { plan, buckets: HashMap::new() }
    }

    /// Takes a token for a call at `now` (UNIX seconds): the headers of its answer, or the 429.
    pub(super) fn take(&mut self, group: &str, method: &str, now: f64) -> Result<Headers, Answer> {
        let whole = self.plan.whole().map(|rate| ("Global limit".to_owned(), rate));
        let group = self.plan.group(group, method);
        let group = group.map(|(name, rate)| (format!("Global per second {name} group limit"), rate));
        let asked: Vec<(String, Rate)> = whole.into_iter().chain(group).collect();
        let mut headers = Headers::new();
        for (name, (burst, per_minute)) in &asked {
            let bucket = self.buckets.entry(name.clone()).or_insert(Bucket { tokens: *burst, at: now });
            let back = (now - bucket.at).max(0.0) * per_minute / MINUTE;
            *bucket = Bucket { tokens: (bucket.tokens + back).min(*burst), at: now.max(bucket.at) };
            let short = 1.0 - bucket.tokens;
            if short > 0.0 {
                let problem = Problem::new(429, format!("{name} has been reached"), "too_many_requests");
                let mut answer = Answer::from(problem);
                answer.headers = describe(*burst, 0.0, now + short * MINUTE / per_minute);
                return Err(answer);
            }
        }
        for (name, (burst, per_minute)) in &asked {
            let Some(bucket) = self.buckets.get_mut(name) else { continue };
            bucket.tokens -= 1.0;
            headers = describe(*burst, bucket.tokens, now + MINUTE / per_minute);
        }
        Ok(headers)
    }
}

fn describe(burst: f64, remaining: f64, reset: f64) -> Headers {
    vec![
        ("x-ratelimit-limit", format!("{burst:.0}")),
        ("x-ratelimit-remaining", format!("{:.0}", remaining.floor())),
        ("x-ratelimit-reset", format!("{:.0}", reset.ceil())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let mut limits = Limits::new(Plan::Free);
        assert_eq!(limits.take("users", "GET", 100.0).unwrap()[1].1, "1");
        assert!(limits.take("users", "PATCH", 100.0).is_ok());
        let refused = limits.take("roles", "GET", 100.1).unwrap_err();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers[2], ("x-ratelimit-reset", "101".to_owned()));
        assert!(limits.take("roles", "GET", 100.6).is_ok());
    }
}
