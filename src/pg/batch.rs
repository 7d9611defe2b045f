//! Statements that go to the server in one message, and whose answers come back in one: a transaction takes
//! one way there and back to begin with all that it locks and reads, and one to end with all that it writes. Each
//! statement is prepared once; a connection is kept for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Either, Executor, PgConnection, Postgres};

use super::{Database, fault, literal};
use crate::error::Result;

/// A connection that has prepared more than this gives way to a new one: the server keeps a plan of each.
const PREPARED: usize = 200;

/// A statement with its arguments, which stand for `$1`, `$2` and so on.
#[derive(Debug)]
pub struct Statement {
    sql: String,
    arguments: Vec<String>,
}

impl Statement {
    /// Without arguments yet. Each distinct text is prepared once for each connection.
    pub fn new(sql: String) -> Statement {
        Statement { sql, arguments: Vec::new() }
    }

    /// The next argument: a text, or anything as the server reads it.
    pub fn text(mut self, value: &str) -> Statement {
        self.arguments.push(literal(value));
        self
    }

    /// The next argument: an array of texts, or of anything as the server reads it.
    pub fn array<T: AsRef<str>>(self, items: impl IntoIterator<Item = Option<T>>) -> Statement {
        let quoted = |item: T| format!("\"{}\"", item.as_ref().replace('\\', "\\\\").replace('"', "\\\""));
        let items = items.into_iter().map(|item| item.map_or_else(|| "NULL".to_owned(), quoted));
        self.text(&format!("{{{}}}", items.collect::<Vec<_>>().join(",")))
    }

    /// The next argument: an array of numbers.
    pub fn numbers(self, items: &[i64]) -> Statement {
        let items: Vec<_> = items.iter().map(i64::to_string).collect();
        self.text(&format!("{{{}}}", items.join(",")))
    }

    /// The next argument: JSON.
    pub fn json(self, value: &Value) -> Statement {
        self.text(&value.to_string())
    }
}

/// An expression for a statement of a batch, which fails where there are not as many as there should be, and names them.
pub fn insist(count: &str, expected: &str, what: &str) -> String {
    format!("case when {count} = {expected}::bigint then {count} else ({count} || ' {what}')::bigint end")
}

/// The connection, while nobody uses it.
#[derive(Clone)]
pub struct Batches {
    database: Database,
    idle: Arc<Mutex<Option<Session>>>,
}

/// A connection and what it has prepared: the names by the texts.
struct Session {
    connection: PoolConnection<Postgres>,
    prepared: HashMap<String, String>,
}

/// A transaction that has begun; dropping it rolls back, at the price of its connection.
pub struct Batch<'b> {
    of: &'b Batches,
    session: Session,
}

impl Batches {
    /// Over a connection of this pool, which it keeps.
    pub fn new(database: Database) -> Batches {
        Batches { database, idle: Arc::default() }
    }

    /// Begins a transaction with these statements; returns the rows of each, in the format of text.
    ///
    /// # Errors
    /// Database errors; nothing has begun then.
    pub async fn begin(&self, statements: &[Statement]) -> Result<(Batch<'_>, Vec<Vec<PgRow>>)> {
        let idle = self.idle().take();
        let session = match idle {
            Some(session) => session,
            None => Session::open(&self.database).await?,
        };
        let mut batch = Batch { of: self, session };
        let rows = batch.session.send("begin", statements, "").await?;
        Ok((batch, rows))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch<'_> {
    /// The connection, for statements that go by themselves.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }

    /// Ends the transaction with these statements; returns the rows of each.
    ///
    /// # Errors
    /// Database errors. One of a statement has rolled everything back; else it is not known whether it has been done.
    pub async fn commit(mut self, statements: &[Statement]) -> Result<Vec<Vec<PgRow>>> {
        let rows = self.session.send("", statements, "commit").await?;
        *self.of.idle() = Some(self.session).filter(|session| session.prepared.len() <= PREPARED);
        Ok(rows)
    }
}

impl Session {
    async fn open(database: &Database) -> Result<Session> {
        let connection = database.pool.acquire().await;
        let mut connection = connection.map_err(fault("cannot connect to Postgres"))?;
        // What it has prepared, and what a transaction that is dropped has locked, go with it.
        connection.close_on_drop();
        Ok(Session { connection, prepared: HashMap::new() })
    }

    /// Sends one message with all of them. After an error the session is good for nothing.
    async fn send(&mut self, first: &str, statements: &[Statement], last: &str) -> Result<Vec<Vec<PgRow>>> {
        let mut parts = Vec::new();
        // For each part whether somebody wants its rows.
        let mut wanted = Vec::new();
        if !first.is_empty() {
            parts.push(first.to_owned());
            wanted.push(false);
        }
        for Statement { sql, arguments } in statements {
            let next = format!("batch_{}", self.prepared.len());
            let name = self.prepared.entry(sql.clone()).or_insert_with(|| {
                parts.push(format!("prepare {next} as {sql}"));
                wanted.push(false);
                next
            });
            let arguments =
                if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
            parts.push(format!("execute {name}{arguments}"));
            wanted.push(true);
        }
        if !last.is_empty() {
            parts.push(last.to_owned());
            wanted.push(false);
        }
        let message = sqlx::raw_sql(AssertSqlSafe(parts.join(";\n")));
        let mut answers = (&mut *self.connection).fetch_many(message);
        let (mut all, mut rows, mut wanted) = (Vec::new(), Vec::new(), wanted.into_iter());
        while let Some(answer) = answers.try_next().await.map_err(fault("cannot run statements"))? {
            match answer {
                Either::Right(row) => rows.push(row),
                Either::Left(_) => {
                    let of_it = std::mem::take(&mut rows);
                    if wanted.next().unwrap_or_default() {
                        all.push(of_it);
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Arguments may be anybody's data: none is shown.
impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_quoted_for_the_array_and_for_the_literal() {
        let statement = Statement::new("select".to_owned())
            .text("it's")
            .array([Some(r#"a "b" \c"#), None, Some("NULL"), Some("")])
            .numbers(&[1, -2])
            .json(&json!({"o'clock": "\"\\"}))
            .array(Vec::<Option<String>>::new());
        let expected = [
            r"'it''s'",
            r#"'{"a \"b\" \\c",NULL,"NULL",""}'"#,
            "'{1,-2}'",
            r#"'{"o''clock":"\"\\"}'"#,
            "'{}'",
        ];
        assert_eq!(statement.arguments, expected);
    }
}
