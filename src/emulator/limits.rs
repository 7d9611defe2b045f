//! Rate limits: token buckets for the tenant and for groups of calls, by plan. The figures are
//! Auth0's published ones, from the catalogue; the clock is passed in.

use std::collections::HashMap;

use super::problem::{Answer, Problem};
use super::token;
use crate::catalog::{Plan, REST, Rate, WHOLE};

/// The bucket of the token endpoint.
const TOKEN: &str = "token";

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: f64,
}

impl Bucket {
    /// Fills it up to `now`; the tokens that are missing to a whole one.
    fn fill(&mut self, rate: Rate, now: f64) -> f64 {
        let back = (now - self.at).max(0.0) * rate.per_second();
        *self = Bucket { tokens: (self.tokens + back).min(f64::from(rate.burst)), at: now.max(self.at) };
        1.0 - self.tokens
    }
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

    /// Takes the tokens of a call of this group at `now` (UNIX seconds): the headers of its answer, or
    /// the 429. The whole is looked at first, and what it let through has taken its token.
    pub(super) fn take(&mut self, group: Option<&str>, now: f64) -> Result<Headers, Answer> {
        let asked: Vec<(String, Rate)> =
            self.plan.buckets(group).map(|(name, rate)| (name.to_owned(), rate)).collect();
        let mut nearest: Option<(f64, Headers)> = None;
        for (name, rate) in &asked {
            let bucket = self.bucket(name, *rate, now);
            let short = bucket.fill(*rate, now);
            if short > 0.0 {
                let what = format!("{} has been reached", words(name, *rate));
                let mut answer = Answer::from(Problem::new(429, what, "too_many_requests"));
                answer.headers = describe(*rate, 0.0, now + short / rate.per_second());
                return Err(answer);
            }
            bucket.tokens -= 1.0;
            let left = bucket.tokens / f64::from(rate.burst);
            if nearest.as_ref().is_none_or(|(least, _)| left <= *least) {
                nearest = Some((left, describe(*rate, bucket.tokens, now + 1.0 / rate.per_second())));
            }
        }
        Ok(nearest.map(|(_, headers)| headers).unwrap_or_default())
    }

    /// Takes the token of a request to the token endpoint, or refuses it.
    pub(super) fn take_token(&mut self, now: f64) -> Result<(), Answer> {
        let Some(rate) = self.plan.token else { return Ok(()) };
        let bucket = self.bucket(TOKEN, rate, now);
        let short = bucket.fill(rate, now);
        if short > 0.0 {
            let mut answer = token::refused(429, "too_many_requests", "Global limit has been reached");
            answer.headers = describe(rate, 0.0, now + short / rate.per_second());
            return Err(answer);
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    fn bucket(&mut self, name: &str, rate: Rate, now: f64) -> &mut Bucket {
        let full = Bucket { tokens: f64::from(rate.burst), at: now };
        self.buckets.entry(name.to_owned()).or_insert(full)
    }
}

/// How Auth0's refusal names a limit.
fn words(name: &str, rate: Rate) -> String {
    let unit = match rate.unit.as_secs() {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    };
    match name {
        WHOLE | REST => "Global limit".to_owned(),
        group => format!("Global per {unit} {group} group limit"),
    }
}

fn describe(rate: Rate, remaining: f64, reset: f64) -> Headers {
    vec![
        ("x-ratelimit-limit", rate.burst.to_string()),
        ("x-ratelimit-remaining", format!("{:.0}", remaining.floor())),
        ("x-ratelimit-reset", format!("{:.0}", reset.ceil())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(plan: &str) -> Limits {
        Limits::new(crate::catalog::Limits::load().unwrap().plan(plan).unwrap().clone())
    }

    fn message(answer: &Answer) -> String {
        answer.body.as_ref().unwrap()["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let mut limits = limits("free");
        assert_eq!(limits.take(None, 100.0).unwrap()[1].1, "1");
        assert!(limits.take(None, 100.0).is_ok());
        let refused = limits.take(None, 100.1).unwrap_err();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers[2], ("x-ratelimit-reset", "101".to_owned()));
        assert!(limits.take(None, 100.6).is_ok());
    }

    #[test]
    fn the_limit_of_the_whole_is_looked_at_before_that_of_the_group() {
        let (group, mut limits) = (Some("organizations_write"), limits("enterprise"));
        for n in (0..5).rev() {
            // The group is nearer to empty than the whole, so the answer tells of it.
            let headers = limits.take(group, 100.0).unwrap();
            assert_eq!((headers[0].1.as_str(), headers[1].1.clone()), ("5", n.to_string()));
        }
        let refused = limits.take(group, 100.0).unwrap_err();
        assert_eq!(message(&refused), "Global per minute organizations_write group limit has been reached");
        assert!((0..44).all(|_| limits.take(None, 100.0).is_ok()), "the refused call has taken one");
        assert_eq!(message(&limits.take(group, 100.0).unwrap_err()), "Global limit has been reached");
    }

    #[test]
    fn tokens_have_a_limit_of_their_own() {
        let mut limits = limits("free");
        assert!((0..30).all(|_| limits.take_token(100.0).is_ok()));
        assert_eq!(limits.take_token(100.0).unwrap_err().status, 429);
        assert!(limits.take(None, 100.0).is_ok());
    }
}
