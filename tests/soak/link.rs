//! A client's connection, which breaks when Postgres does.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::support::Stand;
use crate::tally::Tally;

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It returned; so many rows.
    Done(u64),
    /// The server refused it: nothing is stored.
    Refused,
    /// The connection broke first.
    Unknown,
}

/// A connection that is made anew when it is needed.
pub(crate) struct Link {
    url: String,
    /// The first statement of each connection.
    greeting: &'static str,
    /// What its statements are counted as.
    name: &'static str,
    connection: Option<PgConnection>,
    tally: Arc<Tally>,
}

impl Link {
    pub(crate) fn new(stand: &Stand, name: &'static str, greeting: &'static str, tally: Arc<Tally>) -> Self {
        Link { url: stand.app_url.clone(), greeting, name, connection: None, tally }
    }

    /// Whether there is a server to talk to.
    pub(crate) async fn is_there(&mut self) -> bool {
        if self.connection.is_none()
            && let Ok(mut made) = PgConnection::connect(&self.url).await
            && made.execute(self.greeting).await.is_ok()
        {
            self.connection = Some(made);
        }
        self.connection.is_some()
    }

    /// One statement, counted by its table and its end.
    pub(crate) async fn run(&mut self, sql: &str) -> End {
        let Some(connection) = self.connection.as_mut() else { return End::Unknown };
        let end = match connection.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(done) => End::Done(done.rows_affected()),
            Err(error) => self.failed(&error),
        };
        self.count(sql, end);
        end
    }

    /// The first value of the first row as text, if any; an error tells how it ended instead.
    pub(crate) async fn text(&mut self, sql: &str) -> Result<Option<String>, End> {
        let Some(connection) = self.connection.as_mut() else { return Err(End::Unknown) };
        match connection.fetch_optional(AssertSqlSafe(sql.to_owned())).await {
            Ok(row) => {
                self.count(sql, End::Done(1));
                Ok(row.and_then(|row| row.get(0)))
            }
            Err(error) => {
                let end = self.failed(&error);
                self.count(sql, end);
                Err(end)
            }
        }
    }

    fn failed(&mut self, error: &sqlx::Error) -> End {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // Class 57 and 08 end the connection, but for a statement that has waited too long.
            Some(code) if code == "57014" || !(code.starts_with("57") || code.starts_with("08")) => {
                self.tally.add(&format!("{}: refused with {code}", self.name));
                End::Refused
            }
            _ => {
                self.connection = None;
                End::Unknown
            }
        }
    }

    fn count(&self, sql: &str, end: End) {
        let table = sql.split("auth0.").skip(1).find(|rest| !rest.starts_with("write("));
        let table = table.and_then(|rest| rest.split([' ', '(']).next()).unwrap_or_default();
        let verb = sql.split(' ').next().unwrap_or_default();
        let word = match end {
            End::Done(_) => "done",
            End::Refused => "refused",
            End::Unknown => "not answered",
        };
        self.tally.add(&format!("{}: {verb} {table} {word}", self.name));
        if matches!(end, End::Done(_)) && verb != "select" {
            self.tally.written();
        }
    }
}
