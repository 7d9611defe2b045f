//! The pool of the service's own connections.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::fault;
use crate::error::{Error, Kind, Result};

/// The service's pool and the name of the role that it logs in with.
#[derive(Clone, Debug)]
pub struct Database {
    /// Connections of the service role.
    pub pool: PgPool,
    /// `session_user` of these connections; capture leaves this role's writes out.
    pub role: String,
}

/// A connection that was idle for longer is asked whether it still holds before it is used.
const TRUSTED: Duration = Duration::from_secs(1);

/// Opens a pool of at most `size` connections and makes sure that one works.
///
/// # Errors
/// `config` for an URL that cannot be read, `database_login`, `database_unavailable`.
pub async fn connect(url: &SecretString, size: u32) -> Result<Database> {
    open(options(url)?, size).await
}

/// The same with further settings of their sessions, and without a log of slow statements: these carry values.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(url: &SecretString, size: u32, settings: &[(&str, &str)]) -> Result<Database> {
    open(options(url)?.options(settings.iter().copied()).disable_statement_logging(), size).await
}

fn options(url: &SecretString) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|error| Error::with(Kind::Config, "DATABASE_URL cannot be read", error))?
        .application_name("auth0-sync")
        // A row that a client holds is skipped and taken up again, never waited for at length.
        .options([
            ("lock_timeout", "200ms"),
            ("timezone", "UTC"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
    Ok(options)
}

async fn open(options: PgConnectOptions, size: u32) -> Result<Database> {
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| Box::pin(wait_for_nobody(connection)))
        // To ask each time costs a round trip; one that breaks in use is reported as that.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(fault("cannot connect to Postgres"))?;
    let role: String = sqlx::query_scalar("select session_user::text")
        .fetch_one(&pool)
        .await
        .map_err(fault("cannot ask Postgres who we are"))?;
    Ok(Database { pool, role })
}

/// Where the server has commits wait for the service, those of this session do not: the service would wait for
/// itself, and a command for a service that does not run.
///
/// # Errors
/// Database errors.
pub async fn wait_for_nobody(connection: &mut PgConnection) -> std::result::Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/wait_for_nobody.sql")).execute(connection).await?;
    Ok(())
}
