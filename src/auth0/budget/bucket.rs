//! One token bucket, pure: what is ours of it, and what Auth0's own is believed to hold.
//!
//! Two levels, because a limit is shared: `ours` fills at our share of the rate and keeps the reserve
//! for others; `theirs` follows Auth0's bucket, which others empty too, and is corrected by every answer.

use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::Rate;

/// Sums of fractions may miss a whole token by this.
const NEARLY: f64 = 1e-6;
/// How far the time at which Auth0 counted a call may be misjudged, in tokens.
const FUZZ: f64 = 0.1;
/// Where only answers tell how fast a bucket fills, one call finds out at most so often.
const PROBE: Duration = Duration::from_secs(1);

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Its name in `limits.toml`, or what Auth0 showed of it.
    pub(super) name: String,
    /// The most that Auth0's holds.
    pub(super) burst: f64,
    /// Tokens a second that come into Auth0's; none where only its answers tell.
    pub(super) per_second: Option<f64>,
    /// The part that is ours, 0 to 1.
    share: f64,
    ours: f64,
    theirs: f64,
    /// Whether an answer has told how full Auth0's is.
    sure: bool,
    at: Instant,
    /// Where the rate is not known: when Auth0 adds tokens next.
    next: Option<Instant>,
    /// Nothing leaves before this time.
    held: Option<Instant>,
    /// Tokens taken ever; tells which calls an answer has not counted yet.
    taken: u64,
    /// Refusals ever.
    pub(super) throttled: u64,
    used: Minute,
}

impl Bucket {
    /// A bucket whose figures are published. Until an answer tells, Auth0's may be as good as empty:
    /// others, or this service before a restart, may have used it.
    pub(super) fn published(name: &str, rate: Rate, share: f64, now: Instant) -> Bucket {
        let burst = f64::from(rate.burst);
        let bucket = Bucket::known(name.to_owned(), burst, share, now);
        Bucket { per_second: Some(rate.per_second()), theirs: 1.0, ..bucket }
    }

    /// A bucket of which Auth0's answers alone tell.
    pub(super) fn learnt(burst: u64, share: f64, now: Instant) -> Bucket {
        Bucket::known(format!("of {burst}"), burst as f64, share, now)
    }

    fn known(name: String, burst: f64, share: f64, now: Instant) -> Bucket {
        Bucket {
            name,
            burst,
            per_second: None,
            share,
            ours: (burst * share).max(1.0),
            theirs: burst,
            sure: false,
            at: now,
            next: None,
            held: None,
            taken: 0,
            throttled: 0,
            used: Minute::since(now),
        }
    }

