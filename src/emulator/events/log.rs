//! The events that can be read, oldest first, and the offsets that point between them.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Whatever their age, no more events than these are kept.
const MOST: usize = 50_000;

/// One event.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::emulator) struct Kept {
    /// Its place in the order of all events, from 1.
    #[serde(rename = "n")]
    pub(in crate::emulator) number: u64,
    /// Its type.
    #[serde(rename = "k")]
    pub(in crate::emulator) kind: String,
    /// When it happened, in UNIX milliseconds.
    #[serde(rename = "t")]
    pub(in crate::emulator) at: i64,
    /// The CloudEvent, as JSON.
    #[serde(rename = "e")]
    pub(in crate::emulator) text: String,
}

/// The events of a tenant.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Log {
    kept: VecDeque<Arc<Kept>>,
    last: u64,
}

/// What stands before the number in an offset.
const MARK: &str = "events:";

/// The offset behind the event with this number.
pub(in crate::emulator) fn offset(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{MARK}{number}"))
}

/// The number that an offset stands behind.
pub(super) fn number(offset: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(offset).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix(MARK)?.parse().ok()
}

impl Log {
    /// Number of the newest event that there ever was.
    pub(in crate::emulator) fn last(&self) -> u64 {
        self.last
    }

    /// Adds an event, which has the next number or a later one.
    pub(in crate::emulator) fn push(&mut self, event: Arc<Kept>) {
        self.last = self.last.max(event.number);
        self.kept.push_back(event);
        if self.kept.len() > MOST {
            self.kept.pop_front();
        }
    }

    /// Events up to this number have gone.
    pub(in crate::emulator) fn skip(&mut self, number: u64) {
        self.last = self.last.max(number);
        self.kept.retain(|event| event.number > number);
    }

    /// Forgets what happened before `oldest` (UNIX milliseconds).
    pub(super) fn forget(&mut self, oldest: i64) {
        while self.kept.front().is_some_and(|event| event.at < oldest) {
            self.kept.pop_front();
        }
    }

    /// Number of the last event that has gone.
    pub(in crate::emulator) fn gone(&self) -> u64 {
        self.kept.front().map_or(self.last, |event| event.number - 1)
    }

    /// The events after a number, at most so many.
    pub(in crate::emulator) fn after(&self, number: u64, most: usize) -> Vec<Arc<Kept>> {
        let start = self.kept.partition_point(|event| event.number <= number);
        self.kept.iter().skip(start).take(most).cloned().collect()
    }

    /// The number behind which the first event at or after a time stands (UNIX milliseconds).
    pub(super) fn before(&self, at: i64) -> u64 {
        self.kept.iter().find(|event| event.at >= at).map_or(self.last, |event| event.number - 1)
    }

    /// Every event.
    pub(in crate::emulator) fn iter(&self) -> impl Iterator<Item = &Arc<Kept>> {
        self.kept.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(numbers: std::ops::RangeInclusive<u64>) -> Log {
        let mut log = Log::default();
        for number in numbers {
            let kept = Kept { number, kind: "k".into(), at: number as i64 * 10, text: String::new() };
            log.push(Arc::new(kept));
        }
        log
    }

    fn numbers(events: &[Arc<Kept>]) -> Vec<u64> {
        events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn what_is_too_old_goes_and_later_ones_keep_their_numbers() {
        let mut log = log(1..=5);
        assert_eq!((log.gone(), log.last()), (0, 5));
        log.forget(25);
        assert_eq!((log.gone(), numbers(&log.after(0, 9))), (2, vec![3, 4, 5]));
        assert_eq!(numbers(&log.after(3, 1)), [4]);
        assert_eq!((log.before(0), log.before(31), log.before(99)), (2, 3, 5));
        log.skip(7);
        assert_eq!((log.gone(), log.last(), log.after(0, 9).len()), (7, 7, 0));
    }

    #[test]
    fn an_offset_is_read_back_and_anything_else_is_none() {
        assert_eq!(number(&offset(42)), Some(42));
        assert_eq!(number("nonsense"), None);
        assert_eq!(number(""), None);
    }
}
