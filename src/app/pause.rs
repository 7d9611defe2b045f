//! Whether an operator has paused what goes to Auth0. Capture goes on meanwhile, and so does all that
//! comes from Auth0.

use std::time::Duration;

use tokio::sync::watch;

use super::Config;
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, connect, fault};

/// How often the service looks.
const LOOK: Duration = Duration::from_millis(500);

/// Nothing more is written to Auth0 until [`resume`]; `reason` is shown to whoever asks.
///
/// # Errors
/// `setup_check` where the schema is not set up; database errors.
pub async fn pause(config: &Config, reason: Option<&str>) -> Result<Database> {
    let database = connect(&config.database_url, 1).await?;
    let paused = sqlx::query(include_str!("sql/pause.sql")).bind(&config.schema).bind(reason);
    let done = paused.execute(&database.pool).await.map_err(fault("cannot pause"))?;
    is_there(config, done.rows_affected())?;
    Ok(database)
}

/// Writes to Auth0 go on.
///
/// # Errors
/// As [`pause`].
pub async fn resume(config: &Config) -> Result<Database> {
    let database = connect(&config.database_url, 1).await?;
    let resumed = sqlx::query(include_str!("sql/resume.sql")).bind(&config.schema);
    let done = resumed.execute(&database.pool).await.map_err(fault("cannot resume"))?;
    is_there(config, done.rows_affected())?;
    Ok(database)
}

fn is_there(config: &Config, rows: u64) -> Result<()> {
    if rows == 1 {
        return Ok(());
    }
    let what = format!("schema {} is not set up; run `auth0-sync setup` first", config.schema);
    Err(Error::new(Kind::SetupCheck, what))
}

/// Whether writes are paused.
///
/// # Errors
/// Database errors.
pub(super) async fn is_paused(database: &Database, schema: &str) -> Result<bool> {
    sqlx::query_scalar("select paused_at is not null from _auth0_sync.tenant where schema = $1")
        .bind(schema)
        .fetch_one(&database.pool)
        .await
        .map_err(fault("cannot look whether writes are paused"))
}

/// Keeps `paused` as the operator wants it, for ever.
pub(super) async fn follow(database: Database, schema: String, paused: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(LOOK).await;
        // Whoever cannot read it now reads it later.
        let Ok(now) = is_paused(&database, &schema).await else { continue };
        let changed = paused.send_if_modified(|there| std::mem::replace(there, now) != now);
        match (changed, now) {
            (true, true) => tracing::info!("writes to Auth0 are paused"),
            (true, false) => tracing::info!("writes to Auth0 go on"),
            (false, _) => {}
        }
    }
}
