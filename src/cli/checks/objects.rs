//! What is in the database: what stands in the way, and what is missing.

use sqlx::PgConnection;

use super::Report;
use crate::error::Result;
use crate::pg::{self, Change, Existing, Goal};

/// What has to be made in the database.
#[derive(Debug, Default)]
pub(in crate::cli) struct Missing {
    /// Migrations of `_auth0_sync`.
    pub(in crate::cli) migrations: usize,
    /// The tenant has no entry yet, or one with another port.
    pub(in crate::cli) tenant: bool,
    /// Schema, tables, functions, triggers, grants, publication.
    pub(in crate::cli) changes: Vec<Change>,
}

impl Missing {
    /// Nothing has to be made.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.migrations == 0 && !self.tenant && self.changes.is_empty()
    }
}

/// Compares the database with the catalogue.
///
/// # Errors
/// `database`, `database_privilege`, `database_unavailable`.
pub(in crate::cli) async fn check(
    connection: &mut PgConnection,
    goal: &Goal<'_>,
    report: &mut Report,
) -> Result<Missing> {
    let existing = Existing::read(&mut *connection, goal.schema, goal.role).await?;
    let conflicts = pg::conflicts(goal, &existing);
    if conflicts.is_empty() {
        report.good(format!("nothing stands in the way of schema {}", goal.schema));
    }
    for conflict in &conflicts {
        report.conflict(&conflict.what, &conflict.mend);
    }
    Ok(Missing {
        migrations: pg::pending_migrations(connection).await?,
        tenant: existing.domain.as_deref() != Some(goal.domain),
        changes: pg::plan(goal, &existing),
    })
}
