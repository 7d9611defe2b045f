//! Rows that a strict statement has changed at Auth0 while its transaction has not ended, or has been
//! rolled back and is not taken back yet. Nothing else may be sent for such a row, and nothing that is
//! read of it may be applied: what Auth0 shows may never have happened.

use std::collections::HashMap;

use tokio::sync::{Notify, watch};

use crate::catalog::RowKey;

type Name = (String, RowKey);

/// The undecided rows of one tenant, each with the transaction that decides.
#[derive(Debug, Default)]
pub struct Undecided {
    rows: watch::Sender<HashMap<Name, u64>>,
    wanted: Notify,
}

impl Undecided {
    /// Takes a row for a transaction; waits while it is another's.
    pub async fn take(&self, name: &Name, txid: u64) {
        let mut rows = self.rows.subscribe();
        loop {
            let mut mine = false;
            self.rows.send_if_modified(|rows| {
                mine = *rows.entry(name.clone()).or_insert(txid) == txid;
                false
            });
            if mine {
                return;
            }
            self.wanted.notify_waiters();
            // The sender lives as long as `self`.
            let _ = rows.wait_for(|rows| !rows.contains_key(name)).await;
        }
    }

    /// A transaction is decided: its rows are free.
    pub fn release(&self, txid: u64) {
        self.rows.send_modify(|rows| rows.retain(|_, holder| *holder != txid));
    }

    /// Whether nobody may know yet what the row is.
    pub fn has(&self, table: &str, key: &RowKey) -> bool {
        let rows = self.rows.borrow();
        !rows.is_empty() && rows.contains_key(&(table.to_owned(), key.clone()))
    }

    /// Waits until the row is decided.
    pub async fn free(&self, name: &Name) {
        if self.has(&name.0, &name.1) {
            self.wanted.notify_waiters();
            let _ = self.rows.subscribe().wait_for(|rows| !rows.contains_key(name)).await;
        }
    }

    /// Resolves when somebody begins to wait for a row.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_row_belongs_to_one_transaction_at_a_time_and_goes_to_who_waits() {
        let undecided = Undecided::default();
        let name = ("t".to_owned(), RowKey::single("a"));
        undecided.take(&name, 1).await;
        undecided.take(&name, 1).await;
        assert!(undecided.has("t", &name.1) && !undecided.has("other", &name.1));
        let mut second = Box::pin(undecided.take(&name, 2));
        assert!(second.as_mut().now_or_never().is_none());
        let mut reader = Box::pin(undecided.free(&name));
        assert!(reader.as_mut().now_or_never().is_none());
        undecided.release(1);
        second.await;
        assert!(undecided.has("t", &name.1), "it is the second's now");
        undecided.release(2);
        reader.await;
        assert!(!undecided.has("t", &name.1));
    }
}