    /// Fills it up to `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.held = self.held.filter(|until| *until > now);
        match self.per_second {
            Some(rate) => {
                let capacity = (self.burst * self.share).max(1.0);
                self.ours = (self.ours + seconds * rate * self.share).min(capacity);
                self.theirs = (self.theirs + seconds * rate).min(self.burst);
            }
            None if self.theirs < self.least() && self.next.is_none_or(|next| next <= now) => {
                self.theirs = self.least();
                self.next = Some(now + PROBE);
            }
            None => {}
        }
    }

    /// What Auth0's must hold for a call of ours: without a rate of our own the reserve stays in it.
    fn least(&self) -> f64 {
        match self.per_second {
            Some(_) => 1.0,
            None => 1.0 + (self.burst * (1.0 - self.share) + NEARLY).floor().min(self.burst - 1.0),
        }
    }

    /// When a token is there, if nothing else takes it; none where one is there now.
    pub(super) fn ready(&self, now: Instant) -> Option<Instant> {
        let mut wait = Duration::ZERO;
        let short = self.least() - self.theirs;
        match self.per_second {
            Some(rate) => {
                let own = (1.0 - self.ours) / (rate * self.share);
                let seconds = own.max(short / rate);
                if seconds > NEARLY {
                    wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
                }
            }
            None if short > NEARLY => {
                wait = self.next.map_or(PROBE, |next| next.saturating_duration_since(now));
            }
            None => {}
        }
        let free = (!wait.is_zero()).then(|| now + wait.min(FAR));
        free.max(self.held.filter(|until| *until > now))
    }

    /// Whether nothing leaves, and until when.
    pub(super) fn held(&self) -> Option<Instant> {
        self.held
    }

    /// Tokens that we could take at once.
    pub(super) fn available(&self) -> f64 {
        if self.held.is_some() {
            return 0.0;
        }
        let theirs = self.theirs - (self.least() - 1.0);
        let ours = if self.per_second.is_some() { self.ours } else { theirs };
        ours.min(theirs).max(0.0)
    }

    /// Tokens that come back to us in a second; none where only answers tell.
    pub(super) fn our_rate(&self) -> Option<f64> {
        Some(self.per_second? * self.share)
    }

    /// Calls in the last minute.
    pub(super) fn used(&self, now: Instant) -> u32 {
        self.used.sum(now)
    }

    /// How many tokens were taken ever.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a token; the number that tells this call from those after it.
    pub(super) fn take(&mut self, now: Instant) -> u64 {
        self.ours -= 1.0;
        self.theirs -= 1.0;
        self.taken += 1;
        self.used.count(now);
        self.taken
    }

    /// A call has not left after all.
    pub(super) fn put_back(&mut self) {
        self.ours += 1.0;
        self.theirs += 1.0;
    }

    /// An answer told what was left in Auth0's after call `serial`, which left at `sent`; `reset` is
    /// when Auth0 adds tokens next.
    pub(super) fn told(
        &mut self,
        remaining: u64,
        reset: Option<Instant>,
        (serial, sent): (u64, Instant),
        now: Instant,
    ) {
        self.advance(now);
        let after = self.taken.saturating_sub(serial) as f64;
        let counted = now.saturating_duration_since(sent).as_secs_f64() / 2.0;
        // Only whole tokens are told: it holds this or up to one more.
        let least = remaining as f64 + self.per_second.unwrap_or(0.0) * counted - after;
        if !self.sure || self.per_second.is_none() {
            self.sure = true;
            self.theirs = least;
        } else if self.theirs > least + 1.0 + FUZZ {
            // Others take whole tokens.
            self.theirs -= (self.theirs - least - 1.0).ceil();
        } else if self.theirs < least - FUZZ {
            self.theirs += (least - self.theirs).ceil();
        }
        self.theirs = self.theirs.min(self.burst);
        if self.per_second.is_none() {
            self.next = reset.map(|reset| reset.max(now)).or(Some(now + PROBE));
        }
    }

    /// An answer came without a word on the limit: nothing says that Auth0's is not full.
    pub(super) fn untold(&mut self) {
        if !self.sure {
            self.sure = true;
            self.theirs = self.theirs.max(self.burst - self.taken as f64);
        }
    }

    /// Nothing leaves before `soonest`, should that be later than the rate lets expect.
    pub(super) fn wait_for(&mut self, soonest: Option<Instant>, now: Instant) {
        let expected = self.ready(now).unwrap_or(now);
        self.held = self.held.max(soonest.filter(|soonest| *soonest > expected));
    }

    /// Auth0 refused a call: nothing more before `until`.
    pub(super) fn refused(&mut self, until: Instant, now: Instant) {
        self.advance(now);
        self.sure = true;
        self.throttled += 1;
        self.theirs = self.theirs.min(0.0);
        self.held = self.held.max(Some(until));
        if self.per_second.is_none() {
            self.next = Some(until);
        }
    }

    /// Auth0's is smaller than is published for the plan: from now on its answers alone tell.
    pub(super) fn distrust(&mut self, burst: u64) {
        self.burst = burst as f64;
        self.per_second = None;
        self.theirs = self.theirs.min(self.burst);
    }
}

/// No wait is longer; who waits looks again then.
const FAR: Duration = Duration::from_secs(86_400);

/// How often something happened in each of the last 60 seconds.
#[derive(Clone, Debug)]
struct Minute {
    began: Instant,
    last: u64,
    counts: [u32; 60],
}

impl Minute {
    fn since(began: Instant) -> Minute {
        Minute { began, last: 0, counts: [0; 60] }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs().max(self.last)
    }

    fn count(&mut self, now: Instant) {
        let second = self.second(now);
        for passed in (self.last + 1..=second).take(60) {
            self.counts[(passed % 60) as usize] = 0;
        }
        if second - self.last >= 60 {
            self.counts = [0; 60];
        }
        self.last = second;
        self.counts[(second % 60) as usize] += 1;
    }

