//! `auth0-sync pause` and `auth0-sync resume`: whether changes go to Auth0. They are captured in any case.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::{asked, block_on};
use crate::Result;
use crate::app::{self, Config};
use crate::pg::{Database, fault, qualified};

const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Calls under way are waited for so long at most: Auth0 may not answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `auth0-sync pause`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Why, for those who ask for the status
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `auth0-sync resume`.
#[derive(clap::Args, Debug)]
pub struct ResumeArgs {
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Pauses; returns when no call is under way any more.
///
/// # Errors
/// `setup_check` where the schema is not set up; database errors.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    block_on(async move {
        let database = app::pause(&config, args.reason.as_deref()).await?;
        let begun = Instant::now();
        let told = loop {
            if !asked::serves(&database, &config.slot).await? {
                break "no service runs; the next one will write nothing";
            }
            if is_still(&database, &config.schema).await? {
                break "nothing is written to Auth0 any more; changes are captured and wait";
            }
            if begun.elapsed() > PATIENCE {
                break "no further call begins; those under way wait for Auth0's answer still";
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        println!("paused: {told}");
        println!("`auth0-sync resume` ends it");
        Ok(())
    })
}

/// Ends a pause.
///
/// # Errors
/// As [`run`].
pub fn resume(args: ResumeArgs) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    block_on(async move {
        let database = app::resume(&config).await?;
        let told = match asked::serves(&database, &config.slot).await? {
            true => "what has waited goes out now",
            false => "no service runs; the next one will write",
        };
        println!("resumed: {told}");
        Ok(())
    })
}

/// Whether the service has heard of the pause and no call is under way.
async fn is_still(database: &Database, schema: &str) -> Result<bool> {
    let sql = format!(
        "select coalesce(t.writes ->> 'state' = 'paused', false) and not exists ( \
             select from {} c where c.settled_at is null and c.state = 'sending' \
         ) and not exists ( \
             select from _auth0_sync.intent i where i.schema = t.schema and i.state = 'calling' \
         ) from _auth0_sync.tenant t where t.schema = $1",
        qualified(schema, "_sync_cdc")
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(schema)
        .fetch_one(&database.pool)
        .await
        .map_err(fault("cannot look whether writes have stopped"))
}
