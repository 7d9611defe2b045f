//! What is to be read from Auth0 again, kept over a crash: `_auth0_sync.to_read`.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Database, fault};
use crate::catalog::{Catalog, Target};
use crate::error::Result;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToRead {
    /// Of the row that keeps it; none where another source tells of it again.
    pub id: Option<i64>,
    /// What.
    pub target: Target,
}

impl ToRead {
    /// What is kept by nobody.
    pub fn unkept(target: Target) -> ToRead {
        ToRead { id: None, target }
    }
}

/// Keeps targets, in their order.
///
/// # Errors
/// Database errors.
pub async fn keep(
    connection: &mut PgConnection,
    catalog: &Catalog,
    schema: &str,
    targets: Vec<Target>,
) -> Result<Vec<ToRead>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let stored: Vec<Value> = targets.iter().map(|target| target.to_json(catalog)).collect();
    let mut ids: Vec<i64> = sqlx::query_scalar(include_str!("sql/keep_to_read.sql"))
        .bind(schema)
        .bind(stored)
        .fetch_all(connection)
        .await
        .map_err(fault("cannot keep what is to be read"))?;
    ids.sort_unstable();
    Ok(ids.into_iter().map(Some).zip(targets).map(|(id, target)| ToRead { id, target }).collect())
}

/// Everything that is kept, the oldest first; of what the catalogue does not know any more, only ids.
///
/// # Errors
/// Database errors.
pub async fn kept(
    database: &Database,
    catalog: &Catalog,
    schema: &str,
) -> Result<Vec<(i64, Option<Target>)>> {
    let rows: Vec<(i64, Value)> = sqlx::query_as(include_str!("sql/kept_to_read.sql"))
        .bind(schema)
        .fetch_all(&database.pool)
        .await
        .map_err(fault("cannot look for what is to be read"))?;
    Ok(rows.into_iter().map(|(id, target)| (id, Target::from_json(catalog, &target))).collect())
}

/// Forgets what has been read.
///
/// # Errors
/// Database errors.
pub async fn forget(database: &Database, ids: &[i64]) -> Result<()> {
    sqlx::query(include_str!("sql/forget_to_read.sql"))
        .bind(ids)
        .execute(&database.pool)
        .await
        .map_err(fault("cannot forget what has been read"))?;
    Ok(())
}
