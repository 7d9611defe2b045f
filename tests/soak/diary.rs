//! A row of a client's own that gets a value with a number which is never used twice: so it can be told
//! what became of each write.

use crate::clients::OWN;
use crate::link::End;
use crate::support::Stand;

/// What Postgres has promised of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Its COMMIT returned.
    Kept,
    /// The same, and Auth0 has it, or will have.
    Sent,
    /// It was committed, and its client has taken it back before it was sent.
    Discarded,
    /// It was refused or rolled back.
    Refused,
    /// Nobody knows: the connection broke.
    Open,
}

/// The row, and what its client knows of it.
#[derive(Debug)]
pub(crate) struct Diary {
    /// Its key.
    pub(crate) user: String,
    /// Whether it is written in strict mode alone.
    pub(crate) strict: bool,
    /// Whether entries go to Auth0 in their order, none again.
    pub(crate) ordered: bool,
    /// In the order of writing.
    pub(crate) entries: Vec<(u64, Promise)>,
}

impl Diary {
    /// Makes the row, with entry 0.
    pub(crate) async fn begin(name: &str, stand: &Stand) -> Self {
        let mut session = stand.session().await;
        session
            .confirmed(&format!(
                "insert into auth0.user (user_id, email, connection, password, nickname) values \
                 ('auth0|{OWN}{name}', '{OWN}{name}@example.com', 'Username-Password-Authentication', 'long-enough-1A!', 'e0')"
            ))
            .await;
        Diary { user: format!("auth0|{OWN}{name}"), strict: false, ordered: true, entries: Vec::new() }
    }

    /// The next entry, and the statement that writes it.
    pub(crate) fn next_entry(&mut self) -> (u64, String) {
        let entry = self.entries.len() as u64 + 1;
        self.entries.push((entry, Promise::Open));
        (entry, format!("update auth0.user set nickname = 'e{entry}' where user_id = '{}'", self.user))
    }

    /// What has become of an entry.
    pub(crate) fn promise(&mut self, entry: u64, promise: Promise) {
        self.entries[entry as usize - 1].1 = promise;
    }

    /// The same from the end of the statement that wrote it.
    pub(crate) fn ended(&mut self, entry: u64, end: End, done: Promise) {
        let promise = match end {
            End::Done(rows) => {
                assert!(rows <= 1, "{} has {rows} rows", self.user);
                done
            }
            End::Refused => Promise::Refused,
            End::Unknown => Promise::Open,
        };
        self.promise(entry, promise);
    }

    /// The statement that reads it.
    pub(crate) fn read(&self) -> String {
        format!("select nickname from auth0.user where user_id = '{}'", self.user)
    }

    /// Whether its client may see this: the last entry that was kept, or a later one that may have been.
    pub(crate) fn may_show(&self, shown: Option<&str>) -> bool {
        let name = |entry: u64| format!("e{entry}");
        for (entry, promise) in self.entries.iter().rev() {
            match promise {
                Promise::Refused => {}
                _ if shown == Some(name(*entry).as_str()) => return true,
                Promise::Open => {}
                Promise::Kept | Promise::Sent | Promise::Discarded => return false,
            }
        }
        shown == Some("e0")
    }
}
