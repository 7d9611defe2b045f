//! `auth0-sync status`: tables, mutations, slot, sources and comparisons, read from the database; and what
//! the service says of itself, where it runs. It changes nothing.

mod budget;
mod comparisons;
mod listing;
mod sources;

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row};

use super::checks::login::Login;
use super::filling::Filling;
use super::live;
use crate::app::Config;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::pg::{Slot, fault, ident};
use listing::listing;

/// Up to so many rows are counted; above, the planner's estimate is shown.
const COUNTED: f64 = 50_000.0;

/// Arguments of `auth0-sync status`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// `setup_check` where the schema is not set up, and what Postgres refuses.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    let status = super::block_on(gather(&config, &catalog))?;
    let output = if args.json { format!("{status:#}\n") } else { listing(&status) };
    match io::stdout().lock().write_all(output.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| Error::with(Kind::Io, "cannot write to standard output", error)),
    }
}

async fn gather(config: &Config, catalog: &Catalog) -> Result<Value> {
    let login = Login::read("DATABASE_URL", &config.database_url)?;
    let mut connection =
        login.connect().await.map_err(|refused| Error::new(Kind::DatabaseUnavailable, refused.what))?;
    let schema = config.schema.as_str();
    let there: bool = sqlx::query_scalar(
        "select to_regclass('_auth0_sync.backfill') is not null and to_regclass($1) is not null",
    )
    .bind(format!("{}._sync_cdc", ident(schema)))
    .fetch_one(&mut connection)
    .await
    .map_err(fault("cannot look for the schema"))?;
    if !there {
        return Err(Error::new(
            Kind::SetupCheck,
            format!("schema {schema} is not set up; run `auth0-sync setup` first"),
        ));
    }
    Ok(json!({
        "schema": schema,
        "domain": config.auth0.domain,
        "tables": tables(&mut connection, schema, catalog).await?,
        "mutations": mutations(&mut connection, schema).await?,
        "strict": strict(&mut connection, schema).await?,
        "paused": paused(&mut connection, schema).await?,
        "slot": slot(&mut connection, &config.slot).await?,
        "sources": checkpoints(&mut connection, schema).await?,
        "webhook": sources::address(config.webhook.as_ref()),
        "sweep": comparisons::read(&mut connection, schema, catalog, config.sweep.every).await?,
        "drift": comparisons::drift(&mut connection, schema).await?,
        "calls": budget::calls(&mut connection, schema).await?,
        "service": service(config).await,
    }))
}

async fn tables(connection: &mut PgConnection, schema: &str, catalog: &Catalog) -> Result<Value> {
    let known = sqlx::query(include_str!("sql/tables.sql"))
        .bind(schema)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault("cannot read the tables"))?;
    let mut tables = Map::new();
    for row in known {
        let table: String = row.get(0);
        if catalog.get(&table).is_none() {
            continue;
        }
        let estimate = row.get::<f32, _>(1);
        // Never analysed: -1.
        let exact = f64::from(estimate) < COUNTED && row.get::<i64, _>(4) < 256 << 20;
        let rows = if exact {
            let sql = format!("select count(*) from {}.{}", ident(schema), ident(&table));
            let counted: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&mut *connection)
                .await
                .map_err(fault("cannot count rows"))?;
            json!(counted)
        } else {
            json!(estimate.max(0.0) as i64)
        };
        let (backfill, error): (Option<String>, Option<String>) = (row.get(2), row.get(3));
        let mut about = json!({"rows": rows, "exact": exact, "backfill": backfill, "error": error});
        if matches!(backfill.as_deref(), Some("waiting" | "running")) {
            let filling = Filling::from_row(&row).map_err(fault("cannot read how far a filling is"))?;
            about["filling"] = json!(filling);
        }
        tables.insert(table, about);
    }
    Ok(Value::Object(tables))
}

async fn mutations(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let sql = format!(
        "select state, count(*), extract(epoch from clock_timestamp() - min(created_at))::float8 \
         from {}._sync_cdc where settled_at is null group by state order by state",
        ident(schema)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .map_err(fault("cannot count unsettled mutations"))?;
    let mut states = Map::new();
    let mut oldest: Option<f64> = None;
    for row in &rows {
        states.insert(row.get(0), json!(row.get::<i64, _>(1)));
        let age: f64 = row.get(2);
        oldest = Some(oldest.map_or(age, |other| other.max(age)));
    }
    Ok(json!({"unsettled": states, "oldest_seconds": oldest}))
}

/// How many changes of strict statements are undecided, and how old the oldest is.
async fn strict(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let (open, oldest): (i64, Option<f64>) = sqlx::query_as(include_str!("sql/intents.sql"))
        .bind(schema)
        .fetch_one(connection)
        .await
        .map_err(fault("cannot count the changes of strict statements"))?;
    Ok(json!({"open": open, "oldest_seconds": oldest}))
}

/// Since how many seconds writes are paused, and why; null where they are not.
async fn paused(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let row: Option<(f64, Option<String>)> = sqlx::query_as(
        "select extract(epoch from clock_timestamp() - paused_at)::float8, paused_for \
         from _auth0_sync.tenant where schema = $1 and paused_at is not null",
    )
    .bind(schema)
    .fetch_optional(connection)
    .await
    .map_err(fault("cannot look whether writes are paused"))?;
    Ok(row.map_or(Value::Null, |(seconds, reason)| json!({"seconds": seconds, "reason": reason})))
}

async fn slot(connection: &mut PgConnection, name: &str) -> Result<Value> {
    let Some(slot) = Slot::read(connection, name).await? else {
        return Ok(json!({"name": name, "exists": false}));
    };
    Ok(json!({
        "name": name, "exists": true, "active": slot.active, "wal_status": slot.wal_status,
        "lag_bytes": slot.lag, "retained_bytes": slot.retained,
    }))
}

async fn checkpoints(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let rows = sqlx::query(
        "select source, position, extract(epoch from clock_timestamp() - updated_at)::float8 \
         from _auth0_sync.checkpoint where schema = $1 order by source",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(fault("cannot read the checkpoints"))?;
    let sources = rows.iter().map(|row| {
        let about = json!({"position": row.get::<String, _>(1), "age_seconds": row.get::<f64, _>(2)});
        (row.get(0), about)
    });
    Ok(Value::Object(sources.collect()))
}

async fn service(config: &Config) -> Value {
    match live::ask(config.status_listen).await {
        Ok(status) => json!({
            "running": true, "ready": status.ready, "streaming": status.streaming,
            "held": status.writeback.held, "in_flight": status.writeback.in_flight,
            "waiting_for": status.writeback.waiting_for, "hint": status.writeback.hint,
            "writes": status.writeback.writes,
            "budget": status.budget, "events": status.events, "webhook": status.webhook,
        }),
        Err(error) => json!({"running": false, "error": error.to_string()}),
    }
}
