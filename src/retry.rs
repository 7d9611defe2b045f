//! Delays between tries, growing and with jitter; the only place that knows the `backoff` crate.
//! It decides how long to wait, never whether: that is [`crate::error::Policy`].

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// The delays of one thing that is tried again and again.
#[derive(Debug)]
pub struct Delays(ExponentialBackoff);

impl Delays {
    /// Delays that begin at about `first`, double, and stay at about `longest`; they never end.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Delays(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_multiplier(2.0)
                .with_randomization_factor(0.3)
                .with_max_interval(longest)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    /// How long to wait before the next try.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// It worked: the next delay is the first again.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

impl Default for Delays {
    /// From 100 ms to 30 s.
    fn default() -> Self {
        Delays::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}

/// The pause after `tries` tries where a pure function has to say it: doubling from `first` to
/// `longest`, without jitter.
pub fn pause(tries: u32, first: Duration, longest: Duration) -> Duration {
    first.saturating_mul(2u32.saturating_pow(tries)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_begin_anew_after_success() {
        let mut delays = Delays::new(Duration::from_millis(100), Duration::from_secs(1));
        let all: Vec<_> = (0..20).map(|_| delays.next_delay()).collect();
        assert!(all[0] <= Duration::from_millis(130));
        assert!(all[10..].iter().all(|d| (700..=1_300).contains(&d.as_millis())), "{all:?}");
        delays.reset();
        assert!(delays.next_delay() <= Duration::from_millis(130));
    }
}
