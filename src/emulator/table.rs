//! The rows of one table by key and in the order of their creation. Reaching a row by its key, its
//! place, its number or an indexed value, adding one and removing one never walk through the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::index::{Index, Indexed};
use super::packed::{Held, Packed};
use super::store::Row;

/// So many rows stand together; one more and they are parted.
const CHUNK: usize = 512;
/// Where a table has more rows than this, new ones are packed.
const ROOMY: usize = 4_096;
/// So many packed rows may stand open at the end of a request.
const OPEN: usize = 4_096;

#[derive(Debug)]
struct Entry {
    key: String,
    number: u64,
    held: Held,
    /// A packed row that somebody works with.
    open: OnceLock<Box<Row>>,
}

/// Rows by key, in the order of creation.
#[derive(Debug)]
pub(super) struct Table {
    /// Key → number.
    numbers: HashMap<String, u64>,
    /// Ascending by number; none is empty.
    chunks: Vec<Vec<Entry>>,
    indexes: Vec<Index>,
    /// Beyond so many rows they are packed.
    roomy: usize,
    /// Numbers of packed rows that stand open.
    opened: Mutex<Vec<u64>>,
    /// How many rows have been looked at.
    visited: AtomicU64,
}

impl Default for Table {
    fn default() -> Table {
        Table::new(&[])
    }
}

impl Table {
    /// An empty table with these indexes.
    pub(super) fn new(indexed: &[Indexed]) -> Table {
        let indexes = indexed.iter().map(|of| Index::build(of.clone(), std::iter::empty())).collect();
        Table {
            numbers: HashMap::new(),
            chunks: Vec::new(),
            indexes,
            roomy: ROOMY,
            opened: Mutex::default(),
            visited: AtomicU64::new(0),
        }
    }

    /// Replaces its indexes.
    pub(super) fn index(&mut self, indexed: &[Indexed]) {
        let build = |of: &Indexed| {
            let rows = self.chunks.iter().flatten();
            Index::build(of.clone(), rows.map(|entry| (entry.key.as_str(), entry.number, entry.held.view())))
        };
        self.indexes = indexed.iter().map(build).collect();
    }

    /// Its index of this, where it has one.
    pub(super) fn indexed(&self, of: &Indexed) -> Option<&Index> {
        self.indexes.iter().find(|index| index.of() == of)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// How many rows have been looked at since the table is there.
    pub(super) fn visited(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }

    /// The row with a key.
    pub(super) fn get(&self, key: &str) -> Option<&Row> {
        self.numbered(*self.numbers.get(key)?).map(|(_, row)| row)
    }

    /// The number of the row with a key.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.numbers.get(key).copied()
    }

    /// The row with a number, and its key.
    pub(super) fn numbered(&self, number: u64) -> Option<(&String, &Row)> {
        self.entry(number).map(|entry| (&entry.key, self.row(entry)))
    }

    /// The same as it is kept.
    pub(super) fn held(&self, number: u64) -> Option<(&String, &Held)> {
        self.visited.fetch_add(1, Ordering::Relaxed);
        self.entry(number).map(|entry| (&entry.key, &entry.held))
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let (chunk, place) = self.place(number);
        self.chunks.get(chunk)?.get(place).filter(|entry| entry.number == number)
    }

    fn row<'t>(&'t self, entry: &'t Entry) -> &'t Row {
        self.visited.fetch_add(1, Ordering::Relaxed);
        match &entry.held {
            Held::Open(row) => row,
            Held::Packed(packed) => entry.open.get_or_init(|| {
                self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(entry.number);
                Box::new(packed.row(entry.number))
            }),
        }
    }

    /// Closes packed rows that stand open, where they are many.
    pub(super) fn rest(&mut self) {
        let opened = self.opened.get_mut().unwrap_or_else(PoisonError::into_inner);
        if opened.len() <= OPEN {
            return;
        }
        for number in std::mem::take(opened) {
            let (chunk, place) = self.place(number);
            if let Some(entry) = self.chunks.get_mut(chunk).and_then(|rows| rows.get_mut(place)) {
                entry.open = OnceLock::new();
            }
        }
    }

