//! `auth0-sync sweep`: asks the running service to compare tables with Auth0, and tells what it
//! finds. It never reads Auth0 itself.

use std::path::PathBuf;

use super::{asked, block_on};
use crate::Result;
use crate::app::Config;
use crate::ingest::{Why, ask_for, is_compared};
use crate::pg::{Database, connect, fault};

/// Arguments of `auth0-sync sweep`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Tables to compare [default: all]
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(sqlx::FromRow)]
struct Compared {
    table: String,
    state: String,
    over: bool,
    rows: Option<i64>,
    error: Option<String>,
    drift: i64,
}

/// Runs the command; returns when every table has been compared.
///
/// # Errors
/// `config` for a table that is not there, `setup_check` where no service runs.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    let compared = catalog.iter().filter(|resource| is_compared(resource));
    let compared: Vec<String> = compared.map(|resource| resource.table.clone()).collect();
    asked::check(&args.tables, &compared)?;
    let tables = if args.tables.is_empty() { compared } else { args.tables };
    block_on(async move {
        let database = connect(&config.database_url, 1).await?;
        let before = read(&database, &config.schema, &tables).await?;
        let drift = |table: &str| before.iter().find(|c| c.table == table).map_or(0, |c| c.drift);
        let before: Vec<(String, i64)> = tables.iter().map(|table| (table.clone(), drift(table))).collect();
        ask_for(&database.pool, &config.schema, &tables, Why::Asked).await?;
        follow(&database, &config, before).await
    })
}

/// Waits for the tables; each comes with the drift that was known of it.
async fn follow(database: &Database, config: &Config, mut open: Vec<(String, i64)>) -> Result<()> {
    let look = async || {
        let names: Vec<String> = open.iter().map(|(table, _)| table.clone()).collect();
        let found = read(database, &config.schema, &names).await?;
        for compared in &found {
            let error = compared.error.as_deref().map(|error| format!("; {error}")).unwrap_or_default();
            let before = open.iter().find(|(table, _)| *table == compared.table).map_or(0, |(_, n)| *n);
            if compared.over {
                let drift = compared.drift - before;
                println!("{}: {} rows, {drift} differed{error}", compared.table, compared.rows.unwrap_or(0));
            } else if compared.state != "done" {
                println!("{}: {}, so it is not compared", compared.table, compared.state);
            }
        }
        open.retain(|(table, _)| found.iter().any(|c| c.table == *table && !c.over && c.state == "done"));
        Ok(open.iter().map(|(table, _)| table.clone()).collect())
    };
    asked::wait(database, &config.slot, "compares", look).await
}

async fn read(database: &Database, schema: &str, tables: &[String]) -> Result<Vec<Compared>> {
    sqlx::query_as(include_str!("sql/compared.sql"))
        .bind(schema)
        .bind(tables)
        .fetch_all(&database.pool)
        .await
        .map_err(fault("cannot read what was compared"))
}
