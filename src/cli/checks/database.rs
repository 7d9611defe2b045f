//! Postgres from the login to the last object: opens the connections, and says what is wrong and
//! what is missing.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, Row};

use super::login::{Login, Refused};
use super::objects::{self, Missing};
use super::{Report, server, slot};
use crate::app::Config;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::pg::{self, Change, Goal, Roles, Server, Slot, fault, ident};

/// What is known of the database after the checks.
#[derive(Default)]
pub(in crate::cli) struct Findings {
    /// The service's own connection, where it can log in already.
    pub(in crate::cli) service: Option<PgConnection>,
    /// The administrator's, where one was named.
    pub(in crate::cli) admin: Option<PgConnection>,
    /// What an administrator has to change before the service can; empty where nobody is there to do it.
    pub(in crate::cli) roles: Vec<Change>,
    /// What the service's role has to make.
    pub(in crate::cli) missing: Missing,
    /// The slot.
    pub(in crate::cli) slot: Option<Slot>,
    /// The service's login role.
    pub(in crate::cli) role: String,
}

/// Looks at everything in the database.
///
/// # Errors
/// `config` for a connection string that cannot be read; what is wrong in the database is in the report.
pub(in crate::cli) async fn check(
    config: &Config,
    admin_url: Option<&SecretString>,
    (catalog, drop): (&Catalog, bool),
    report: &mut Report,
) -> Result<Findings> {
    let login = Login::read("DATABASE_URL", &config.database_url)?;
    let admin = admin_url.map(|url| Login::read("DATABASE_ADMIN_URL", url)).transpose()?;
    if login.by_socket {
        report.wrong(
            "DATABASE_URL leads to a Unix socket, and replication goes over TCP",
            "name a host: postgres://role:password@localhost:5432/database; an administrator may use a socket",
        );
    }
    let mut findings = Findings { role: login.role.clone(), ..Findings::default() };
    if let Some(admin) = &admin {
        match admin.connect().await {
            Ok(connection) => findings.admin = Some(connection),
            Err(Refused { what, mend }) => report.wrong(what, mend),
        }
    }
    if let Err(error) = look(config, &login, (catalog, drop), &mut findings, report).await {
        report.wrong(error.to_string(), error.kind().policy().hint);
    }
    Ok(findings)
}

async fn look(
    config: &Config,
    login: &Login,
    (catalog, drop): (&Catalog, bool),
    findings: &mut Findings,
    report: &mut Report,
) -> Result<()> {
    let known = match &mut findings.admin {
        Some(admin) => {
            pg::Login::read(admin, &login.role).await?.map(|role| role.can_login && role.may_connect)
        }
        None => Some(true),
    };
    // A role that is missing or may not log in is mended first.
    if known == Some(true) {
        match login.connect().await {
            Ok(connection) => findings.service = Some(connection),
            Err(Refused { what, mend }) => report.wrong(what, mend),
        }
    }
    if let (Some(admin), Some(service)) = (&mut findings.admin, &mut findings.service) {
        same_database(admin, service, report).await?;
    }
    let Some(connection) = findings.service.as_mut().or(findings.admin.as_mut()) else { return Ok(()) };
    let facts = Server::read(&mut *connection).await?;
    findings.slot = Slot::read(&mut *connection, &config.slot).await?;
    server::check(&facts, findings.slot.as_ref(), report);
    if facts.database != login.database {
        report.wrong(
            format!("DATABASE_ADMIN_URL names database {}, DATABASE_URL {}", facts.database, login.database),
            "name the same database in both",
        );
        return Ok(());
    }
    roles(config, login, &facts, findings, report).await?;
    if let Some(slot) = &findings.slot {
        slot::check(&config.slot, slot, report);
    }
    let Some(connection) = findings.service.as_mut().or(findings.admin.as_mut()) else { return Ok(()) };
    let goal = goal(config, catalog, &login.role, drop);
    findings.missing = objects::check(connection, &goal, report).await?;
    Ok(())
}

/// What the database shall become.
pub(in crate::cli) fn goal<'a>(
    config: &'a Config,
    catalog: &'a Catalog,
    role: &'a str,
    drop: bool,
) -> Goal<'a> {
    Goal { catalog, schema: &config.schema, role, domain: &config.auth0.domain, drop }
}

/// Two connection strings may lead to two servers that look alike.
async fn same_database(
    admin: &mut PgConnection,
    service: &mut PgConnection,
    report: &mut Report,
) -> Result<()> {
    let sql = "select pg_catalog.pg_postmaster_start_time()::text, oid::text from pg_catalog.pg_database \
               where datname = current_database()";
    let mut seen = Vec::new();
    for connection in [admin, service] {
        let row = sqlx::query(sql)
            .fetch_one(connection)
            .await
            .map_err(fault("cannot ask which database this is"))?;
        seen.push((row.get::<String, _>(0), row.get::<String, _>(1)));
    }
    if seen[0] != seen[1] {
        report.wrong(
            "DATABASE_ADMIN_URL and DATABASE_URL lead to different databases",
            "name the same host, port and database in both",
        );
    }
    Ok(())
}

/// The service's role and the groups of applications: what is wrong, and what an administrator changes.
async fn roles(
    config: &Config,
    login: &Login,
    facts: &Server,
    findings: &mut Findings,
    report: &mut Report,
) -> Result<()> {
    let roles = Roles {
        service: login.role.clone(),
        schema: config.schema.clone(),
        database: facts.database.clone(),
    };
    let alone = findings.admin.is_none();
    let Some(connection) = findings.admin.as_mut().or(findings.service.as_mut()) else { return Ok(()) };
    let known = pg::Login::read(&mut *connection, &login.role).await?;
    let password = login.password.as_ref().map(ExposeSecret::expose_secret);
    findings.roles = roles.plan(&mut *connection, password).await?;
    let superuser = known.as_ref().is_some_and(|role| role.superuser);
    if let Some(role) = &known {
        if superuser {
            report.warn(
                format!("role {} is a superuser", login.role),
                format!(
                    "give the service a role of its own; applications must never share it: \
                     what {} writes is taken for what Auth0 says, and is not sent to Auth0",
                    login.role
                ),
            );
        }
        if role.strangers > 0 {
            report.warn(
                format!(
                    "{} of other programs use role {} now",
                    super::count(to_usize(role.strangers), "client session"),
                    login.role
                ),
                format!(
                    "give applications a role of their own: create role app login password '…' in role {};",
                    ident(&format!("{}_writer", config.schema))
                ),
            );
        }
    }
    if findings.roles.is_empty() {
        report.good(format!("role {} logs in, replicates and creates schemas", login.role));
    } else if alone && !superuser {
        // The password stands in DATABASE_URL, and not on a screen.
        let statements: Vec<String> = roles
            .plan(connection, None)
            .await?
            .into_iter()
            .map(|change| format!("{};", change.sql))
            .collect();
        let wanting: Vec<&str> = findings.roles.iter().map(|change| change.what.as_str()).collect();
        report.wrong(
            format!("role {} lacks rights: {}", login.role, wanting.join(", ")),
            format!(
                "run setup with --admin-url, or let an administrator run this in {}:\n{}",
                facts.database,
                statements.join("\n")
            ),
        );
        findings.roles.clear();
    }
    if known.is_none() && login.password.is_none() {
        report.warn(
            format!("DATABASE_URL has no password; role {} is made without one", login.role),
            "put a password into DATABASE_URL, unless pg_hba.conf lets the role in by other means",
        );
    }
    Ok(())
}

fn to_usize(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
