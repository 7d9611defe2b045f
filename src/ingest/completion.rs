//! When a filling begins and when all of it is done: told once, however often the service starts
//! meanwhile. What is left unfilled is told here too.

use sqlx::FromRow;

use super::Context;
use crate::error::Result;
use crate::pg::fault;

/// All tables that waited are filled.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Completed {
    /// Tables that were filled.
    pub tables: i64,
    /// Their rows.
    pub rows: i64,
    /// How long that took, the times that the service did not run included.
    pub seconds: f64,
    /// Tables that could not be filled, and those that Auth0 does not show.
    pub unfilled: i64,
    /// Whether the tables had never been filled before.
    pub first: bool,
}

/// Leaves tables unfilled that the configuration skips, and takes up again those that it skips no
/// more. What somebody has asked for by name is filled all the same.
///
/// # Errors
/// Database errors.
pub async fn skip(context: &Context) -> Result<()> {
    sqlx::query(include_str!("sql/skip_backfill.sql"))
        .bind(&context.schema)
        .bind(context.skip.as_ref())
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note which tables are skipped"))?;
    Ok(())
}

/// Notes that tables are being filled, where any of `tables` waits; true where that is so.
pub(super) async fn begin(context: &Context, tables: &[&str]) -> Result<bool> {
    let begun: Option<bool> = sqlx::query_scalar(include_str!("sql/begin_backfill.sql"))
        .bind(&context.schema)
        .bind(tables)
        .fetch_optional(&context.database.pool)
        .await
        .map_err(fault("cannot note that the backfill begins"))?;
    Ok(begun.is_some())
}

/// Tells once, by NOTIFY and in the log, that none of `tables` waits any more. The transaction
/// that says so to listeners is the one that remembers it.
pub(super) async fn complete(context: &Context, tables: &[&str]) -> Result<Option<Completed>> {
    let completed: Option<Completed> = sqlx::query_as(include_str!("sql/complete_backfill.sql"))
        .bind(&context.schema)
        .bind(tables)
        .fetch_optional(&context.database.pool)
        .await
        .map_err(fault("cannot note that the backfill is complete"))?;
    if let Some(Completed { tables, rows, seconds, unfilled, .. }) = &completed {
        tracing::info!(tables, rows, seconds, unfilled, "every table is filled");
    }
    Ok(completed)
}
