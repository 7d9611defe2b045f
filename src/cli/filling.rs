//! How far the filling of a table is, as `status` and `backfill` tell it. The numbers are those of
//! `_auth0_sync.backfill`, at most a second old.

use serde::{Deserialize, Serialize};

/// The filling of one table. What is expected is none where Auth0 does not tell it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, sqlx::FromRow)]
pub(super) struct Filling {
    /// `export`, `search` or `list`, once that is decided.
    pub(super) method: Option<String>,
    /// Rows so far.
    pub(super) rows: Option<i64>,
    pub(super) rows_expected: Option<i64>,
    /// Calls so far.
    pub(super) calls: Option<i64>,
    pub(super) calls_expected: Option<i64>,
    /// At the limits of the plan.
    pub(super) minutes_expected: Option<f64>,
    /// Since it began.
    pub(super) seconds: Option<f64>,
}

impl Filling {
    /// From 0 to 100: by rows where their number is known, else by calls.
    pub(super) fn percent(&self) -> Option<u64> {
        let share = |done: Option<i64>, all: Option<i64>| {
            let all = all.filter(|all| *all > 0)?;
            u64::try_from(done.unwrap_or(0).saturating_mul(100) / all).ok().map(|percent| percent.min(100))
        };
        share(self.rows, self.rows_expected).or_else(|| share(self.calls, self.calls_expected))
    }

    /// Rows a second since it began.
    pub(super) fn rate(&self) -> f64 {
        self.rows.unwrap_or(0) as f64 / self.seconds.unwrap_or(0.0).max(1.0)
    }

    /// Calls that are still to be made, by estimate.
    pub(super) fn calls_left(&self) -> i64 {
        (self.calls_expected.unwrap_or(0) - self.calls.unwrap_or(0)).max(0)
    }

    /// `300 of 700 rows, 90 rows/s, 3 of 7 calls, by search`.
    pub(super) fn counts(&self) -> String {
        let of = |done: Option<i64>, all: Option<i64>| {
            let done = done.unwrap_or(0);
            all.filter(|all| *all >= done).map_or(done.to_string(), |all| format!("{done} of {all}"))
        };
        let method = self.method.as_deref().map(|method| format!(", by {method}")).unwrap_or_default();
        let rows = of(self.rows, self.rows_expected);
        let calls = of(self.calls, self.calls_expected);
        format!("{rows} rows, {:.0} rows/s, {calls} calls{method}", self.rate())
    }

    /// The same with the percentage before it.
    pub(super) fn told(&self) -> String {
        let percent = self.percent().map(|percent| format!("{percent} % ")).unwrap_or_default();
        format!("{percent}({})", self.counts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_tells_what_is_known_and_never_more_than_all_of_it() {
        let filling = Filling {
            method: Some("list".into()),
            rows: Some(450),
            calls: Some(5),
            calls_expected: Some(10),
            seconds: Some(5.0),
            ..Filling::default()
        };
        assert_eq!(filling.told(), "50 % (450 rows, 90 rows/s, 5 of 10 calls, by list)");
        let more = Filling { rows_expected: Some(400), ..filling.clone() };
        assert_eq!(more.told(), "100 % (450 rows, 90 rows/s, 5 of 10 calls, by list)");
        assert_eq!(filling.calls_left(), 5);
        assert_eq!(Filling::default().told(), "(0 rows, 0 rows/s, 0 calls)");
        let nothing = Filling { rows_expected: Some(0), ..Filling::default() };
        assert_eq!(nothing.percent(), None, "nothing of nothing");
    }
}
