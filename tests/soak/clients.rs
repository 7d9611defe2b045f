//! Clients of the database: random statements, and books of what Postgres has promised them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::diary::{Diary, Promise};
use crate::link::{End, Link};
use crate::pace::Pace;
use crate::statements::statement;
use crate::support::Stand;
use crate::tally::Tally;

/// Begins the name of every row that a client counts on: nobody else deletes it.
pub(crate) const OWN: &str = "diary";

/// What Postgres has promised a client.
#[derive(Debug)]
pub(crate) struct Book {
    /// The client's name.
    pub(crate) name: String,
    /// Rows of its own.
    pub(crate) diaries: Vec<Diary>,
    /// Whether the link was there after the last statement that returned; none where a later one
    /// did not answer.
    pub(crate) linked: Option<bool>,
    /// Names of rows whose INSERT returned and that this client has not deleted: table and name.
    pub(crate) made: BTreeSet<(&'static str, String)>,
    /// Names of rows whose INSERT failed.
    pub(crate) refused: BTreeSet<(&'static str, String)>,
    /// Names of rows that a DELETE did not find although nobody else deletes them, and when.
    pub(crate) vanished: Vec<(String, String)>,
}

impl Book {
    pub(crate) fn new(name: String, diaries: Vec<Diary>) -> Self {
        Book {
            name,
            diaries,
            linked: None,
            made: BTreeSet::new(),
            refused: BTreeSet::new(),
            vanished: Vec::new(),
        }
    }

    /// Deletes a row that the client has made; returns which, where the statement has returned.
    pub(crate) async fn unmake(
        &mut self,
        link: &mut Link,
        rng: &mut StdRng,
    ) -> Option<(&'static str, String)> {
        let (table, name) = self.made.iter().nth(rng.random_range(0..self.made.len().max(1))).cloned()?;
        let sql = match table {
            "user" => format!("delete from auth0.user where user_id = 'auth0|{name}'"),
            _ => format!("delete from auth0.{table} where name = '{name}'"),
        };
        match link.run(&sql).await {
            End::Done(0) => {
                let when = chrono::Utc::now().to_rfc3339();
                self.vanished.push((name.clone(), when));
                self.made.remove(&(table, name));
                None
            }
            End::Done(_) => self.made.take(&(table, name)),
            End::Refused => None,
            // It may be there, or not.
            End::Unknown => {
                self.made.remove(&(table, name));
                None
            }
        }
    }
}

/// One client.
pub(crate) struct Client {
    book: Book,
    made: u64,
    link: Link,
    rng: StdRng,
}

impl Client {
    /// A client with a row of its own to write a diary in, and a role to take and to give back.
    pub(crate) async fn begin(number: u64, seed: u64, stand: &Stand, tally: Arc<Tally>) -> Self {
        let diary = Diary::begin(&number.to_string(), stand).await;
        let mut session = stand.session().await;
        session.confirmed(&format!("insert into auth0.role (name) values ('{OWN}{number}')")).await;
        Client {
            book: Book { linked: Some(false), ..Book::new(number.to_string(), vec![diary]) },
            made: 0,
            link: Link::new(stand, "client", "select", tally),
            rng: StdRng::seed_from_u64(seed ^ (0xc11 + number)),
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
            0..20 => self.note().await,
            20..27 => self.take_role().await,
            27..40 => self.make().await,
            40..46 => self.unmake().await,
            _ => {
                self.made += 1;
                let word = format!("s{}-{}", self.book.name, self.made);
                let sql = statement(&mut self.rng, &word, self.made);
                self.link.run(&sql).await;
            }
        }
    }

    /// The next entry of the diary; what it has written last is what it sees.
    async fn note(&mut self) {
        let diary = &mut self.book.diaries[0];
        if let Ok(shown) = self.link.text(&diary.read()).await {
            assert!(diary.may_show(shown.as_deref()), "{} shows {shown:?}: {:?}", diary.user, diary.entries);
        }
        let (entry, sql) = diary.next_entry();
        let end = self.link.run(&sql).await;
        assert_ne!(end, End::Done(0), "{} has gone", diary.user);
        diary.ended(entry, end, Promise::Kept);
    }

    /// Takes the role, or gives it back.
    async fn take_role(&mut self) {
        let (number, there) = (self.book.name.clone(), self.rng.random_bool(0.5));
        let (user, role) = (
            format!("'auth0|{OWN}{number}'"),
            format!("select id from auth0.role where name = '{OWN}{number}'"),
        );
        let sql = match there {
            true => format!(
                "insert into auth0.user_role (user_id, role_id) select {user}, id from ({role}) r on conflict do nothing"
            ),
            false => format!("delete from auth0.user_role where user_id = {user} and role_id = ({role})"),
        };
        match self.link.run(&sql).await {
            End::Done(_) => self.book.linked = Some(there),
            End::Refused => {}
            End::Unknown => self.book.linked = None,
        }
    }

    /// A new row with a name of its own.
    async fn make(&mut self) {
        self.made += 1;
        let name = format!("{OWN}{}-{}", self.book.name, self.made);
        let (table, sql) = match self.rng.random_range(0..5) {
            0 => ("role", format!("insert into auth0.role (name, description) values ('{name}', 'x')")),
            1 => ("organization", format!("insert into auth0.organization (name) values ('{name}')")),
            2 => ("client", format!("insert into auth0.client (name) values ('{name}')")),
            3 => (
                "resource_server",
                format!(
                    "insert into auth0.resource_server (name, identifier, scopes) values \
                     ('{name}', 'https://{name}.example', '[{{\"value\": \"read:all\"}}]')"
                ),
            ),
            _ => (
                "user",
                format!(
                    "insert into auth0.user (user_id, email, connection, password) values \
                     ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-enough-1A!')"
                ),
            ),
        };
        if let End::Done(_) = self.link.run(&sql).await {
            self.book.made.insert((table, name));
        }
    }

    /// Deletes a row that it has made.
    async fn unmake(&mut self) {
        self.book.unmake(&mut self.link, &mut self.rng).await;
    }
}
