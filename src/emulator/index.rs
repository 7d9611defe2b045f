//! Indexes of a table: from a value to the numbers of the rows that may have it. An entry is a code
//! of eight bytes and a number, so that a million rows cost little; what is found must be looked at
//! again where a code stands for several values.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;

use chrono::DateTime;
use serde_json::Value;

use super::keys;
use super::packed::View;

/// What an index is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    /// A field's text, without regard to case.
    Text(String),
    /// A field's time.
    Moment(String),
    /// The part of the key in this place, where keys have several.
    Part(usize),
}

/// One index.
#[derive(Debug)]
pub(super) struct Index {
    of: Indexed,
    /// Code and number.
    entries: BTreeSet<(u64, u64)>,
    /// Rows whose field holds something else than what is indexed.
    strange: usize,
}

/// What a row means to an index.
enum Code {
    None,
    Strange,
    Is(u64),
}

impl Index {
    /// An index of these rows: key, number, what they show.
    pub(super) fn build<'r>(of: Indexed, rows: impl Iterator<Item = (&'r str, u64, View<'r>)>) -> Index {
        let mut strange = 0;
        let entries = rows.filter_map(|(key, number, row)| match code(&of, key, row) {
            Code::None => None,
            Code::Strange => {
                strange += 1;
                None
            }
            Code::Is(code) => Some((code, number)),
        });
        let entries = entries.collect();
        Index { of, entries, strange }
    }

    /// What it is of.
    pub(super) fn of(&self) -> &Indexed {
        &self.of
    }

    /// A row is there.
    pub(super) fn add(&mut self, key: &str, number: u64, row: View) {
        match code(&self.of, key, row) {
            Code::None => {}
            Code::Strange => self.strange += 1,
            Code::Is(code) => drop(self.entries.insert((code, number))),
        }
    }

    /// A row is gone, which was like this.
    pub(super) fn remove(&mut self, key: &str, number: u64, row: View) {
        match code(&self.of, key, row) {
            Code::None => {}
            Code::Strange => self.strange -= 1,
            Code::Is(code) => drop(self.entries.remove(&(code, number))),
        }
    }

    /// Ascending numbers, larger than `after`, of rows that may have this text.
    pub(super) fn with(&self, text: &str, after: u64) -> impl Iterator<Item = u64> + '_ {
        let code = match self.of {
            Indexed::Part(_) => hash(text),
            _ => hash(&text.to_lowercase()),
        };
        let range = (Bound::Excluded((code, after)), Bound::Included((code, u64::MAX)));
        self.entries.range(range).map(|(_, number)| *number)
    }

    /// Numbers of the rows between two times (microseconds, both included), in the order of the times.
    pub(super) fn between(&self, low: i64, high: i64) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let (low, high) = ((ordered(low), 0), (ordered(high), u64::MAX));
        // A range that is turned round would panic.
        let range = (low <= high).then(|| self.entries.range(low..=high));
        range.into_iter().flatten().map(|(_, number)| *number)
    }

    /// Whether every row that has a value has a time: what is found need not be looked at again.
    pub(super) fn is_exact(&self) -> bool {
        self.is_whole() && matches!(self.of, Indexed::Moment(_))
    }

    /// Whether it has every row that has a value.
    pub(super) fn is_whole(&self) -> bool {
        self.strange == 0
    }

    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn code(of: &Indexed, key: &str, row: View) -> Code {
    let (field, moment) = match of {
        Indexed::Part(place) => {
            return key.split(keys::BETWEEN).nth(*place).map_or(Code::None, |part| Code::Is(hash(part)));
        }
        Indexed::Text(field) => (field, false),
        Indexed::Moment(field) => (field, true),
    };
    let value = row.field(field);
    match value.as_deref() {
        None | Some(Value::Null) => Code::None,
        Some(Value::String(text)) if moment => {
            micros(text).map_or(Code::Strange, |micros| Code::Is(ordered(micros)))
        }
        Some(Value::String(text)) => Code::Is(hash(&text.to_lowercase())),
        Some(_) => Code::Strange,
    }
}

/// A whole time, in microseconds of UNIX time.
pub(super) fn micros(text: &str) -> Option<i64> {
    // Anything shorter is no whole time, and most texts are something else.
    let dated = text.len() >= 20 && text.as_bytes()[4] == b'-';
    DateTime::parse_from_rfc3339(text).ok().filter(|_| dated).map(|time| time.timestamp_micros())
}

/// Codes in the order of what they stand for.
fn ordered(micros: i64) -> u64 {
    micros.cast_unsigned() ^ (1 << 63)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
