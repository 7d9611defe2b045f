//! `auth0-sync setup`: checks credentials and rights, then makes what is missing. A second run
//! changes nothing. It never touches what somebody else made.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;

use super::checks::database::{self, Findings};
use super::checks::login::Login;
use super::checks::{self, Report, count, say};
use crate::app::Config;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Existing, fault};
use crate::wal;

/// Arguments of `auth0-sync setup`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// An administrator's connection to the same database, for what DATABASE_URL's role may not do
    #[arg(long, env = "DATABASE_ADMIN_URL", hide_env_values = true, value_name = "URL")]
    admin_url: Option<SecretString>,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Drop the tables and columns that are not selected any more
    #[arg(long)]
    drop: bool,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// `setup_conflict` where an object of somebody else stands in the way, `setup_check` for anything
/// else that was found wrong; nothing is changed then.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let catalog = config.catalog()?;
    super::block_on(set_up(&args, &config, &catalog))
}

async fn set_up(args: &Args, config: &Config, catalog: &Catalog) -> Result<()> {
    let mut report = Report::default();
    checks::selection::show(catalog, &mut report)?;
    report.part("Auth0");
    checks::auth0::check(config, catalog, &mut report).await;
    report.part("Postgres");
    let admin_url = args.admin_url.as_ref().filter(|url| !url.expose_secret().is_empty());
    let findings = database::check(config, admin_url, (catalog, args.drop), &mut report).await?;
    if report.wrongs() > 0 {
        let kind = if report.has_conflict() { Kind::SetupConflict } else { Kind::SetupCheck };
        let what = format!("{} in the way; nothing was changed", count(report.wrongs(), "problem"));
        return Err(Error::new(kind, what));
    }
    report.part(if args.dry_run { "Changes (dry run: nothing is changed)" } else { "Changes" });
    let (roles, missing) = (&findings.roles, &findings.missing);
    for change in roles {
        report.change(&change.what);
    }
    if missing.migrations > 0 {
        report.change(format!(
            "bring schema _auth0_sync up to date ({})",
            count(missing.migrations, "migration")
        ));
    }
    if missing.tenant {
        report.change(format!("mirror tenant {} into schema {}", config.auth0.domain, config.schema));
    }
    for change in &missing.changes {
        report.change(&change.what);
    }
    let slot = findings.slot.as_ref().is_none_or(pg::Slot::is_lost);
    if slot {
        report.change(format!("create replication slot {}", config.slot));
    }
    if roles.is_empty() && missing.is_empty() && !slot {
        report.good("nothing has to change");
    } else if !args.dry_run {
        change(config, catalog, args.drop, findings).await?;
        report.good(format!("schema {} is ready", config.schema));
    }
    if !args.dry_run && report.warnings() > 0 {
        say(&format!("{} above to look at.", count(report.warnings(), "warning")));
    }
    Ok(())
}

/// Makes what is missing: roles as the administrator, everything else as the service's own role,
/// which owns it all.
async fn change(config: &Config, catalog: &Catalog, drop: bool, mut findings: Findings) -> Result<()> {
    if !findings.roles.is_empty() {
        let administrator = findings.admin.as_mut().or(findings.service.as_mut());
        let connection =
            administrator.ok_or_else(|| Error::new(Kind::Internal, "nobody can make the roles"))?;
        make_roles(connection, &findings.roles).await?;
    }
    let mut service = match findings.service {
        Some(connection) => connection,
        None => {
            let login = Login::read("DATABASE_URL", &config.database_url)?;
            login.connect().await.map_err(|refused| {
                Error::new(Kind::DatabaseLogin, format!("{}\n  {}", refused.what, refused.mend))
            })?
        }
    };
    // Of two setups at once, the second finds nothing left to do.
    sqlx::query("select pg_advisory_lock(hashtext('auth0-sync setup'))")
        .execute(&mut service)
        .await
        .map_err(fault("another setup is at work"))?;
    if findings.missing.migrations > 0 {
        pg::migrate(&mut service).await?;
    }
    // Roles and migrations have come meanwhile, so what is missing is looked at anew.
    let existing = Existing::read(&mut service, &config.schema, &findings.role).await?;
    let goal = database::goal(config, catalog, &findings.role, drop);
    let changes = pg::plan(&goal, &existing);
    if let Err(error) = pg::apply(&mut service, &goal, &changes).await {
        return Err(match error.kind() {
            Kind::DatabaseBusy => Error::with(
                Kind::SetupCheck,
                "a long transaction holds a table of the schema; let it end and run setup again; nothing was changed",
                error,
            ),
            _ => error,
        });
    }
    let mut slot = wal::Settings::new(config.database_url.clone());
    slot.slot.clone_from(&config.slot);
    wal::ensure_slot(&slot).await.map(|_| ())
}

async fn make_roles(connection: &mut PgConnection, changes: &[pg::Change]) -> Result<()> {
    for change in changes {
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.sql.clone()))
            .execute(&mut *connection)
            .await
            .map_err(fault(&format!("the administrator's role cannot {}", change.what)))?;
    }
    Ok(())
}
