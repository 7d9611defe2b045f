//! What is in the database now, as far as setup cares.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row};

use crate::error::Result;
use crate::pg::fault;

/// A column that exists.
#[derive(Clone, Debug)]
pub struct ExistingColumn {
    /// As `format_type` names it.
    pub sql_type: String,
    /// Its comment.
    pub comment: Option<String>,
}

/// What is in the database now, as far as setup cares; empty for a new database.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// The tenant's schema exists.
    pub has_schema: bool,
    /// `_sync_cdc` exists.
    pub has_bookkeeping: bool,
    /// The publication exists.
    pub has_publication: bool,
    /// `_sync_cdc` of this schema is in it.
    pub published: bool,
    /// Table → column → what it is.
    pub columns: HashMap<String, HashMap<String, ExistingColumn>>,
    /// Tables that setup made earlier.
    pub ours: HashSet<String>,
    /// Function → body.
    pub functions: HashMap<String, String>,
    /// (table, trigger) → comment.
    pub triggers: HashMap<(String, String), Option<String>>,
    /// Table → whether the writers' role has its privileges.
    pub can_write: HashMap<String, bool>,
}

impl Existing {
    /// Reads the catalogs of Postgres; needs the migrations to be there for `ours`.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Existing> {
        let mut existing = Existing::default();
        let row = sqlx::query(include_str!("../sql/existing_objects.sql"))
            .bind(schema)
            .fetch_one(&mut *connection)
            .await
            .map_err(fault("cannot read what is in the database"))?;
        existing.has_schema = row.get(0);
        existing.has_bookkeeping = row.get(1);
        existing.has_publication = row.get(2);
        existing.published = row.get(3);
        for row in rows(connection, include_str!("../sql/existing_columns.sql"), schema).await? {
            let column = ExistingColumn { sql_type: row.get(2), comment: row.get(3) };
            existing.columns.entry(row.get(0)).or_default().insert(row.get(1), column);
        }
        for row in rows(connection, include_str!("../sql/existing_functions.sql"), schema).await? {
            existing.functions.insert(row.get(0), row.get(1));
        }
        for row in rows(connection, include_str!("../sql/existing_triggers.sql"), schema).await? {
            existing.triggers.insert((row.get(0), row.get(1)), row.get(2));
        }
        for row in rows(connection, include_str!("../sql/existing_grants.sql"), schema).await? {
            existing.can_write.insert(row.get(0), row.get(1));
        }
        let migrated: bool = sqlx::query_scalar("select to_regclass('_auth0_sync.mirror') is not null")
            .fetch_one(&mut *connection)
            .await
            .map_err(fault("cannot look for _auth0_sync"))?;
        if migrated {
            for row in
                rows(connection, "select \"table\" from _auth0_sync.mirror where schema = $1", schema).await?
            {
                existing.ours.insert(row.get(0));
            }
        }
        Ok(existing)
    }
}

async fn rows(
    connection: &mut PgConnection,
    sql: &'static str,
    schema: &str,
) -> Result<Vec<sqlx::postgres::PgRow>> {
    sqlx::query(sql)
        .bind(schema)
        .fetch_all(connection)
        .await
        .map_err(fault("cannot read what is in the database"))
}

/// A short digest of a definition.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
