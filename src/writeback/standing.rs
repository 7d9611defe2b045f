//! How far mutations that go out together have got: what is asked before anything else is done about them.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::store::Store;
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::fault;

/// How far mutations that go out together have got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No call has left.
    Pending,
    /// A call may have left.
    Sent,
    /// They have settled, and the one who settled them did not hear of it.
    Settled {
        /// The row's key by now.
        key: RowKey,
        /// Auth0 has not taken them.
        reverted: bool,
    },
}

impl Standing {
    /// Of mutations of the row under `key` of which so many have settled, so many of them without
    /// effect, and so many are pending.
    pub(super) fn of(key: RowKey, settled: i64, reverted: i64, pending: i64) -> Standing {
        match (settled, pending) {
            (1.., _) => Standing::Settled { key, reverted: reverted > 0 },
            (0, 1..) => Standing::Pending,
            _ => Standing::Sent,
        }
    }
}
impl Store {
    /// How far mutations of one row that went out together have got.
    ///
    /// # Errors
    /// `internal` where there are no such mutations; database errors.
    pub async fn standing(&self, resource: &Resource, ids: &[i64]) -> Result<Standing> {
        let sql = format!(
            "select (pg_catalog.array_agg(key order by id))[1], count(*) filter (where settled_at is not null), \
             count(*) filter (where state in ('reverted', 'cancelled')), count(*) filter (where state = 'pending') \
             from {} where id = any ($1)",
            self.cdc()
        );
        let (key, settled, reverted, pending): (Option<Value>, i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(ids)
                .fetch_one(&self.database.pool)
                .await
                .map_err(fault("cannot look how far mutations have got"))?;
        let key = key.as_ref().and_then(Value::as_object).and_then(|key| RowKey::of(resource, key));
        let key = key.ok_or_else(|| Error::new(Kind::Internal, "mutations that were sent are not there"))?;
        Ok(Standing::of(key, settled, reverted, pending))
    }
}
