//! `auth0-sync doctor`: the checks of setup, and whether the service works. It changes nothing.

use std::path::PathBuf;

use sqlx::{PgConnection, Row};

use super::checks::{self, Report, count, database, slot, waiting};
use super::live;
use crate::app::Config;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::pg::{Server, fault, ident};

/// Unsettled mutations older than this are worth a look.
const OLD_SECONDS: f64 = 60.0;

/// Arguments of `auth0-sync doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// `setup_check` or `setup_conflict` where anything is wrong.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    super::block_on(examine(&config, &catalog))
}

async fn examine(config: &Config, catalog: &Catalog) -> Result<()> {
    let mut report = Report::default();
    checks::selection::show(catalog, &mut report)?;
    report.part("Auth0");
    checks::auth0::check(config, catalog, &mut report).await;
    report.part("Postgres");
    let findings = database::check(config, None, (catalog, false), &mut report).await?;
    if let Some(mut connection) = findings.service {
        let missing = &findings.missing;
        let setup = "run `auth0-sync setup`";
        if missing.migrations > 0 {
            report
                .wrong(format!("schema _auth0_sync lacks {}", count(missing.migrations, "migration")), setup);
        }
        if missing.tenant {
            report
                .wrong(format!("schema {} is not set up for {}", config.schema, config.auth0.domain), setup);
        }
        for change in findings.roles.iter().chain(&missing.changes) {
            report.wrong(format!("to be done: {}", change.what), setup);
        }
        if missing.is_empty() {
            report
                .good("tables, functions, triggers, grants and publication are as the catalogue wants them");
        }
        report.part("Service");
        if let Some(mail) = &config.mail {
            match crate::app::check_mail(mail).await {
                Ok(()) => report.good("the mail server takes a connection"),
                Err(error) => report.warn(error.to_string(), error.kind().policy().hint),
            }
        }
        slot::check_running(&config.slot, findings.slot.as_ref(), &mut report);
        waiting::check(&Server::read(&mut connection).await?, &mut report);
        let served = live::ask(config.status_listen).await;
        service(config, served, &mut report);
        if missing.migrations == 0 && !missing.tenant {
            unsettled(&mut connection, &config.schema, &mut report).await?;
            fillings(&mut connection, &config.schema, &mut report).await?;
        }
    }
    match report.wrongs() {
        0 if report.warnings() == 0 => report.good("nothing is wrong"),
        0 => report.good(format!("nothing is wrong; {} to look at", count(report.warnings(), "warning"))),
        wrongs => {
            let kind = if report.has_conflict() { Kind::SetupConflict } else { Kind::SetupCheck };
            return Err(Error::new(kind, count(wrongs, "problem")));
        }
    }
    Ok(())
}

fn service(config: &Config, served: Result<live::Status>, report: &mut Report) {
    let status = match served {
        Ok(status) => status,
        Err(error) => {
            return report.wrong(
                error.to_string(),
                "start the service: `auth0-sync run`; or correct AUTH0_SYNC_STATUS_LISTEN here or there",
            );
        }
    };
    if status.schema != config.schema || status.domain != config.auth0.domain {
        return report.wrong(
            format!(
                "the service at {} is of {} and schema {}",
                config.status_listen, status.domain, status.schema
            ),
            "correct AUTH0_SYNC_STATUS_LISTEN, AUTH0_DOMAIN or AUTH0_SYNC_SCHEMA here or there",
        );
    }
    match (status.ready, status.streaming) {
        (true, true) => report.good(format!("the service answers at {}", config.status_listen)),
        (true, false) => {
            report.wrong("the service does not receive the replication stream", "look at its log")
        }
        (false, _) => {
            report.warn("the service is not ready yet: it fills the tables", "wait, or look at its log")
        }
    }
    if let Some(kind) = status.writeback.waiting_for {
        report.wrong(format!("writes wait: {kind}"), status.writeback.hint.unwrap_or_default());
    }
}

async fn unsettled(connection: &mut PgConnection, schema: &str, report: &mut Report) -> Result<()> {
    let sql = format!(
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 \
         from {}._sync_cdc where settled_at is null and state <> 'held'",
        ident(schema)
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .map_err(fault("cannot count unsettled mutations"))?;
    let (number, age): (i64, f64) = (row.get(0), row.get(1));
    let line = format!("unsettled mutations: {number}, the oldest {age:.0} s old");
    match number {
        0 => report.good("every mutation is settled"),
        _ if age < OLD_SECONDS => report.good(line),
        _ => report.warn(line, "look at what the service waits for: `auth0-sync status`"),
    }
    Ok(())
}

async fn fillings(connection: &mut PgConnection, schema: &str, report: &mut Report) -> Result<()> {
    let failed = sqlx::query(
        "select \"table\", coalesce(error, '') from _auth0_sync.backfill where schema = $1 and state = 'failed' order by 1",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(fault("cannot read how far the backfill is"))?;
    for row in &failed {
        let (table, error): (String, String) = (row.get(0), row.get(1));
        report.wrong(
            format!("filling {schema}.{table} failed: {error}"),
            format!("mend the cause, then run `auth0-sync backfill {table}`"),
        );
    }
    if failed.is_empty() {
        report.good("no filling of a table has failed");
    }
    Ok(())
}
