//! The gate before every call: who waits, and until when. Shared by all clones of a client.
//!
//! It never sleeps or reads a clock by itself: [`Budget::wait_until`] is asked and [`Budget::learn`]
//! is told, both with the time. Today every lane waits alike; buckets by plan come in here.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::answer::RateHeaders;
use super::transport::Now;

/// What a call is for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A client's write, and what settles it.
    Write,
    /// Something that changed at Auth0 is read again.
    Refetch,
    /// Everything is compared.
    Sweep,
    /// A table is filled.
    Backfill,
}

/// A limit that says nothing about its end ends after this.
const DEFAULT_HOLD: Duration = Duration::from_secs(1);
/// No header holds calls for longer: a wrong clock or a daily quota must not stop the service.
const MAX_HOLD: Duration = Duration::from_secs(60);
/// Those who waited start again spread over this, so that they do not run into the limit at once.
const SPREAD: Duration = Duration::from_millis(100);

/// When calls may leave.
#[derive(Debug, Default)]
pub struct Budget {
    held_until: Mutex<Option<Instant>>,
}

impl Budget {
    /// The time before which no call of this lane may leave; none where it may leave now.
    /// `random` in [0, 1) spreads those who wait.
    pub fn wait_until(&self, _lane: Lane, now: Instant, random: f64) -> Option<Instant> {
        let mut held = self.lock();
        let until = (*held)?;
        if until <= now {
            *held = None;
            return None;
        }
        Some(until + SPREAD.mul_f64(random.clamp(0.0, 1.0)))
    }

    /// Takes what an answer says about the limit: after a 429, or with nothing remaining, calls are
    /// held until the reset. An older answer never shortens what a newer one said.
    pub fn learn(&self, status: u16, headers: &HeaderMap, now: Now) {
        if status == 429 || RateHeaders::read(headers).remaining == Some(0) {
            let until = now.instant + hold(headers, now.unix);
            let mut held = self.lock();
            *held = Some(held.map_or(until, |before| before.max(until)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.held_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long to hold: `Retry-After` where it is given, else until `x-ratelimit-reset`, which is on
/// Auth0's clock and therefore compared with the same answer's `Date`.
pub(super) fn hold(headers: &HeaderMap, unix: Duration) -> Duration {
    let text = |name| headers.get(name)?.to_str().ok();
    if let Some(seconds) = text(RETRY_AFTER).and_then(|value| value.trim().parse::<u64>().ok()) {
        return Duration::from_secs(seconds).min(MAX_HOLD);
    }
    let Some(reset) = RateHeaders::read(headers).reset else { return DEFAULT_HOLD };
    let theirs = text(DATE).and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
    // `Date` has no fraction: their clock may be up to a second further, which only waits longer.
    let now = theirs.map_or(unix.as_secs_f64(), |date| date.timestamp() as f64);
    Duration::try_from_secs_f64(reset as f64 - now).unwrap_or_default().min(MAX_HOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn now() -> Now {
        Now { instant: Instant::now(), unix: Duration::from_secs(1_000) }
    }

    #[test]
    fn the_hold_is_read_from_the_answers_own_clock_and_bounded() {
        let unix = Duration::from_secs(1_000);
        assert_eq!(hold(&headers(&[]), unix), DEFAULT_HOLD);
        assert_eq!(hold(&headers(&[("retry-after", "7")]), unix), Duration::from_secs(7));
        assert_eq!(hold(&headers(&[("retry-after", "86400")]), unix), MAX_HOLD);
        assert_eq!(hold(&headers(&[("x-ratelimit-reset", "1003")]), unix), Duration::from_secs(3));
        assert_eq!(hold(&headers(&[("x-ratelimit-reset", "900")]), unix), Duration::ZERO);
        assert_eq!(hold(&headers(&[("x-ratelimit-reset", "99999999")]), unix), MAX_HOLD);
        let date = headers(&[("x-ratelimit-reset", "12"), ("date", "Thu, 01 Jan 1970 00:00:10 GMT")]);
        assert_eq!(hold(&date, unix), Duration::from_secs(2));
    }

    #[test]
    fn nothing_remaining_holds_every_lane_until_the_reset_and_no_longer() {
        let (budget, now) = (Budget::default(), now());
        budget.learn(200, &headers(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1005")]), now);
        assert_eq!(budget.wait_until(Lane::Write, now.instant, 0.0), None);
        budget.learn(200, &headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1005")]), now);
        let until = now.instant + Duration::from_secs(5);
        assert_eq!(budget.wait_until(Lane::Write, now.instant, 0.0), Some(until));
        assert!(budget.wait_until(Lane::Backfill, now.instant, 0.9).unwrap() < until + SPREAD);
        assert_eq!(budget.wait_until(Lane::Write, until, 0.0), None);
    }

    #[test]
    fn an_older_answer_does_not_shorten_the_hold() {
        let (budget, now) = (Budget::default(), now());
        budget.learn(429, &headers(&[("retry-after", "9")]), now);
        budget.learn(429, &headers(&[("retry-after", "1")]), now);
        let until = now.instant + Duration::from_secs(9);
        assert_eq!(budget.wait_until(Lane::Write, now.instant, 0.0), Some(until));
    }
}
