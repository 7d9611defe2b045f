//! Whether new rows are cheaper together, pure.

use std::time::Duration;

use crate::catalog::Worth;

/// Rows in one file, roughly.
const IN_A_FILE: usize = 2_500;

/// What creating rows takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Calls a second that the budget lets through; none where only answers tell.
    pub(super) per_second: Option<f64>,
    /// From how many rows on it is looked at.
    pub(super) worth: Worth,
    /// How long a job takes.
    pub(super) took: Duration,
    /// Jobs at a time.
    pub(super) at_a_time: usize,
}

impl Cost {
    /// Whether jobs are done sooner than so many calls.
    pub(super) fn is_worth(self, rows: usize) -> bool {
        let rounds = rows.div_ceil(IN_A_FILE).div_ceil(self.at_a_time.max(1));
        let jobs = self.took.as_secs_f64() * rounds as f64;
        match self.per_second {
            Some(rate) => rows >= self.worth.least && rows as f64 > jobs * rate,
            None => rows >= self.worth.many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_must_be_done_sooner_than_the_calls() {
        let worth = Worth { least: 200, many: 1_000, seconds: 10 };
        let cost = |rate| Cost { per_second: rate, worth, took: Duration::from_secs(10), at_a_time: 2 };
        assert!(cost(Some(2.0)).is_worth(200));
        assert!(!cost(Some(2.0)).is_worth(199), "few rows are not worth a job");
        assert!(!cost(Some(50.0)).is_worth(500), "as fast by calls");
        assert!(cost(Some(50.0)).is_worth(501));
        assert!(!cost(None).is_worth(999) && cost(None).is_worth(1_000));
        // Five files are three rounds of two jobs.
        assert!(!cost(Some(500.0)).is_worth(12_500) && cost(Some(400.0)).is_worth(12_500));
    }
}
