//! How long an answer says to wait, by its headers.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::super::answer::RateHeaders;
use super::gate::Told;

/// A limit that says nothing about its end ends after this.
pub(in crate::auth0) const DEFAULT_HOLD: Duration = Duration::from_secs(1);
/// No header holds calls for longer: a wrong clock or a daily quota must not stop the service.
const MAX_HOLD: Duration = Duration::from_secs(60);

/// How long to hold: `Retry-After` where it is given, else until `x-ratelimit-reset`, which is on
/// Auth0's clock and therefore compared with the same answer's `Date`. `unix` is our own time, for
/// answers without one.
pub(in crate::auth0) fn hold(headers: &HeaderMap, unix: Duration) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    if let Some(seconds) = text(RETRY_AFTER).and_then(|value| value.trim().parse::<u64>().ok()) {
        return Some(Duration::from_secs(seconds).min(MAX_HOLD));
    }
    let reset = RateHeaders::read(headers).reset?;
    let theirs = text(DATE).and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
    // `Date` has no fraction: their clock may be up to a second further, which only waits longer.
    let now = theirs.map_or(unix.as_secs_f64(), |date| date.timestamp() as f64);
    Some(Duration::try_from_secs_f64(reset as f64 - now).unwrap_or_default().min(MAX_HOLD))
}

/// What the headers of an answer say of the limit.
pub(super) fn read(status: u16, headers: &HeaderMap, unix: Duration) -> Told {
    let rate = RateHeaders::read(headers);
    let wait = hold(headers, unix);
    Told { refused: status == 429, limit: rate.limit, remaining: rate.remaining, wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_hold_is_read_from_the_answers_own_clock_and_bounded() {
        let unix = Duration::from_secs(1_000);
        let hold = |pairs| hold(&headers(pairs), unix);
        assert_eq!(hold(&[]), None);
        assert_eq!(hold(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(hold(&[("retry-after", "86400")]), Some(MAX_HOLD));
        assert_eq!(hold(&[("x-ratelimit-reset", "1003")]), Some(Duration::from_secs(3)));
        assert_eq!(hold(&[("x-ratelimit-reset", "900")]), Some(Duration::ZERO));
        assert_eq!(hold(&[("x-ratelimit-reset", "99999999")]), Some(MAX_HOLD));
        let date = [("x-ratelimit-reset", "12"), ("date", "Thu, 01 Jan 1970 00:00:10 GMT")];
        assert_eq!(hold(&date), Some(Duration::from_secs(2)));
    }
}
