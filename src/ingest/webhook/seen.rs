//! Which messages have come already, in the database: a restart must not let one count twice.

use std::time::Duration;

use super::message::WINDOW;
use crate::error::Result;
use crate::pg::{Database, fault};

/// A message of the far end of the window still counts when the window has moved by its whole length.
const KEPT: Duration = Duration::from_secs(2 * WINDOW.as_secs() + 60);

/// Notes a message; false where it has come before.
///
/// # Errors
/// Of the database.
pub(super) async fn note(database: &Database, schema: &str, id: &str) -> Result<bool> {
    let noted = sqlx::query(include_str!("sql/note_seen.sql"))
        .bind(schema)
        .bind(id)
        .execute(&database.pool)
        .await
        .map_err(fault("cannot note a message"))?;
    Ok(noted.rows_affected() == 1)
}

/// Forgets those that are too old to count anyhow.
///
/// # Errors
/// Of the database.
pub(super) async fn forget(database: &Database) -> Result<()> {
    sqlx::query(include_str!("sql/forget_seen.sql"))
        .bind(KEPT.as_secs_f64())
        .execute(&database.pool)
        .await
        .map_err(fault("cannot forget old messages"))?;
    Ok(())
}
