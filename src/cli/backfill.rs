//! `auth0-sync backfill`: marks tables as waiting and shows how the running service fills them. It
//! never reads Auth0 itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::block_on;
use crate::app::Config;
use crate::pg::{Database, connect, fault};
use crate::{Error, Kind, Result};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The service may be away for so long before it counts as stopped: its stream reconnects.
const AWAY: Duration = Duration::from_secs(10);

/// States in which the filling of a table is over.
const ENDED: [&str; 2] = ["done", "unavailable"];

/// Arguments of `auth0-sync backfill`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Tables to fill again [default: all]
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(sqlx::FromRow)]
struct Progress {
    table: String,
    state: String,
    rows: i64,
    error: Option<String>,
}

/// Runs the command; returns when every table is filled.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    let filled: Vec<String> =
        catalog.iter().filter(|resource| resource.is_read()).map(|resource| resource.table.clone()).collect();
    if let Some(unknown) = args.tables.iter().find(|table| !filled.contains(table)) {
        return Err(Error::new(
            Kind::Config,
            format!("there is no table {unknown}; tables: {}", filled.join(", ")),
        ));
    }
    // What is skipped is filled where it is named.
    let kept = filled.into_iter().filter(|table| !config.backfill.skip.contains(table));
    let tables = if args.tables.is_empty() { kept.collect() } else { args.tables.clone() };
    block_on(async move {
        let database = connect(&config.database_url, 1).await?;
        mark(&database, &config.schema, &tables).await?;
        follow(&database, &config, tables).await
    })
}

async fn mark(database: &Database, schema: &str, tables: &[String]) -> Result<()> {
    sqlx::query(
        "insert into _auth0_sync.backfill (schema, \"table\", state, asked_at) select $1, t, 'waiting', now() from unnest($2) t \
         on conflict (schema, \"table\") do update set state = 'waiting', rows = 0, error = null, finished_at = null, asked_at = now()",
    )
    .bind(schema)
    .bind(tables)
    .execute(&database.pool)
    .await
    .map_err(fault("cannot mark the tables"))?;
    Ok(())
}

async fn follow(database: &Database, config: &Config, mut open: Vec<String>) -> Result<()> {
    let mut seen = None;
    loop {
        let found: Vec<Progress> = sqlx::query_as(
            "select \"table\", state, rows, error from _auth0_sync.backfill where schema = $1 and \"table\" = any ($2)",
        )
        .bind(&config.schema)
        .bind(&open)
        .fetch_all(&database.pool)
        .await
        .map_err(fault("cannot read the state of the backfill"))?;
        for progress in &found {
            let error = progress.error.as_deref().unwrap_or_default();
            match progress.state.as_str() {
                "done" => {
                    let note = if error.is_empty() { String::new() } else { format!("; {error}") };
                    println!("{}: {} rows{note}", progress.table, progress.rows);
                }
                "unavailable" => println!("{}: not shown by Auth0: {error}", progress.table),
                "failed" => {
                    return Err(Error::new(Kind::Auth0Answer, format!("{}: {error}", progress.table)));
                }
                _ => {}
            }
        }
        open.retain(|table| found.iter().any(|p| p.table == *table && !ENDED.contains(&p.state.as_str())));
        if open.is_empty() {
            return Ok(());
        }
        if serves(database, &config.slot).await? {
            seen = Some(Instant::now());
        } else if seen.is_none_or(|seen: Instant| seen.elapsed() > AWAY) {
            let what =
                format!("no service runs here; start `auth0-sync run`, and it fills {}", open.join(", "));
            return Err(Error::new(Kind::SetupCheck, what));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a service streams from the slot.
///
/// # Errors
/// Database errors.
pub(super) async fn serves(database: &Database, slot: &str) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_replication_slots where slot_name = $1 and active)",
    )
    .bind(slot)
    .fetch_one(&database.pool)
    .await
    .map_err(fault("cannot look for the service"))
}
