//! A client's connection: SQL in, values or the server's error out.

use serde_json::Value;
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
    pub table: String,
    pub column: String,
    /// What psql shows as CONTEXT.
    pub context: String,
}

/// One connection.
pub struct Session {
    pub connection: PgConnection,
}

impl Session {
    pub async fn open(url: &str) -> Self {
        Session { connection: PgConnection::connect(url).await.unwrap() }
    }

    /// Statements without an answer; several go as one transaction unless they say otherwise.
    pub async fn run(&mut self, sql: &str) {
        if let Err(error) = self.connection.execute(AssertSqlSafe(sql.to_owned())).await {
            panic!("{sql}: {error}");
        }
    }

    /// The same, and Auth0 confirms it.
    pub async fn confirmed(&mut self, sql: &str) {
        self.run(sql).await;
        let answer = self.wait().await;
        assert_eq!(answer, Ok("confirmed".to_owned()), "{sql}");
    }

    /// `auth0.wait()`.
    pub async fn wait(&mut self) -> Result<String, Refusal> {
        self.try_one("select auth0.wait('20 seconds')")
            .await
            .map(|answer| answer.as_str().unwrap().to_owned())
    }

    /// The first value of the first row, as JSON.
    pub async fn one(&mut self, sql: &str) -> Value {
        self.try_one(sql).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"))
    }

    pub async fn text(&mut self, sql: &str) -> String {
        match self.one(sql).await {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    pub async fn count(&mut self, sql: &str) -> i64 {
        self.one(sql).await.as_i64().unwrap()
    }

    /// All rows as JSON objects.
    pub async fn rows(&mut self, sql: &str) -> Vec<Value> {
        let sql = format!("select to_jsonb(x) from ({sql}) x");
        let rows = self.connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// A statement that the server refuses.
    pub async fn refused(&mut self, sql: &str) -> Refusal {
        match self.connection.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(_) => panic!("not refused: {sql}"),
            Err(error) => refusal(&error),
        }
    }

    async fn try_one(&mut self, sql: &str) -> Result<Value, Refusal> {
        let sql = format!("select to_jsonb(x.v) from ({sql}) x (v)");
        let row =
            self.connection.fetch_optional(AssertSqlSafe(sql)).await.map_err(|error| refusal(&error))?;
        Ok(row.and_then(|row| row.get::<Option<Value>, _>(0)).unwrap_or(Value::Null))
    }
}

pub fn refusal(error: &sqlx::Error) -> Refusal {
    let Some(error) = error.as_database_error() else { panic!("no answer of the server: {error}") };
    let error = error.downcast_ref::<PgDatabaseError>();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Refusal {
        code: error.code().to_owned(),
        message: error.message().to_owned(),
        detail: text(error.detail()),
        hint: text(error.hint()),
        table: text(error.table()),
        column: text(error.column()),
        context: text(error.r#where()),
    }
}
