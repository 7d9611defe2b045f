//! A client that holds its changes back, releases and discards them, makes them again, undoes them, and
//! waits for Auth0 where it likes.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clients::Book;
use crate::diary::{Diary, Promise};
use crate::link::{End, Link};
use crate::pace::Pace;
use crate::support::Stand;
use crate::tally::Tally;

/// Changes of the first are held; those of the second are waited for, and undone.
const HELD: usize = 0;
const WAITED: usize = 1;
/// Longer ones are let go.
const MOST_HELD: usize = 4;

/// One client.
pub(crate) struct Holder {
    book: Book,
    /// Transactions that hold an entry.
    held: Vec<(String, u64)>,
    link: Link,
    rng: StdRng,
}

impl Holder {
    pub(crate) async fn begin(seed: u64, stand: &Stand, tally: Arc<Tally>) -> Self {
        let held = Diary { ordered: false, ..Diary::begin("held", stand).await };
        let waited = Diary { ordered: false, ..Diary::begin("waited", stand).await };
        Holder {
            book: Book::new("held".to_owned(), vec![held, waited]),
            held: Vec::new(),
            link: Link::new(stand, "holder", "select", tally),
            rng: StdRng::seed_from_u64(seed ^ 0x401d),
        }
    }

    /// Writes again and again; returns the books. Held changes are left.
    pub(crate) async fn work(mut self, mut pace: Pace) -> Book {
        while pace.step().await {
            if self.link.is_there().await {
                self.write().await;
            }
        }
        self.book
    }

    async fn write(&mut self) {
        match self.rng.random_range(0..100) {
            _ if self.held.len() > MOST_HELD => self.end(true).await,
            0..25 => self.hold().await,
            25..40 => self.end(true).await,
            40..55 => self.end(false).await,
            55..65 => self.note().await,
            65..72 => self.again().await,
            72..90 => self.wait().await,
            _ => self.undo().await,
        }
    }

    /// An entry that nobody sends yet.
    async fn hold(&mut self) {
        let (entry, sql) = self.book.diaries[HELD].next_entry();
        for sql in ["begin", "set local auth0.hold = on", &sql] {
            if !matches!(self.link.run(sql).await, End::Done(_)) {
                self.link.run("rollback").await;
                return self.book.diaries[HELD].promise(entry, Promise::Refused);
            }
        }
        let Ok(Some(txid)) = self.link.text("select pg_current_xact_id()::text").await else {
            self.link.run("rollback").await;
            return self.book.diaries[HELD].promise(entry, Promise::Refused);
        };
        let end = self.link.run("commit").await;
        self.book.diaries[HELD].ended(entry, end, Promise::Kept);
        if let End::Done(_) = end {
            self.held.push((txid, entry));
        }
    }

    /// Releases or discards what is held, any of it.
    async fn end(&mut self, release: bool) {
        if self.held.is_empty() {
            return;
        }
        let (txid, entry) = self.held.swap_remove(self.rng.random_range(0..self.held.len()));
        let word = if release { "release" } else { "discard" };
        match self.link.text(&format!("select auth0.{word}('{txid}')::text")).await {
            Ok(count) => {
                assert_eq!(count.as_deref(), Some("1"), "{word} of transaction {txid}");
                let promise = if release { Promise::Sent } else { Promise::Discarded };
                self.book.diaries[HELD].promise(entry, promise);
            }
            Err(End::Refused) => panic!("transaction {txid} holds entry {entry}, and {word} is refused"),
            // It is let go at the end, where it is held still.
            Err(_) => {}
        }
    }

    /// An entry behind those that are held.
    async fn note(&mut self) {
        let (entry, sql) = self.book.diaries[HELD].next_entry();
        let end = self.link.run(&sql).await;
        self.book.diaries[HELD].ended(entry, end, Promise::Kept);
    }

    /// One that was discarded is made again.
    async fn again(&mut self) {
        let user = &self.book.diaries[HELD].user;
        let sql = format!(
            "select auth0.retry(max(id))::text from auth0._sync_cdc where key ->> 'user_id' = '{user}' and state = 'reverted' \
             having max(id) is not null"
        );
        // What becomes of it, its mutation tells.
        let _ = self.link.text(&sql).await;
    }

    /// An entry that Auth0 has when the call returns.
    async fn wait(&mut self) {
        let (entry, sql) = self.book.diaries[WAITED].next_entry();
        let call = format!("call auth0.write('{}', '2 seconds')", sql.replace('\'', "''"));
        let end = self.link.run(&call).await;
        // Time was up: it had been committed before, unless the statement itself was refused.
        let (end, promise) = match end {
            End::Refused => (End::Unknown, Promise::Open),
            end => (end, Promise::Sent),
        };
        if let End::Done(_) = end {
            let open = format!(
                "select count(*)::text from auth0._sync_cdc where key ->> 'user_id' = '{}' and after ->> 'nickname' = 'e{entry}' \
                 and settled_at is null",
                self.book.diaries[WAITED].user
            );
            if let Ok(open) = self.link.text(&open).await {
                assert_eq!(open.as_deref(), Some("0"), "write() has not waited for entry {entry}");
            }
        }
        self.book.diaries[WAITED].ended(entry, end, promise);
    }

    /// Takes the last confirmed entry back.
    async fn undo(&mut self) {
        let sql = format!(
            "select auth0.undo(max(id))::text from auth0._sync_cdc where key ->> 'user_id' = '{}' and operation = 'UPDATE' \
             and state = 'confirmed' having max(id) is not null",
            self.book.diaries[WAITED].user
        );
        let _ = self.link.text(&sql).await;
    }
}

/// Lets go what is held still, so that everything comes to its end.
pub(crate) async fn let_go(stand: &Stand) {
    let mut session = stand.session().await;
    let held =
        session.rows("select distinct txid::text as txid from auth0._sync_cdc where state = 'held'").await;
    for row in held {
        let txid = row["txid"].as_str().unwrap();
        session.count(&format!("select auth0.release('{txid}')")).await;
    }
}
