//! How often the tenant log is read: often while something happens in the tenant, rarely where
//! nothing does, and never so often that the tenant's plan is spent on it. Pure; the follower of the log
//! tells it how long it has been quiet.

use std::time::Duration;

use super::{Entries, Rates};

/// A tenant counts as idle when it has been quiet for so many of the longest pauses.
const IDLE_AFTER: u32 = 3;
/// While it is not idle a pause is at most this part of the longest.
const AWAKE: u32 = 60;
/// A pause is this part of the time that it has been quiet: what comes then is found late by no more.
const SHARE: u32 = 20;
/// The same once it is idle.
const IDLE_SHARE: u32 = 4;
/// Readings take no more than this part of what the plan lets the service call.
const PLAN_SHARE: f64 = 0.25;

/// Pauses between two readings of the log.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// While something happens.
    pub busy: Duration,
    /// The longest.
    pub idle: Duration,
}

impl Pace {
    /// The same, not faster than the plan bears: changes that the log names have to be read too.
    pub fn within(self, rates: Option<&Rates>, entries: &Entries) -> Pace {
        let a_minute = rates.and_then(|rates| rates.a_minute("GET", entries.path()));
        let floor = a_minute.map(|calls| 60.0 / (calls * PLAN_SHARE));
        let floor = floor.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Pace { busy: self.busy.max(floor.unwrap_or_default()), ..self }
    }

    /// The pause after it has been quiet for this long.
    pub fn pause(&self, quiet: Duration) -> Duration {
        let longest = self.idle.max(self.busy);
        let awake = (quiet / SHARE).clamp(self.busy, self.busy.max(longest / AWAKE));
        let grown = quiet.saturating_sub(longest * IDLE_AFTER) / IDLE_SHARE;
        grown.clamp(awake, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Limits};

    const PACE: Pace = Pace { busy: Duration::from_secs(1), idle: Duration::from_secs(300) };
    const DAY: Duration = Duration::from_secs(86_400);

    /// Readings of a virtual day that begins after so much quiet, with something happening at these times.
    fn readings(pace: Pace, quiet: Duration, happens: &[Duration]) -> (u32, Duration) {
        let (mut now, mut count, mut latest, mut last) = (Duration::ZERO, 0, Duration::ZERO, None);
        let mut left = happens.to_vec();
        while now < DAY {
            count += 1;
            let found = left.iter().copied().filter(|at| *at <= now).max();
            if let Some(at) = left.iter().copied().filter(|at| *at <= now).min() {
                latest = latest.max(now - at);
            }
            left.retain(|at| *at > now);
            last = found.map(|_| now).or(last);
            let since = last.map_or(quiet + now, |last| now - last);
            now += pace.pause(since);
        }
        (count, latest)
    }

    #[test]
    fn an_idle_day_takes_a_reading_every_five_minutes() {
        assert_eq!(readings(PACE, DAY, &[]).0, 288);
    }

    #[test]
    fn what_happens_again_and_again_is_found_within_seconds() {
        let happens: Vec<_> = (0..DAY.as_secs()).step_by(97).map(Duration::from_secs).collect();
        let (_, latest) = readings(PACE, Duration::ZERO, &happens);
        assert!(latest <= Duration::from_secs(5), "{latest:?}");
    }

    #[test]
    fn a_single_event_keeps_the_follower_awake_for_a_while_and_costs_few_readings() {
        let (count, _) = readings(PACE, DAY, &[DAY / 2]);
        assert!((400..700).contains(&count), "{count}");
        let quiet = |minutes: u64| PACE.pause(Duration::from_secs(60 * minutes));
        assert_eq!(quiet(0), Duration::from_secs(1));
        assert_eq!((quiet(2), quiet(15)), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!((quiet(17), quiet(60)), (Duration::from_secs(30), Duration::from_secs(300)));
    }

    #[test]
    fn a_small_plan_is_not_spent_on_the_log() {
        let (catalog, limits) = (Catalog::bundled().unwrap(), Limits::load().unwrap());
        let entries = Entries::find(&catalog).unwrap();
        let busy = |plan: &str| {
            let plan = limits.plan(plan).unwrap().clone();
            let rates = Rates { limits: limits.clone(), plan, reserve: 20 };
            PACE.within(Some(&rates), &entries).busy
        };
        // 2 a second for everything, of which 1.6 are ours.
        assert_eq!(busy("free"), Duration::from_millis(2500));
        // 100 a minute for logs alone.
        assert_eq!(busy("professional"), Duration::from_secs(3));
        assert_eq!(busy("enterprise"), PACE.busy);
        assert_eq!(PACE.within(None, &entries).busy, PACE.busy);
        let slow = Pace { busy: Duration::from_secs(60), ..PACE };
        let free = Rates { plan: limits.plan("free").unwrap().clone(), limits, reserve: 20 };
        assert_eq!(slow.within(Some(&free), &entries).busy, slow.busy, "what is configured is a floor too");
    }

    #[test]
    fn a_pause_never_falls_below_the_shortest() {
        let slow = Pace { busy: Duration::from_secs(600), idle: Duration::from_secs(300) };
        assert_eq!(slow.pause(Duration::ZERO), Duration::from_secs(600));
        assert_eq!(slow.pause(DAY), Duration::from_secs(600));
    }
}
