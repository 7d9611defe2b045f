//! What a Postgres server is and allows: facts for the checks, read from its catalogs. It changes
//! nothing and judges nothing.

use sqlx::{PgConnection, Row};

use super::fault;
use crate::error::Result;

/// A server, seen from one database.
#[derive(Clone, Debug)]
pub struct Server {
    /// As in 18 or 14.
    pub major: u32,
    /// The whole version, as the server words it.
    pub version: String,
    /// The database of the connection.
    pub database: String,
    /// For example `UTF8`.
    pub encoding: String,
    /// `replica`, `logical` or `minimal`.
    pub wal_level: String,
    /// Replication slots: how many there are, and how many there may be.
    pub slots: (i64, i64),
    /// Walsenders: how many run, and how many may run.
    pub senders: (i64, i64),
    /// It is a standby: it takes no writes.
    pub standby: bool,
    /// `synchronous_standby_names`.
    pub synchronous_standbys: String,
}

impl Server {
    /// Reads it.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn read(connection: &mut PgConnection) -> Result<Server> {
        let row = sqlx::query(include_str!("sql/server.sql"))
            .fetch_one(connection)
            .await
            .map_err(fault("cannot read the server's settings"))?;
        Ok(Server {
            major: u32::try_from(row.get::<i32, _>(0)).unwrap_or_default() / 10_000,
            version: row.get(1),
            database: row.get(2),
            encoding: row.get(3),
            wal_level: row.get(4),
            slots: (row.get(6), row.get(5)),
            senders: (row.get(8), row.get(7)),
            standby: row.get(9),
            synchronous_standbys: row.get(10),
        })
    }
}

/// A role, seen from the database of the connection.
#[derive(Clone, Debug)]
pub struct Login {
    /// No check of privileges applies to it.
    pub superuser: bool,
    /// LOGIN.
    pub can_login: bool,
    /// REPLICATION, which superusers have in any case.
    pub replication: bool,
    /// CONNECT on the database.
    pub may_connect: bool,
    /// Its sessions that do not call themselves `auth0-sync`.
    pub strangers: i64,
}

impl Login {
    /// Reads it; none where there is no such role.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn read(connection: &mut PgConnection, role: &str) -> Result<Option<Login>> {
        let row = sqlx::query(include_str!("sql/role.sql"))
            .bind(role)
            .fetch_optional(connection)
            .await
            .map_err(fault("cannot read the service's role"))?;
        Ok(row.map(|row| Login {
            superuser: row.get(0),
            can_login: row.get(1),
            replication: row.get(2),
            may_connect: row.get(3),
            strangers: row.get(4),
        }))
    }
}

/// A replication slot.
#[derive(Clone, Debug)]
pub struct Slot {
    /// None for a physical slot.
    pub plugin: Option<String>,
    /// None for a physical slot.
    pub database: Option<String>,
    /// Somebody reads from it now.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// Bytes of WAL that the server keeps for it.
    pub retained: Option<i64>,
    /// Bytes of WAL that its reader has not confirmed yet.
    pub lag: Option<i64>,
    /// A logical slot of the database of the connection, through pgoutput.
    pub fits: bool,
}

impl Slot {
    /// The server has removed WAL that the slot needs: it cannot be read any more.
    pub fn is_lost(&self) -> bool {
        self.wal_status.as_deref() == Some("lost")
    }

    /// Reads it; none where there is no such slot.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn read(connection: &mut PgConnection, name: &str) -> Result<Option<Slot>> {
        let row = sqlx::query(include_str!("sql/slot.sql"))
            .bind(name)
            .fetch_optional(connection)
            .await
            .map_err(fault("cannot read the replication slots"))?;
        Ok(row.map(|row| {
            let plugin: Option<String> = row.get(0);
            let fits = plugin.as_deref() == Some("pgoutput") && row.get::<Option<bool>, _>(6) == Some(true);
            Slot {
                plugin,
                database: row.get(1),
                active: row.get(2),
                wal_status: row.get(3),
                retained: row.get(4),
                lag: row.get(5),
                fits,
            }
        }))
    }
}
