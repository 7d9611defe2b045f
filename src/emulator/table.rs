//! The rows of one table by key and in the order of their creation. Reaching a row by its key, its
//! place or its number, adding one and removing one never walk through the others.

use std::collections::HashMap;
use std::sync::Arc;

use super::store::Row;

/// So many rows stand together; one more and they are parted.
const CHUNK: usize = 512;

#[derive(Debug)]
struct Entry {
    key: String,
    row: Arc<Row>,
}

/// Rows by key, in the order of creation.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Key → number.
    numbers: HashMap<String, u64>,
    /// Ascending by number; none is empty.
    chunks: Vec<Vec<Entry>>,
}

impl Table {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The row with a key.
    pub(super) fn get(&self, key: &str) -> Option<&Row> {
        self.numbered(*self.numbers.get(key)?).map(|(_, row)| row)
    }

    /// The row with a number, and its key.
    pub(super) fn numbered(&self, number: u64) -> Option<(&String, &Row)> {
        let (chunk, place) = self.place(number);
        let entry = self.chunks.get(chunk)?.get(place).filter(|entry| entry.row.number == number)?;
        Some((&entry.key, &entry.row))
    }

    /// Where the first row stands whose number is not smaller.
    fn place(&self, number: u64) -> (usize, usize) {
        let before = |entry: &Entry| entry.row.number < number;
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(before));
        (chunk, self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(before)))
    }

    /// Every key and row.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Row)> + '_ {
        self.entries_at((0, 0)).map(|entry| (&entry.key, &*entry.row))
    }

    /// Every key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> + '_ {
        self.iter().map(|(key, _)| key)
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
        self.entries_at((chunk, count)).map(|entry| (&entry.key, &*entry.row))
    }

    /// The rows with larger numbers, shared: they stay as they are while the table changes.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Arc<Row>> + '_ {
        self.entries_at(self.place(number + 1)).map(|entry| &entry.row)
    }

    fn entries_at(&self, (chunk, place): (usize, usize)) -> impl Iterator<Item = &Entry> + '_ {
        self.chunks.iter().skip(chunk).flatten().skip(place)
    }

    /// Stores a row at the place of its number; the row that it replaces.
    pub(super) fn put(&mut self, key: String, row: Row) -> Option<Arc<Row>> {
        let old = match self.numbers.get(&key) {
            Some(number) if *number != row.number => self.remove(&key),
            _ => None,
        };
        let (chunk, place) = self.place(row.number);
        let row = Arc::new(row);
        if let Some(entry) = self.chunks.get_mut(chunk).and_then(|rows| rows.get_mut(place))
            && entry.row.number == row.number
        {
            return Some(std::mem::replace(&mut entry.row, row));
        }
        self.numbers.insert(key.clone(), row.number);
        let entry = Entry { key, row };
        if chunk == self.chunks.len() {
            match self.chunks.last_mut().filter(|rows| rows.len() < CHUNK) {
                Some(rows) => rows.push(entry),
                None => {
                    let mut rows = Vec::with_capacity(CHUNK);
                    rows.push(entry);
                    self.chunks.push(rows);
                }
            }
            return old;
        }
        let rows = &mut self.chunks[chunk];
        rows.insert(place, entry);
        if rows.len() > 2 * CHUNK {
            let rest = rows.split_off(CHUNK);
            self.chunks.insert(chunk + 1, rest);
        }
        old
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Row>> {
        let number = self.numbers.remove(key)?;
        let (chunk, place) = self.place(number);
        let rows = self.chunks.get_mut(chunk)?;
        let entry = rows.remove(place);
        if rows.is_empty() {
            self.chunks.remove(chunk);
        }
        Some(entry.row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn row(number: u64) -> Row {
        Row { number, ..Row::default() }
    }

    proptest! {
        #[test]
        fn a_table_is_a_map_in_the_order_of_numbers(steps in prop::collection::vec((any::<bool>(), 0_u64..2_000), 1..4_000)) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for (put, number) in steps {
                let key = number.to_string();
                if put {
                    prop_assert_eq!(table.put(key, row(number)).is_some(), model.insert(number, ()).is_some());
                } else {
                    prop_assert_eq!(table.remove(&key).is_some(), model.remove(&number).is_some());
                }
            }
            let all: Vec<u64> = model.keys().copied().collect();
            prop_assert_eq!(table.len(), all.len());
            prop_assert_eq!(table.values().map(|row| row.number).collect::<Vec<_>>(), all.clone());
            for start in [0, 1, all.len() / 2, all.len()] {
                let found: Vec<u64> = table.iter().skip(start).map(|(_, row)| row.number).take(3).collect();
                let expected: Vec<u64> = all.iter().copied().skip(start).take(3).collect();
                prop_assert_eq!(found, expected);
            }
            for start in [0, 1, all.len() / 2, all.len()] {
                let found: Vec<u64> = table.skip(start).map(|(_, row)| row.number).take(3).collect();
                let expected: Vec<u64> = all.iter().copied().skip(start).take(3).collect();
                prop_assert_eq!(found, expected);
            }
            for number in [0, 7, 1_000, 1_999] {
                prop_assert_eq!(table.get(&number.to_string()).is_some(), model.contains_key(&number));
                let found: Vec<u64> = table.after(number).map(|row| row.number).take(3).collect();
                let expected: Vec<u64> = model.range(number + 1..).map(|(key, ())| *key).take(3).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
