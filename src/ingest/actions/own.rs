//! What the service remembers of what it has made at Auth0.

use crate::error::Result;
use crate::pg::{Database, fault};

/// One thing that the service has made.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Own {
    /// The trigger, or what else it is.
    pub(super) part: String,
    /// Auth0's key of it.
    pub(super) key: String,
    /// Of what it was made with.
    pub(super) digest: String,
}

/// What is remembered of a part.
pub(super) fn of<'o>(known: &'o [Own], part: &str) -> Option<&'o Own> {
    known.iter().find(|own| own.part == part)
}

/// Everything that is remembered.
///
/// # Errors
/// Of the database.
pub(super) async fn read(database: &Database, schema: &str) -> Result<Vec<Own>> {
    sqlx::query_as("select part, key, digest from _auth0_sync.webhook_own where schema = $1 order by part")
        .bind(schema)
        .fetch_all(&database.pool)
        .await
        .map_err(fault("cannot read what the service has made at Auth0"))
}

/// Remembers one thing. An empty digest says that it is not finished.
///
/// # Errors
/// Of the database.
pub(super) async fn store(database: &Database, schema: &str, own: &Own) -> Result<()> {
    sqlx::query(
        "insert into _auth0_sync.webhook_own (schema, part, key, digest) values ($1, $2, $3, $4) \
         on conflict (schema, part) do update set key = excluded.key, digest = excluded.digest, updated_at = now()",
    )
    .bind(schema)
    .bind(&own.part)
    .bind(&own.key)
    .bind(&own.digest)
    .execute(&database.pool)
    .await
    .map_err(fault("cannot store what the service has made at Auth0"))?;
    Ok(())
}

/// Forgets one thing.
///
/// # Errors
/// Of the database.
pub(super) async fn forget(database: &Database, schema: &str, part: &str) -> Result<()> {
    sqlx::query("delete from _auth0_sync.webhook_own where schema = $1 and part = $2")
        .bind(schema)
        .bind(part)
        .execute(&database.pool)
        .await
        .map_err(fault("cannot forget what the service had made at Auth0"))?;
    Ok(())
}
