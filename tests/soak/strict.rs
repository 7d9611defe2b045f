//! A client in strict mode: what has returned is at Auth0, what has failed is at neither side.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clients::{Book, OWN};
use crate::diary::{Diary, Promise};
use crate::link::{End, Link};
use crate::pace::Pace;
use crate::statements::statement;
use crate::support::Stand;
use crate::tally::Tally;

/// Begins the names of rows that are made in strict mode; nobody else deletes them.
pub(crate) const STRICT: &str = "diarystrict";

/// A statement gives up soon: the service is away much of the time.
const GREETING: &str = "set auth0.write_mode = 'strict'; set auth0.strict_timeout = '2 seconds'";

/// One client.
pub(crate) struct Strict {
    book: Book,
    made: u64,
    link: Link,
    rng: StdRng,
}

impl Strict {
    pub(crate) async fn begin(number: u64, seed: u64, stand: &Stand, tally: Arc<Tally>) -> Self {
        let name = format!("strict{number}");
        let diary = Diary { strict: true, ..Diary::begin(&name, stand).await };
        Strict {
            book: Book::new(name, vec![diary]),
            made: 0,
            link: Link::new(stand, "strict client", GREETING, tally),
            rng: StdRng::seed_from_u64(seed ^ (0x57c + number)),
        }
    }

    /// Writes again and again; returns the books.
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
            0..40 => self.note().await,
            40..55 => self.transaction().await,
            55..67 => self.savepoint().await,
            67..82 => self.make().await,
            82..90 => self.unmake().await,
            _ => {
                self.made += 1;
                let word = format!("{}-{}", self.book.name, self.made);
                let sql = statement(&mut self.rng, &word, self.made);
                self.link.run(&sql).await;
            }
        }
    }

    fn diary(&mut self) -> &mut Diary {
        &mut self.book.diaries[0]
    }

    /// An entry by a statement alone.
    async fn note(&mut self) {
        let read = self.diary().read();
        if let Ok(shown) = self.link.text(&read).await {
            let diary = self.diary();
            assert!(diary.may_show(shown.as_deref()), "{} shows {shown:?}: {:?}", diary.user, diary.entries);
        }
        let (entry, sql) = self.diary().next_entry();
        let end = self.link.run(&sql).await;
        self.diary().ended(entry, end, Promise::Sent);
    }

    /// Two entries that are committed together, or rolled back.
    async fn transaction(&mut self) {
        let entries = [self.diary().next_entry(), self.diary().next_entry()];
        let commits = self.rng.random_bool(0.5);
        let mut statements = vec!["begin"];
        statements.extend(entries.iter().map(|(_, sql)| sql.as_str()));
        statements.push(if commits { "commit" } else { "rollback" });
        let end = self.all(&statements).await;
        let done = if commits { Promise::Sent } else { Promise::Refused };
        entries.iter().for_each(|(entry, _)| self.diary().ended(*entry, end, done));
    }

    /// Two entries, the second of which is rolled back.
    async fn savepoint(&mut self) {
        let [first, second] = [self.diary().next_entry(), self.diary().next_entry()];
        let statements = ["begin", &first.1, "savepoint s", &second.1, "rollback to s", "commit"];
        let end = self.all(&statements).await;
        self.diary().ended(first.0, end, Promise::Sent);
        self.diary().promise(second.0, Promise::Refused);
    }

    /// Statements of one transaction; rolled back at the first that fails.
    async fn all(&mut self, statements: &[&str]) -> End {
        for sql in statements {
            match self.link.run(sql).await {
                End::Done(_) => {}
                End::Refused => {
                    self.link.run("rollback").await;
                    return End::Refused;
                }
                // What was not committed before the connection broke never will be.
                End::Unknown if *sql != "commit" => return End::Refused,
                End::Unknown => return End::Unknown,
            }
        }
        End::Done(1)
    }

    /// A new row with a name of its own.
    async fn make(&mut self) {
        self.made += 1;
        let name = format!("{OWN}{}-{}", self.book.name, self.made);
        let (table, column, sql) = match self.rng.random_range(0..4) {
            0 => ("role", "id", format!("insert into auth0.role (name) values ('{name}')")),
            1 => ("organization", "id", format!("insert into auth0.organization (name) values ('{name}')")),
            2 => ("client", "client_id", format!("insert into auth0.client (name) values ('{name}')")),
            _ => (
                "user",
                "user_id",
                format!(
                    "insert into auth0.user (user_id, email, connection, password) values \
                     ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-enough-1A!')"
                ),
            ),
        };
        match self.link.text(&format!("{sql} returning {column}")).await {
            Ok(key) => {
                let key = key.unwrap_or_default();
                assert!(!key.starts_with("new_") && !key.is_empty(), "{table} {name} has the key {key}");
                self.book.made.insert((table, name));
            }
            Err(End::Refused) => drop(self.book.refused.insert((table, name))),
            Err(_) => {}
        }
    }

    /// Deletes a row that it has made.
    async fn unmake(&mut self) {
        // Auth0 has it no longer when the statement returns.
        let gone = self.book.unmake(&mut self.link, &mut self.rng).await;
        self.book.refused.extend(gone);
    }
}
