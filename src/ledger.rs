//! How far an ordered source is done, pure: the position of the longest run of batches whose parts
//! have all ended. Batches arrive in order, parts end in any order.

use std::collections::VecDeque;

/// A batch in the ledger; what was received earlier is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

#[derive(Debug)]
struct Batch<P> {
    position: P,
    open: u64,
    loaded: bool,
}

/// Batches in the order of their source; `P` is a position in it.
#[derive(Debug)]
pub struct Ledger<P> {
    first: u64,
    batches: VecDeque<Batch<P>>,
    done: Option<P>,
}

impl<P> Default for Ledger<P> {
    fn default() -> Self {
        Ledger { first: 0, batches: VecDeque::new(), done: None }
    }
}

impl<P> Ledger<P> {
    /// A batch that ends at `position` has been received.
    pub fn received(&mut self, position: P) -> Token {
        self.batches.push_back(Batch { position, open: 0, loaded: false });
        Token(self.first + self.batches.len() as u64 - 1)
    }

    /// One more part of it is queued.
    pub fn queued(&mut self, token: Token) {
        if let Some(batch) = self.batch(token) {
            batch.open += 1;
        }
    }

    /// One part of it has ended.
    pub fn ended(&mut self, token: Token) {
        if let Some(batch) = self.batch(token) {
            batch.open = batch.open.saturating_sub(1);
        }
    }

    /// All its parts are queued.
    pub fn loaded(&mut self, token: Token) {
        if let Some(batch) = self.batch(token) {
            batch.loaded = true;
        }
    }

    /// The position up to which everything has ended; none before the first batch has.
    pub fn done(&mut self) -> Option<&P> {
        while self.batches.front().is_some_and(|batch| batch.loaded && batch.open == 0) {
            self.done = self.batches.pop_front().map(|batch| batch.position);
            self.first += 1;
        }
        self.done.as_ref()
    }

    /// Batches of which something has not ended yet, or before which something has not.
    pub fn open(&self) -> usize {
        self.batches.len()
    }

    fn batch(&mut self, token: Token) -> Option<&mut Batch<P>> {
        let index = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        self.batches.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_stops_before_the_first_batch_with_something_open() {
        let mut ledger = Ledger::default();
        let (a, b, c) = (ledger.received(10), ledger.received(20), ledger.received(30));
        for token in [a, b, c] {
            ledger.queued(token);
            ledger.loaded(token);
        }
        ledger.ended(b);
        assert_eq!(ledger.done(), None);
        ledger.ended(a);
        assert_eq!(ledger.done(), Some(&20));
        assert_eq!(ledger.open(), 1);
        ledger.ended(c);
        assert_eq!(ledger.done(), Some(&30));
        let d = ledger.received(40);
        assert_eq!(ledger.done(), Some(&30), "not loaded yet: what it holds is not known");
        ledger.loaded(d);
        assert_eq!(ledger.done(), Some(&40));
    }
}
