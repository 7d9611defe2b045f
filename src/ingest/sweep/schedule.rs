//! When a table is compared. What is asked for comes first; the rest by the time since it was last
//! compared or filled. A comparison that takes many calls is rare where nothing happens: an idle
//! tenant must cost next to nothing.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::Result;
use crate::ingest::Context;
use crate::pg::fault;

/// In a tenant where nothing happens a table's comparisons take so many lists in each interval at most.
const LISTS: usize = 10;

/// A table to compare.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) table: String,
    pub(super) gap: bool,
    /// How many lists it takes.
    pub(super) lists: usize,
}

/// What is known of a table's comparisons.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Somebody has asked for it, and it is not over.
    pub(super) asked: bool,
    /// A live source has lost its place.
    pub(super) gap: bool,
    /// Seconds since it was last compared or filled.
    age: f64,
    /// How many lists the last comparison took.
    pub(super) lists: Option<usize>,
}

impl Entry {
    /// Since it was last compared or filled.
    pub(super) fn age(&self) -> Duration {
        Duration::try_from_secs_f64(self.age.max(0.0)).unwrap_or(Duration::MAX)
    }

    /// Whether the table is due, whatever it costs.
    pub(super) fn may_be_due(&self, every: Option<Duration>) -> bool {
        self.asked || every.is_some_and(|every| self.age() >= every)
    }

    /// Whether the table is due where its comparison takes so many lists; `asleep`: nothing has
    /// happened in the tenant since the last one.
    pub(super) fn is_due(&self, every: Option<Duration>, lists: usize, asleep: bool) -> bool {
        let rarer = if asleep { lists.div_ceil(LISTS).max(1) } else { 1 };
        let every = every.map(|every| every.saturating_mul(u32::try_from(rarer).unwrap_or(u32::MAX)));
        self.may_be_due(every)
    }
}

/// The tables that are filled, by name.
///
/// # Errors
/// Database errors.
pub(super) async fn read(context: &Context) -> Result<HashMap<String, Entry>> {
    let rows: Vec<(String, bool, bool, f64, Option<i64>)> = sqlx::query_as(include_str!("../sql/sweeps.sql"))
        .bind(&context.schema)
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read when tables were compared"))?;
    let entry = |(table, asked, gap, age, lists): (String, bool, bool, f64, Option<i64>)| {
        (table, Entry { asked, gap, age, lists: lists.and_then(|lists| usize::try_from(lists).ok()) })
    };
    Ok(rows.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn entry(days: f64, asked: bool) -> Entry {
        Entry { asked, gap: false, age: days * 86_400.0, lists: None }
    }

    #[test]
    fn a_table_is_due_a_while_after_it_was_read_and_when_asked() {
        assert!(!entry(0.9, false).is_due(Some(DAY), 1, false));
        assert!(entry(1.0, false).is_due(Some(DAY), 1, false));
        assert!(entry(0.0, true).is_due(Some(DAY), 1000, true));
        assert!(!entry(50.0, false).is_due(None, 1, false), "only when asked");
        assert!(entry(0.0, true).is_due(None, 1, false));
    }

    #[test]
    fn where_nothing_happens_what_is_dear_is_rare() {
        assert!(entry(1.0, false).is_due(Some(DAY), 10, true), "few lists are cheap");
        assert!(!entry(1.0, false).is_due(Some(DAY), 11, true));
        assert!(entry(2.0, false).is_due(Some(DAY), 11, true));
        assert!(entry(1.0, false).is_due(Some(DAY), 100_000, false), "something has happened");
        // Whatever it takes, it is about so many lists a day.
        for lists in [1, 30, 1000, 1_000_000] {
            let days = (1..).find(|n| entry(f64::from(*n), false).is_due(Some(DAY), lists, true)).unwrap();
            assert!(lists as f64 / f64::from(days) <= LISTS as f64);
        }
    }
}