    /// Where the first row stands whose number is not smaller.
    fn place(&self, number: u64) -> (usize, usize) {
        let before = |entry: &Entry| entry.number < number;
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(before));
        (chunk, self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(before)))
    }

    /// Every key and row. Of a large table `scan` needs less.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Row)> + '_ {
        self.entries_at((0, 0)).map(|entry| (&entry.key, self.row(entry)))
    }

    /// Every key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> + '_ {
        self.entries_at((0, 0)).map(|entry| &entry.key)
    }

    /// Every row.
    pub(super) fn values(&self) -> impl Iterator<Item = &Row> + '_ {
        self.iter().map(|(_, row)| row)
    }

    /// The rows from the one with this place (from 0) on.
    pub(super) fn skip(&self, mut count: usize) -> impl Iterator<Item = (&String, &Row)> + '_ {
        let mut chunk = 0;
        while self.chunks.get(chunk).is_some_and(|rows| rows.len() <= count) {
            count -= self.chunks[chunk].len();
            chunk += 1;
        }
        self.entries_at((chunk, count)).map(|entry| (&entry.key, self.row(entry)))
    }

    /// Key, number and row, as it is kept, of rows with larger numbers.
    pub(super) fn scan(&self, after: u64) -> impl Iterator<Item = (&String, u64, &Held)> + '_ {
        self.entries_at(self.place(after + 1)).map(|entry| {
            self.visited.fetch_add(1, Ordering::Relaxed);
            (&entry.key, entry.number, &entry.held)
        })
    }

    fn entries_at(&self, (chunk, place): (usize, usize)) -> impl Iterator<Item = &Entry> + '_ {
        self.chunks.iter().skip(chunk).flatten().skip(place)
    }

    /// Stores a row at the place of its number; says whether it replaces one.
    pub(super) fn put(&mut self, key: String, row: Row) -> bool {
        let moved = match self.numbers.get(&key) {
            Some(number) if *number != row.number => self.remove(&key),
            _ => false,
        };
        let number = row.number;
        let packed = (self.numbers.len() >= self.roomy).then(|| Packed::of(&row)).flatten();
        let held = packed.map_or_else(|| Held::Open(Arc::new(row)), Held::Packed);
        let (chunk, place) = self.place(number);
        let there = self.chunks.get_mut(chunk).and_then(|rows| rows.get_mut(place));
        if let Some(entry) = there.filter(|entry| entry.number == number) {
            for index in &mut self.indexes {
                index.remove(&key, number, entry.held.view());
                index.add(&key, number, held.view());
            }
            (entry.held, entry.open) = (held, OnceLock::new());
            return true;
        }
        self.indexes.iter_mut().for_each(|index| index.add(&key, number, held.view()));
        self.numbers.insert(key.clone(), number);
        self.insert((chunk, place), Entry { key, number, held, open: OnceLock::new() });
        moved
    }

    fn insert(&mut self, (chunk, place): (usize, usize), entry: Entry) {
        if chunk == self.chunks.len() {
            match self.chunks.last_mut().filter(|rows| rows.len() < CHUNK) {
                Some(rows) => rows.push(entry),
                None => {
                    let mut rows = Vec::with_capacity(CHUNK);
                    rows.push(entry);
                    self.chunks.push(rows);
                }
            }
            return;
        }
        let rows = &mut self.chunks[chunk];
        rows.insert(place, entry);
        if rows.len() > 2 * CHUNK {
            let rest = rows.split_off(CHUNK);
            self.chunks.insert(chunk + 1, rest);
        }
    }

    /// Removes a row; says whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some(number) = self.numbers.remove(key) else { return false };
        let (chunk, place) = self.place(number);
        let Some(rows) = self.chunks.get_mut(chunk) else { return false };
        let entry = rows.remove(place);
        if rows.is_empty() {
            self.chunks.remove(chunk);
        }
        self.indexes.iter_mut().for_each(|index| index.remove(key, number, entry.held.view()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn row(number: u64, value: u64) -> Row {
        let at = DateTime::from_timestamp(value.cast_signed() * 3_600, 0).unwrap().to_rfc3339();
        let body = json!({"name": format!("Name {}", value % 7), "at": at});
        Row { number, body: body.as_object().unwrap().clone(), ..Row::default() }
    }

    proptest! {
        #[test]
        fn a_table_is_a_map_in_the_order_of_numbers_whose_indexes_know_every_row(
            steps in prop::collection::vec((0_u8..4, 0_u64..2_000, 0_u64..50), 1..3_000),
            roomy in 0_usize..500,
        ) {
            let of = [Indexed::Text("name".into()), Indexed::Moment("at".into()), Indexed::Part(1)];
            let mut table = Table { roomy, ..Table::new(&of) };
            let mut model: BTreeMap<u64, u64> = BTreeMap::new();
            let key = |number: u64| super::super::keys::key_of([number.to_string().as_str(), &(number % 5).to_string()]);
            for (step, number, value) in steps {
                match step {
                    0 => prop_assert_eq!(table.remove(&key(number)), model.remove(&number).is_some()),
                    1 => {
                        let found = table.get(&key(number)).map(|row| row.body["name"].clone());
                        prop_assert_eq!(found, model.get(&number).map(|value| json!(format!("Name {}", value % 7))));
                    }
                    _ => prop_assert_eq!(table.put(key(number), row(number, value)), model.insert(number, value).is_some()),
                }
            }
            let all: Vec<u64> = model.keys().copied().collect();
            prop_assert_eq!(table.len(), all.len());
            prop_assert_eq!(table.values().map(|row| row.number).collect::<Vec<_>>(), all.clone());
            for start in [0, 1, all.len() / 2, all.len()] {
                let found: Vec<u64> = table.skip(start).map(|(_, row)| row.number).take(3).collect();
                let expected: Vec<u64> = all.iter().copied().skip(start).take(3).collect();
                prop_assert_eq!(found, expected);
            }
            for after in [0, 7, 1_000, 1_999] {
                let found: Vec<u64> = table.scan(after).map(|(_, number, _)| number).take(3).collect();
                let expected: Vec<u64> = model.range(after + 1..).map(|(key, _)| *key).take(3).collect();
                prop_assert_eq!(found, expected);
            }
            for rebuilt in [false, true] {
                if rebuilt {
                    table.index(&of);
                }
                let named: Vec<u64> = table.indexed(&of[0]).unwrap().with("NAME 3", 500).collect();
                let expected = model.iter().filter(|(number, value)| **number > 500 && *value % 7 == 3);
                prop_assert_eq!(named, expected.map(|(number, _)| *number).collect::<Vec<_>>());
                let part: Vec<u64> = table.indexed(&of[2]).unwrap().with("4", 0).collect();
                prop_assert_eq!(part, all.iter().copied().filter(|number| *number > 0 && number % 5 == 4).collect::<Vec<_>>());
                let times = table.indexed(&of[1]).unwrap();
                let hour = 3_600_000_000;
                let found: BTreeSet<u64> = times.between(10 * hour, 20 * hour).collect();
                let expected = model.iter().filter(|(_, value)| (10..=20).contains(*value));
                prop_assert_eq!(found, expected.map(|(number, _)| *number).collect::<BTreeSet<_>>());
                prop_assert_eq!(times.between(20 * hour, 10 * hour).count(), 0);
                prop_assert!(times.is_exact());
                prop_assert_eq!(times.len(), all.len());
            }
        }
    }

    #[test]
    fn rows_that_were_opened_are_closed_again() {
        let mut table = Table { roomy: 0, ..Table::default() };
        let count = OPEN as u64 + 10;
        for number in 1..=count {
            table.put(number.to_string(), row(number, number));
        }
        assert_eq!(table.values().count() as u64, count);
        table.rest();
        assert!(table.chunks.iter().flatten().all(|entry| entry.open.get().is_none()));
        assert_eq!(table.get("7").unwrap().body, row(7, 7).body);
    }
}
