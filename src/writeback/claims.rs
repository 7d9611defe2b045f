//! Claims: mutations become ours before a call for them leaves, by compare-and-set, many at once in one
//! statement. A claim is durable before it is told: what is `pending` after a crash has not left.

use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Encode, Postgres, Row as _, Type};

use super::request::{Content, join, under};
use super::store::Store;
use crate::catalog::Resource;
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Operation, Row};
use crate::pg::{Database, fault, ident};

const PENDING: &str = concat!(include_str!("sql/claim.sql"), include_str!("sql/claimed.sql"));
const DOUBTFUL: &str = concat!(include_str!("sql/claim_doubtful.sql"), include_str!("sql/claimed.sql"));
const ALONE: &str = concat!(include_str!("sql/claim_alone.sql"), include_str!("sql/claimed.sql"));

/// Mutations that go out as one call.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    ids: Vec<i64>,
    /// What will stand for the call.
    request_id: String,
}

/// A mutation that is ours now.
#[derive(Clone)]
pub(super) struct Claimed {
    id: i64,
    pub(super) table: String,
    operation: Operation,
    key: Row,
    before: Row,
    after: Row,
    request_id: Option<String>,
    /// Values of write-only columns.
    aside: Vec<Row>,
}

impl Store {
    /// Moves mutations to `sending` (or `verifying`, where a call may have left already) and
    /// returns what the call is made of, with the request id that stands for it.
    ///
    /// # Errors
    /// `internal` where not all of them could be claimed: somebody else owns them now.
    pub(super) async fn claim(
        &self,
        resource: &Resource,
        ids: &[i64],
        uncertain: bool,
        request_id: &str,
    ) -> Result<(Content, String)> {
        let rows = if uncertain {
            self.moved(DOUBTFUL, ids, request_id, &self.database).await?
        } else {
            let claim = Claim { ids: ids.to_vec(), request_id: request_id.to_owned() };
            let group = |claims| async move { self.claim_all(claims).await };
            match self.claims.run(claim.clone(), group).await {
                Some(Some(rows)) => rows,
                // What kept the group from it may concern others alone.
                _ => {
                    let alone = self.claim_these(std::slice::from_ref(&claim), &self.database).await?;
                    alone.into_iter().next().unwrap_or_default()
                }
            }
        };
        let (Some(last), Some(content)) =
            (rows.last(), content(resource, &rows).filter(|_| rows.len() == ids.len()))
        else {
            return Err(Error::new(Kind::Internal, "mutations to send are owned by somebody else"));
        };
        Ok((content, last.request_id.clone().unwrap_or_else(|| request_id.to_owned())))
    }

    /// The same for many; none for each where it failed.
    async fn claim_all(&self, claims: Vec<Claim>) -> Vec<Option<Vec<Claimed>>> {
        match self.claim_these(&claims, &self.together).await {
            Ok(claimed) => claimed.into_iter().map(Some).collect(),
            Err(error) => {
                tracing::debug!(%error, "mutations are claimed one by one");
                vec![None; claims.len()]
            }
        }
    }

    /// Moves an UPDATE that nothing stands before to `sending`; none where it is not pending, cannot be seen, or
    /// where something may stand before it.
    ///
    /// # Errors
    /// Database errors; it may be claimed then, and loading it shows that.
    pub(super) async fn claim_alone(&self, id: i64, request_id: &str) -> Result<Option<Claimed>> {
        Ok(self.moved(ALONE, id, request_id, &self.together).await?.pop())
    }

    /// Those of each claim that could be claimed, in id order.
    async fn claim_these(&self, claims: &[Claim], by: &Database) -> Result<Vec<Vec<Claimed>>> {
        let pairs =
            claims.iter().flat_map(|claim| claim.ids.iter().map(|id| (*id, claim.request_id.clone())));
        let (ids, requests): (Vec<i64>, Vec<String>) = pairs.unzip();
        let mut claimed: Vec<Vec<Claimed>> = claims.iter().map(|_| Vec::new()).collect();
        for row in self.moved(PENDING, ids, requests, by).await? {
            let of = claims.iter().position(|claim| claim.ids.contains(&row.id));
            if let Some(of) = of.and_then(|of| claimed.get_mut(of)) {
                of.push(row);
            }
        }
        Ok(claimed)
    }

    /// What this statement moves of these ids, in id order.
    async fn moved<'q, I, R>(
        &self,
        statement: &str,
        ids: I,
        requests: R,
        by: &Database,
    ) -> Result<Vec<Claimed>>
    where
        I: Encode<'q, Postgres> + Type<Postgres> + 'q,
        R: Encode<'q, Postgres> + Type<Postgres> + 'q,
    {
        let rows = sqlx::query(AssertSqlSafe(statement.replace("{schema}", &ident(&self.schema))))
            .bind(ids)
            .bind(requests)
            .bind(&self.schema)
            .fetch_all(&by.pool)
            .await
            .map_err(fault("cannot claim mutations"))?;
        rows.iter().map(Claimed::read).collect()
    }
}

/// What the call for these mutations of a row is made of, in id order; none where there are none.
pub(super) fn content(resource: &Resource, rows: &[Claimed]) -> Option<Content> {
    let last = rows.last()?;
    Some(Content {
        operation: last.operation,
        key: last.key.clone(),
        before: under(resource, rows.iter().map(|row| row.before.clone())),
        after: join(resource, rows.iter().map(|row| row.after.clone())),
        write_only: join(resource, rows.iter().flat_map(|row| row.aside.clone())),
    })
}

impl Claimed {
    fn read(row: &PgRow) -> Result<Claimed> {
        let operation: String = row.get(2);
        let image = |column: usize| match row.get::<Option<Value>, _>(column) {
            Some(Value::Object(image)) => image,
            _ => Map::new(),
        };
        let aside = match row.get::<Option<Value>, _>(7) {
            Some(Value::Array(pairs)) => pairs,
            _ => Vec::new(),
        };
        let value = |pair: Value| match pair {
            Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([Value::String(column), value]) => Some(Map::from_iter([(column, value)])),
                _ => None,
            },
            _ => None,
        };
        Ok(Claimed {
            id: row.get(0),
            table: row.get(1),
            operation: Operation::parse(&operation)
                .ok_or_else(|| Error::new(Kind::Internal, format!("operation {operation} is unknown")))?,
            key: image(3),
            before: image(4),
            after: image(5),
            request_id: row.get(6),
            aside: aside.into_iter().filter_map(value).collect(),
        })
    }
}
