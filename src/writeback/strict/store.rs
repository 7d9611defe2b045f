//! What strict statements keep in the database: the key, intents, replies. Over a pool of its own.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Row as _};

use super::intent::{Intent, Stands};
use super::line::Line;
use super::question::Key;
use crate::catalog::{Catalog, RowKey, Target};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::Operation;
use crate::pg::to_read::{self, ToRead};
use crate::pg::{Database, fault, ident};
use crate::writeback::request::Content;

/// The tables of one schema.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) schema: String,
}

impl Store {
    /// The schema's key; made where there is none.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn key(&self) -> Result<Key> {
        let [inner, outer] = Key::random().halves();
        sqlx::query(include_str!("sql/make_key.sql"))
            .bind(&self.schema)
            .bind(&inner[..])
            .bind(&outer[..])
            .execute(&self.database.pool)
            .await
            .map_err(fault("cannot make the key of strict writes"))?;
        let inner: Vec<u8> = sqlx::query_scalar(include_str!("sql/key.sql"))
            .bind(&self.schema)
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot read the key of strict writes"))?;
        Key::of_inner(&inner)
            .ok_or_else(|| Error::new(Kind::Internal, "the key of strict writes has not 64 bytes"))
    }

    /// Stores intents before anything is sent; false where their statement has given up, or ended. The statement
    /// waits for the line from here on.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn begin(
        &self,
        line: Option<&mut Line>,
        txid: u64,
        until: f64,
        intents: &[Intent],
    ) -> Result<bool> {
        let Some(statement) = intents.first().map(|intent| intent.statement) else { return Ok(false) };
        let rows: Vec<Value> = intents
            .iter()
            .map(|intent| {
                let Content { operation, key, before, after, .. } = &intent.content;
                json!({
                    "place": intent.place,
                    "table": intent.node.0,
                    "operation": operation.as_str(),
                    "key": key,
                    "before": (*operation != Operation::Insert).then_some(before),
                    "after": (*operation != Operation::Delete).then_some(after),
                    "sealed": intent.sealed,
                    "request_id": intent.request_id,
                })
            })
            .collect();
        let insert = sqlx::query(include_str!("sql/begin.sql"))
            .bind(&self.schema)
            .bind(statement)
            .bind(txid.to_string())
            .bind(Json(rows))
            .bind(until)
            .bind(line.as_ref().map(|line| line.name.clone()));
        let stored = match line {
            Some(line) => insert.execute(line.hold()).await,
            None => insert.execute(&self.database.pool).await,
        };
        let stored = stored.map_err(fault("cannot store what a strict statement is about to do"))?;
        Ok(stored.rows_affected() == intents.len() as u64)
    }

    /// Answers a statement. In the same transaction it is noted what Auth0 has of it; what it does not
    /// have is forgotten.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn answer(
        &self,
        line: Option<&mut Line>,
        statement: i64,
        intents: &[Intent],
        reply: &Value,
    ) -> Result<()> {
        let nothing: Vec<i32> = intents
            .iter()
            .filter(|intent| intent.stands == Stands::Nothing)
            .map(|intent| intent.place)
            .collect();
        let (mut places, mut made) = (Vec::new(), Vec::new());
        for intent in intents {
            if let Stands::Applied { made: key, .. } = &intent.stands {
                places.push(intent.place);
                made.push(json!(key.0));
            }
        }
        let tell = sqlx::query(include_str!("sql/answer.sql"))
            .bind(&self.schema)
            .bind(statement)
            .bind(reply)
            .bind(nothing)
            .bind(places)
            .bind(line.as_ref().map(|line| line.name.clone()))
            .bind(made);
        let told = match line {
            Some(line) => tell.execute(line.answer()).await.inspect(|_| line.let_go()),
            None => tell.execute(&self.database.pool).await,
        };
        told.map_err(fault("cannot answer a strict statement"))?;
        Ok(())
    }

    /// Keeps what is to be read.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn keep(&self, catalog: &Catalog, targets: Vec<Target>) -> Result<Vec<ToRead>> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.database.pool.acquire().await;
        let mut connection = connection.map_err(fault("cannot keep what is to be read"))?;
        to_read::keep(&mut connection, catalog, &self.schema, targets).await
    }

    /// Why an operator has paused writes, where that is said.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn paused_for(&self) -> Result<Option<String>> {
        sqlx::query_scalar("select paused_for from _auth0_sync.tenant where schema = $1")
            .bind(&self.schema)
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot read why writes are paused"))
    }

    /// Whether a transaction has ended, one way or the other.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn has_ended(&self, txid: u64) -> Result<bool> {
        sqlx::query_scalar(include_str!("sql/ended.sql"))
            .bind(txid.to_string())
            .fetch_one(&self.database.pool)
            .await
            .map_err(fault("cannot ask what has become of a transaction"))
    }

    /// Which of these a transaction that has ended has committed: request id → `_sync_cdc.id`.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn committed(&self, txid: u64, intents: &[Intent]) -> Result<HashMap<String, i64>> {
        let sql = include_str!("sql/committed.sql").replace("{schema}", &ident(&self.schema));
        let ids: Vec<String> = intents.iter().map(|intent| intent.request_id.clone()).collect();
        let found: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(txid.to_string())
            .bind(ids)
            .fetch_all(&self.database.pool)
            .await
            .map_err(fault("cannot read what a transaction has committed"))?;
        Ok(found.into_iter().collect())
    }

    /// A transaction is decided and Auth0 equal: its intents and replies go, and NOTIFY tells.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn finish(&self, txid: u64, statements: &[i64], notes: &[String]) -> Result<()> {
        sqlx::query(include_str!("sql/finish.sql"))
            .bind(&self.schema)
            .bind(txid.to_string())
            .bind(statements)
            .bind(notes)
            .execute(&self.database.pool)
            .await
            .map_err(fault("cannot forget a strict statement"))?;
        Ok(())
    }

    /// What is left of an earlier process, by transaction, in the order in which they asked.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn left(&self, catalog: &Catalog) -> Result<Vec<(u64, Vec<Intent>)>> {
        let rows = sqlx::query(include_str!("sql/open.sql"))
            .bind(&self.schema)
            .fetch_all(&self.database.pool)
            .await
            .map_err(fault("cannot read which strict statements are open"))?;
        let mut left: Vec<(u64, Vec<Intent>)> = Vec::new();
        for row in &rows {
            let table: String = row.get("table");
            let strange = || Error::new(Kind::Internal, format!("a strict change of {table} cannot be read"));
            let txid: u64 = row.get::<String, _>("txid").parse().map_err(|_| strange())?;
            let object = |name: &str| match row.get::<Option<Value>, _>(name) {
                Some(Value::Object(object)) => object,
                _ => Map::new(),
            };
            let resource = catalog.resource(&table)?;
            let key = RowKey::of(resource, &object("key")).ok_or_else(strange)?;
            let made = match row.get::<Option<Json<Vec<String>>>, _>("made") {
                Some(Json(parts)) => RowKey(parts),
                None => key.clone(),
            };
            let applied = row.get::<String, _>("state") == "applied";
            let intent = Intent {
                statement: row.get("statement"),
                place: row.get("place"),
                node: (table.clone(), key),
                content: Content {
                    operation: Operation::parse(row.get("operation")).ok_or_else(strange)?,
                    key: object("key"),
                    before: object("before"),
                    after: object("after"),
                    write_only: Map::new(),
                },
                sealed: row.get("sealed"),
                request_id: row.get("request_id"),
                stands: if applied { Stands::Applied { made, answer: None } } else { Stands::Unknown },
                left: true,
            };
            match left.iter_mut().find(|(of, _)| *of == txid) {
                Some((_, intents)) => intents.push(intent),
                None => left.push((txid, vec![intent])),
            }
        }
        Ok(left)
    }
}
