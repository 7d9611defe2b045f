//! The replication slot: found, made, made anew, dropped. Over an ordinary connection.

use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::fault::sql;
use super::{Lsn, Settings};
use crate::error::{Error, Kind, Result};

/// What [`ensure_slot`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// It stands, and goes on from here.
    Existing {
        /// Up to here everything was acknowledged.
        confirmed_flush_lsn: Lsn,
    },
    /// It was made now: what was committed before does not come through it.
    Created,
}

/// Makes sure that the slot can be read. One that Postgres has invalidated is dropped and made anew.
///
/// # Errors
/// `replication` where `wal_level` is not `logical`, the publication is missing, the slot is in
/// use, or no slot is left; `setup_conflict` where another kind of slot has the name;
/// `database_privilege` where the role lacks REPLICATION.
pub async fn ensure_slot(settings: &Settings) -> Result<SlotState> {
    let mut connection = connect(settings).await?;
    let state = match find(&mut connection, settings).await? {
        Some(Found::Usable(confirmed_flush_lsn)) => SlotState::Existing { confirmed_flush_lsn },
        Some(Found::Lost) => {
            drop_it(&mut connection, settings).await?;
            create(&mut connection, settings).await?
        }
        None => create(&mut connection, settings).await?,
    };
    close(connection).await;
    Ok(state)
}

/// Makes a new slot in place of the one that is there, if any: after `slot_lost`.
///
/// # Errors
/// As [`ensure_slot`].
pub async fn renew_slot(settings: &Settings) -> Result<()> {
    let mut connection = connect(settings).await?;
    if find(&mut connection, settings).await?.is_some() {
        drop_it(&mut connection, settings).await?;
    }
    create(&mut connection, settings).await?;
    close(connection).await;
    Ok(())
}

/// Drops the slot where it stands; whether it stood.
///
/// # Errors
/// `replication` where it is in use.
pub async fn drop_slot(settings: &Settings) -> Result<bool> {
    let mut connection = connect(settings).await?;
    let stood = find(&mut connection, settings).await?.is_some();
    if stood {
        drop_it(&mut connection, settings).await?;
    }
    close(connection).await;
    Ok(stood)
}

enum Found {
    Usable(Lsn),
    Lost,
}

async fn connect(settings: &Settings) -> Result<PgConnection> {
    PgConnectOptions::from_str(settings.database_url.expose_secret())
        .map_err(sql("DATABASE_URL cannot be read"))?
        .application_name("auth0-sync slot")
        .connect()
        .await
        .map_err(sql("cannot connect to Postgres"))
}

/// The work is done; a connection that does not close well takes nothing back.
async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "A connection did not close well");
    }
}

async fn find(connection: &mut PgConnection, settings: &Settings) -> Result<Option<Found>> {
    let row = sqlx::query(include_str!("sql/slot.sql"))
        .bind(&settings.slot)
        .fetch_optional(connection)
        .await
        .map_err(sql("cannot look for the replication slot"))?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<Option<bool>, _>("ours") != Some(true) {
        let what = format!("the replication slot {} is of another plugin or database", settings.slot);
        return Err(Error::new(Kind::SetupConflict, what));
    }
    Ok(Some(match row.get::<Option<String>, _>("confirmed_flush_lsn") {
        Some(lsn) if row.get::<Option<bool>, _>("lost") != Some(true) => Found::Usable(lsn.parse()?),
        _ => Found::Lost,
    }))
}

async fn create(connection: &mut PgConnection, settings: &Settings) -> Result<SlotState> {
    let row = sqlx::query(include_str!("sql/requirements.sql"))
        .bind(&settings.publication)
        .fetch_one(&mut *connection)
        .await
        .map_err(sql("cannot check what the replication slot needs"))?;
    let wal_level: String = row.get("wal_level");
    if wal_level != "logical" {
        let what = format!("wal_level is {wal_level}; it must be logical, and a change needs a restart");
        return Err(Error::new(Kind::Replication, what));
    }
    // A slot cannot decode what was written before its publication was made.
    if !row.get::<bool, _>("published") {
        let what = format!("the publication {} does not exist: run `auth0-sync setup`", settings.publication);
        return Err(Error::new(Kind::Replication, what));
    }
    sqlx::query(include_str!("sql/create_slot.sql"))
        .bind(&settings.slot)
        .execute(connection)
        .await
        .map_err(sql("cannot make the replication slot"))?;
    Ok(SlotState::Created)
}

async fn drop_it(connection: &mut PgConnection, settings: &Settings) -> Result<()> {
    sqlx::query(include_str!("sql/drop_slot.sql"))
        .bind(&settings.slot)
        .execute(connection)
        .await
        .map_err(sql("cannot drop the replication slot"))?;
    Ok(())
}
