//! The apply position, pure: the end of the longest run of commits whose mutations have all settled.

use std::collections::VecDeque;

/// A commit in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

#[derive(Debug)]
struct Commit {
    lsn: u64,
    open: u64,
    loaded: bool,
}

/// Commits in the order of the stream.
#[derive(Debug, Default)]
pub struct Ledger {
    first: u64,
    commits: VecDeque<Commit>,
    applied: u64,
}

impl Ledger {
    /// A commit that ends at `lsn` has been received.
    pub fn received(&mut self, lsn: u64) -> Token {
        self.commits.push_back(Commit { lsn, open: 0, loaded: false });
        Token(self.first + self.commits.len() as u64 - 1)
    }

    /// One more of its mutations is queued.
    pub fn queued(&mut self, token: Token) {
        if let Some(commit) = self.commit(token) {
            commit.open += 1;
        }
    }

    /// One of its mutations has settled.
    pub fn settled(&mut self, token: Token) {
        if let Some(commit) = self.commit(token) {
            commit.open = commit.open.saturating_sub(1);
        }
    }

    /// All its mutations that had not settled are queued.
    pub fn loaded(&mut self, token: Token) {
        if let Some(commit) = self.commit(token) {
            commit.loaded = true;
        }
    }

    /// The apply position, as far as it is known.
    pub fn applied(&mut self) -> u64 {
        while let Some(commit) = self.commits.front().filter(|commit| commit.loaded && commit.open == 0) {
            self.applied = self.applied.max(commit.lsn);
            self.commits.pop_front();
            self.first += 1;
        }
        self.applied
    }

    fn commit(&mut self, token: Token) -> Option<&mut Commit> {
        let index = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        self.commits.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_stops_before_the_first_commit_with_something_open() {
        let mut ledger = Ledger::default();
        let (a, b, c) = (ledger.received(10), ledger.received(20), ledger.received(30));
        for token in [a, b, c] {
            ledger.queued(token);
            ledger.loaded(token);
        }
        ledger.settled(b);
        assert_eq!(ledger.applied(), 0);
        ledger.settled(a);
        assert_eq!(ledger.applied(), 20);
        ledger.settled(c);
        assert_eq!(ledger.applied(), 30);
        let d = ledger.received(40);
        assert_eq!(ledger.applied(), 30, "not loaded yet: what it holds is not known");
        ledger.loaded(d);
        assert_eq!(ledger.applied(), 40);
    }
}
