//! Which rows a list or an export has shown: digests of their keys, for there may be millions.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest, Sha256};

use crate::catalog::RowKey;

/// A set of keys. Two keys with the same digest pass for one; of ten million, two have the same
/// with a probability of one in 300,000.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<u64, BuildHasherDefault<AsItIs>>);

impl Seen {
    pub(super) fn add(&mut self, key: &RowKey) {
        self.0.insert(digest(key));
    }

    pub(super) fn has(&self, key: &RowKey) -> bool {
        self.0.contains(&digest(key))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn join(&mut self, other: Seen) {
        match self.0.is_empty() {
            true => self.0 = other.0,
            false => self.0.extend(other.0),
        }
    }

    /// Takes digests that [`digests`] has packed.
    pub(super) fn take(&mut self, packed: &[u8]) {
        let (digests, _) = packed.as_chunks::<8>();
        self.0.extend(digests.iter().map(|bytes| u64::from_be_bytes(*bytes)));
    }
}

/// The digests of keys, one after the other.
pub(super) fn digests<'k>(keys: impl IntoIterator<Item = &'k RowKey>) -> Vec<u8> {
    keys.into_iter().flat_map(|key| digest(key).to_be_bytes()).collect()
}

fn digest(key: &RowKey) -> u64 {
    let mut hash = Sha256::new();
    for part in &key.0 {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// A digest needs no hashing.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_or_taken_is_there_and_nothing_else() {
        let key = |parts: &[&str]| RowKey(parts.iter().map(|part| (*part).to_owned()).collect());
        let (mut seen, mut other) = (Seen::default(), Seen::default());
        seen.add(&key(&["a", "b"]));
        other.take(&digests([&key(&["c"]), &key(&["d"])]));
        seen.join(other);
        assert_eq!(seen.len(), 3);
        assert!(seen.has(&key(&["a", "b"])) && seen.has(&key(&["c"])) && seen.has(&key(&["d"])));
        assert!(!seen.has(&key(&["ab"])) && !seen.has(&key(&["ab", ""])) && !seen.has(&key(&["e"])));
    }
}
