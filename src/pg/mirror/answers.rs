//! What Auth0 has answered to our own writes of late: its events tell the same once more, and then nothing has to
//! be looked for in the table. What a strict statement was answered may not be in the table yet, because a client holds
//! the row: what is older is not news all the same. Only where rows carry Auth0's own time of change.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, FixedOffset, Timelike};

use super::Row;
use crate::catalog::{Resource, RowKey};

/// Events lag behind by fewer writes than this, or are looked up in the table.
const REMEMBERED: usize = 20_000;

/// What a row was, as far as its events show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    at: DateTime<FixedOffset>,
    digest: u64,
}

impl Shown {
    fn of(resource: &Resource, row: &Row) -> Option<Shown> {
        let version = resource.version.as_ref()?;
        let at = DateTime::parse_from_rfc3339(row.get(version)?.as_str()?).ok()?;
        let mut digest = DefaultHasher::new();
        let shows = resource.event.iter().flat_map(|event| &event.shows);
        for column in shows.filter(|name| *name != version && resource.columns.contains_key(*name)) {
            row.get(column).hash(&mut digest);
        }
        Some(Shown { at, digest: digest.finish() })
    }

    /// A time in whole seconds may have been cut: it is before nothing.
    fn is_before(&self, other: &Shown) -> bool {
        self.at < other.at && self.at.nanosecond() != 0
    }
}

/// The last answers of one tenant, by row.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    by_row: HashMap<(String, RowKey), Shown>,
    order: VecDeque<(String, RowKey)>,
}

impl Answers {
    /// The table has what was answered to a write.
    pub(super) fn add(&self, resource: &Resource, key: &RowKey, row: &Row) {
        let Some(shown) = Shown::of(resource, row) else { return };
        let name = (resource.table.clone(), key.clone());
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.by_row.get_mut(&name) {
            Some(there) if there.at > shown.at => {}
            Some(there) => *there = shown,
            None => {
                last.by_row.insert(name.clone(), shown);
                last.order.push_back(name);
            }
        }
        if last.order.len() > REMEMBERED
            && let Some(oldest) = last.order.pop_front()
        {
            last.by_row.remove(&oldest);
        }
    }

    /// Whether what an event shows of a row is an answer, or older than one.
    pub(super) fn have(&self, resource: &Resource, key: &RowKey, row: &Row) -> bool {
        self.is_of(resource, key, row, |shown, there| shown == there || shown.is_before(there))
    }

    /// Whether a row was read before it was answered.
    pub(super) fn overtake(&self, resource: &Resource, key: &RowKey, row: &Row) -> bool {
        self.is_of(resource, key, row, Shown::is_before)
    }

    fn is_of(
        &self,
        resource: &Resource,
        key: &RowKey,
        row: &Row,
        judge: impl Fn(&Shown, &Shown) -> bool,
    ) -> bool {
        let Some(shown) = Shown::of(resource, row) else { return false };
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = last.by_row.get(&(resource.table.clone(), key.clone()));
        there.is_some_and(|there| judge(&shown, there))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn row(name: &str, time: &str) -> Row {
        json!({"user_id": "u", "name": name, "updated_at": time}).as_object().cloned().unwrap()
    }

    #[test]
    fn an_event_is_known_by_its_time_and_what_it_shows() {
        let catalog = Catalog::bundled().unwrap();
        let (user, key) = (catalog.resource("user").unwrap(), RowKey::single("u"));
        let answers = Answers::default();
        let answered = row("ours", "2026-01-01T00:00:02.5+00:00");
        assert!(!answers.have(user, &key, &answered));
        answers.add(user, &key, &answered);
        assert!(answers.have(user, &key, &row("ours", "2026-01-01T00:00:02.500Z")));
        assert!(answers.have(user, &key, &row("older", "2026-01-01T00:00:02.4Z")));
        assert!(!answers.have(user, &key, &row("another of the same time", "2026-01-01T00:00:02.5Z")));
        assert!(answers.overtake(user, &key, &row("older", "2026-01-01T00:00:02.4Z")));
        assert!(!answers.overtake(user, &key, &answered));
        assert!(!answers.have(user, &key, &row("newer", "2026-01-01T00:00:02.6Z")));
        assert!(!answers.have(user, &key, &row("cut", "2026-01-01T00:00:02Z")));
        assert!(!answers.have(user, &RowKey::single("v"), &answered));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let (answers, row) = (Answers::default(), row("n", "2026-01-01T00:00:02.5Z"));
        for n in 0..=REMEMBERED {
            answers.add(user, &RowKey::single(n.to_string()), &row);
        }
        assert!(!answers.have(user, &RowKey::single("0"), &row));
        assert!(answers.have(user, &RowKey::single("1"), &row));
    }
}
