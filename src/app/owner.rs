//! One service a schema: a session-level advisory lock on a connection of its own. Two services
//! that overlap (a rolling deployment) would read each other's calls as their own lost ones; the
//! second waits, and takes over when the first has gone.

use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Config;
use crate::error::{Error, Kind, Result};
use crate::pg::fault;

/// Between two tries for the lock, and between two looks whether it still holds.
const LOOK: Duration = Duration::from_secs(1);
/// A look that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to serve a schema, while it lives.
pub(super) struct Owner {
    lost: CancellationToken,
    watch: JoinHandle<()>,
}

impl Owner {
    /// Waits until no other service holds the schema.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn acquire(config: &Config) -> Result<Owner> {
        let (mut connection, name) = connect(config).await?;
        let mut told = false;
        while !take(&mut connection, &name).await? {
            if !told {
                tracing::warn!(schema = %config.schema, "another service serves this schema; this one waits for its end");
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Owner::of(connection))
    }

    /// The right to a schema that no service holds; none where one does.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn try_acquire(config: &Config) -> Result<Option<Owner>> {
        let (mut connection, name) = connect(config).await?;
        Ok(take(&mut connection, &name).await?.then(|| Owner::of(connection)))
    }

    fn of(connection: PgConnection) -> Owner {
        let lost = CancellationToken::new();
        let watch = tokio::spawn(watch(connection, lost.clone()));
        Owner { lost, watch }
    }

    /// Resolves when the right is lost: the connection that held it broke.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // With the connection goes the lock.
        self.watch.abort();
    }
}

async fn connect(config: &Config) -> Result<(PgConnection, String)> {
    let options = PgConnectOptions::from_str(config.database_url.expose_secret())
        .map_err(|error| Error::with(Kind::Config, "DATABASE_URL cannot be read", error))?
        .application_name("auth0-sync owner")
        // A host that vanished must not hold the lock for hours.
        .options([
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
    let connection = options.connect().await.map_err(fault("cannot connect to Postgres"))?;
    Ok((connection, format!("auth0-sync:{}", config.schema)))
}

async fn take(connection: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar("select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(fault("cannot take the lock of the schema"))
}

async fn watch(mut connection: PgConnection, lost: CancellationToken) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !matches!(tokio::time::timeout(PATIENCE, connection.ping()).await, Ok(Ok(()))) {
            lost.cancel();
            return;
        }
    }
}