    fn sum(&self, now: Instant) -> u32 {
        let gone = (self.second(now) - self.last).min(60);
        let old = (1..=gone).map(|n| self.counts[((self.last + n) % 60) as usize]);
        self.counts.iter().sum::<u32>() - old.sum::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// A bucket of which an answer has told that it is full.
    fn bucket(rate: &str, now: Instant) -> Bucket {
        let mut bucket = Bucket::published("b", rate.parse().unwrap(), 0.8, now);
        bucket.untold();
        bucket
    }

    #[test]
    fn our_share_of_burst_and_rate_is_taken_and_no_more() {
        let start = Instant::now();
        let mut bucket = bucket("10, 60/minute", start);
        let mut burst = 0;
        while bucket.ready(start).is_none() {
            bucket.take(start);
            burst += 1;
        }
        assert_eq!(burst, 8);
        let next = bucket.ready(start).unwrap();
        assert!((next - start).as_secs_f64() - 1.25 < 0.001, "0.8 of a token comes in a second");
        bucket.advance(next);
        assert_eq!(bucket.ready(next), None);
    }

    #[test]
    fn a_bucket_too_small_to_share_still_lets_one_call_through() {
        let now = Instant::now();
        let mut bucket = bucket("1, 1/second", now);
        assert_eq!(bucket.ready(now), None);
        bucket.take(now);
        assert!((bucket.ready(now).unwrap() - now).as_secs_f64() - 1.25 < 0.001);
    }

    #[test]
    fn what_others_took_is_taken_off_and_what_is_on_its_way_is_not_counted_twice() {
        let now = Instant::now();
        let mut bucket = bucket("10, 1/second", now);
        let first = bucket.take(now);
        bucket.take(now);
        bucket.take(now);
        // As if nobody else called: 9 were left after the first.
        bucket.told(9, None, (first, now), now);
        assert_eq!(bucket.theirs, 7.0);
        // Somebody took six: three were left after the first of our three calls, so one is left now.
        bucket.told(3, None, (first, now), now);
        assert_eq!(bucket.theirs, 2.0);
        assert_eq!(bucket.available(), 2.0);
    }

    #[test]
    fn a_bucket_is_trusted_to_be_full_only_when_an_answer_says_so() {
        let now = Instant::now();
        let mut bucket = Bucket::published("b", "50, 16/second".parse().unwrap(), 0.8, now);
        let first = bucket.take(now);
        assert!(bucket.ready(now).is_some(), "the first call finds out");
        bucket.told(30, None, (first, now), now);
        assert_eq!(bucket.available(), 30.0);
    }

    #[test]
    fn a_refusal_holds_it_until_the_end_and_an_earlier_end_does_not_shorten_that() {
        let now = Instant::now();
        let mut bucket = bucket("10, 1/second", now);
        bucket.refused(after(now, 9.0), now);
        bucket.refused(after(now, 1.0), now);
        assert_eq!((bucket.ready(now), bucket.available()), (Some(after(now, 9.0)), 0.0));
        bucket.advance(after(now, 9.0));
        assert_eq!(bucket.ready(after(now, 9.0)), None);
    }

    #[test]
    fn without_a_rate_the_reserve_stays_and_one_call_after_the_reset_finds_out() {
        let now = Instant::now();
        let mut bucket = Bucket::learnt(10, 0.8, now);
        let serial = bucket.take(now);
        bucket.told(3, Some(after(now, 2.0)), (serial, now), now);
        assert_eq!(bucket.ready(now), None, "3 are left, 2 of them are the reserve");
        bucket.take(now);
        assert_eq!(bucket.ready(now), Some(after(now, 2.0)));
        let then = after(now, 2.0);
        bucket.advance(then);
        assert_eq!(bucket.ready(then), None);
        bucket.take(then);
        assert!(bucket.ready(then).is_some());
    }

    #[test]
    fn the_last_minute_is_counted() {
        let start = Instant::now();
        let mut minute = Minute::since(start);
        for second in 0..100 {
            minute.count(after(start, f64::from(second)));
        }
        assert_eq!(minute.sum(after(start, 99.0)), 60);
        assert_eq!(minute.sum(after(start, 129.0)), 30);
        assert_eq!(minute.sum(after(start, 500.0)), 0);
        minute.count(after(start, 500.0));
        assert_eq!(minute.sum(after(start, 500.0)), 1);
    }
}
