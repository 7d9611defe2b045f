//! `auth0-sync backfill`: marks tables as waiting and shows how the running service fills them; or
//! says what filling them would take (`--estimate`), which reads Auth0 by a few calls and writes
//! nothing.

use std::path::PathBuf;

use super::bars::{Bars, Table};
use super::{asked, block_on, expected};
use crate::app::{self, Config};
use crate::pg::{Database, connect, fault};
use crate::{Error, Kind, Result};

/// Arguments of `auth0-sync backfill`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Tables to fill again [default: all]
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Fill nothing; say how many calls and minutes it would take
    #[arg(long)]
    estimate: bool,
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command; returns when every table is filled.
///
/// # Errors
/// `config` for a table that is not there, `setup_check` where no service runs, `auth0_answer` for a
/// table that could not be filled.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    let filled: Vec<String> =
        catalog.iter().filter(|resource| resource.is_read()).map(|resource| resource.table.clone()).collect();
    asked::check(&args.tables, &filled)?;
    // What is skipped is filled where it is named.
    let kept = filled.into_iter().filter(|table| !config.backfill.skip.contains(table));
    let tables = if args.tables.is_empty() { kept.collect() } else { args.tables };
    if args.estimate {
        let estimate = block_on(app::estimate(&config, &tables))?;
        print!("{}", expected::listing(&estimate, config.rates()?.as_ref()));
        return Ok(());
    }
    block_on(async move {
        let database = connect(&config.database_url, 1).await?;
        mark(&database, &config.schema, &tables).await?;
        follow(&database, &config, &tables).await
    })
}

async fn mark(database: &Database, schema: &str, tables: &[String]) -> Result<()> {
    sqlx::query(include_str!("sql/ask_backfill.sql"))
        .bind(schema)
        .bind(tables)
        .execute(&database.pool)
        .await
        .map_err(fault("cannot mark the tables"))?;
    Ok(())
}

async fn follow(database: &Database, config: &Config, tables: &[String]) -> Result<()> {
    let (mut bars, mut open) = (Bars::new(), tables.to_vec());
    let look = async || {
        let found = read(database, &config.schema, tables).await?;
        for table in found.iter().filter(|table| open.contains(&table.table)) {
            if let Some(line) = ended(table)? {
                bars.say(&line);
            }
        }
        // A table that is not there any more is not waited for.
        open.retain(|open| found.iter().any(|table| table.table == *open && !is_over(table)));
        bars.show(&found);
        Ok(open.clone())
    };
    asked::wait(database, &config.slot, "fills", look).await
}

async fn read(database: &Database, schema: &str, tables: &[String]) -> Result<Vec<Table>> {
    sqlx::query_as(include_str!("sql/filling.sql"))
        .bind(schema)
        .bind(tables)
        .fetch_all(&database.pool)
        .await
        .map_err(fault("cannot read the state of the backfill"))
}

fn is_over(table: &Table) -> bool {
    matches!(table.state.as_str(), "done" | "unavailable")
}

/// What there is to say of a table whose filling is over; none while it is not.
fn ended(Table { table, state, error, filling }: &Table) -> Result<Option<String>> {
    let error = error.as_deref().unwrap_or_default();
    match state.as_str() {
        "done" => {
            let note = if error.is_empty() { String::new() } else { format!("; {error}") };
            Ok(Some(format!("{table}: {} rows{note}", filling.rows.unwrap_or(0))))
        }
        "unavailable" => Ok(Some(format!("{table}: not shown by Auth0: {error}"))),
        "failed" => Err(Error::new(Kind::Auth0Answer, format!("{table}: {error}"))),
        _ => Ok(None),
    }
}
