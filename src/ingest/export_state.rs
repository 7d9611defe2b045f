//! How far an export has been read, in `_auth0_sync.export`: a position moves in the transaction that
//! stores the rows before it, so that a crash loses no row and doubles none.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use super::Context;
use super::seen::{Seen, digests};
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::fault;

/// An export that is being read.
#[derive(Debug)]
pub(super) struct State {
    schema: String,
    table: String,
    /// Auth0's name of the job.
    pub(super) job: String,
    /// When Auth0 began it, by Auth0's clock.
    pub(super) created_at: Option<DateTime<Utc>>,
    /// Whether the mirror had rows then.
    pub(super) began_with_rows: bool,
    /// Whether an earlier process has read a part of it.
    pub(super) resumed: bool,
    /// Which file the position belongs to.
    pub(super) etag: Option<String>,
    /// Whether the file can be fetched from a position on: it can, and is not packed.
    pub(super) ranges: bool,
    /// The position: so many unpacked bytes are stored.
    pub(super) bytes: u64,
    /// So many rows are stored.
    pub(super) rows: u64,
}

impl State {
    /// The export of this table that is under way, if one is.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn take_up(context: &Context, resource: &Resource) -> Result<Option<State>> {
        let found = sqlx::query(include_str!("sql/take_up_export.sql"))
            .bind(&context.schema)
            .bind(&resource.table)
            .fetch_optional(&context.database.pool)
            .await
            .map_err(fault("cannot look for an export under way"))?;
        Ok(found.map(|row| State {
            schema: context.schema.clone(),
            table: resource.table.clone(),
            job: row.get(0),
            created_at: row.get(1),
            began_with_rows: row.get(2),
            resumed: true,
            etag: row.get(3),
            ranges: row.get(4),
            bytes: row.get::<i64, _>(5).cast_unsigned(),
            rows: row.get::<i64, _>(6).cast_unsigned(),
        }))
    }

    /// A job has just been started.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn begin(
        context: &Context,
        resource: &Resource,
        job: String,
        created_at: Option<DateTime<Utc>>,
        began_with_rows: bool,
    ) -> Result<State> {
        sqlx::query(include_str!("sql/begin_export.sql"))
            .bind(&context.schema)
            .bind(&resource.table)
            .bind(&job)
            .bind(created_at)
            .bind(began_with_rows)
            .execute(&context.database.pool)
            .await
            .map_err(fault("cannot note the start of an export"))?;
        Ok(State {
            schema: context.schema.clone(),
            table: resource.table.clone(),
            job,
            created_at,
            began_with_rows,
            resumed: false,
            etag: None,
            ranges: false,
            bytes: 0,
            rows: 0,
        })
    }

    /// The file that is being read; another than before is read from its beginning.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn file(&mut self, context: &Context, etag: Option<String>, ranges: bool) -> Result<()> {
        if self.etag.is_some() && self.etag != etag {
            (self.bytes, self.rows) = (0, 0);
        }
        (self.etag, self.ranges) = (etag, ranges);
        sqlx::query(include_str!("sql/note_export_file.sql"))
            .bind(&self.schema)
            .bind(&self.table)
            .bind(&self.job)
            .bind(&self.etag)
            .bind(self.ranges)
            .bind(self.bytes.cast_signed())
            .bind(self.rows.cast_signed())
            .execute(&context.database.pool)
            .await
            .map_err(fault("cannot note the file of an export"))?;
        Ok(())
    }

    /// Moves the stored position over a batch; call [`State::advanced`] once that is committed.
    ///
    /// # Errors
    /// Database errors; `internal` where the position is not where it was left.
    pub(super) async fn advance(
        &self,
        connection: &mut PgConnection,
        end: u64,
        keys: &[&RowKey],
        again: &[RowKey],
    ) -> Result<()> {
        // What the mirror did not have cannot be missing from the file.
        let seen = self.began_with_rows.then(|| digests(keys.iter().copied()));
        let moved: i64 = sqlx::query_scalar(include_str!("sql/advance_export.sql"))
            .bind(&self.schema)
            .bind(&self.table)
            .bind(&self.job)
            .bind(self.bytes.cast_signed())
            .bind(end.cast_signed())
            .bind((self.rows + keys.len() as u64).cast_signed())
            .bind(seen)
            .bind(Json(again.iter().map(|key| &key.0).collect::<Vec<_>>()))
            .fetch_one(connection)
            .await
            .map_err(fault("cannot note the position in an export"))?;
        match moved {
            1 => Ok(()),
            _ => Err(Error::new(Kind::Internal, "the position in an export has been moved by somebody else")),
        }
    }

    /// The batch is committed.
    pub(super) fn advanced(&mut self, end: u64, rows: usize) {
        self.bytes = end;
        self.rows += rows as u64;
    }

    /// The keys that the export has shown; only where the mirror had rows before.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn seen(&self, context: &Context) -> Result<Seen> {
        let mut rows = sqlx::query_scalar::<_, Vec<u8>>(include_str!("sql/seen_by_export.sql"))
            .bind(&self.schema)
            .bind(&self.table)
            .fetch(&context.database.pool);
        let mut seen = Seen::default();
        while let Some(packed) =
            rows.try_next().await.map_err(fault("cannot read what an export has shown"))?
        {
            seen.take(&packed);
        }
        Ok(seen)
    }

    /// Rows that are to be read by key.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn again(&self, context: &Context) -> Result<Vec<RowKey>> {
        self.keys(context, include_str!("sql/again_after_export.sql")).await
    }

    /// Rows that were deleted since the export began.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn gone(&self, context: &Context) -> Result<Vec<RowKey>> {
        self.keys(context, include_str!("sql/gone_since_export.sql")).await
    }

    async fn keys(&self, context: &Context, sql: &'static str) -> Result<Vec<RowKey>> {
        let keys: Vec<Vec<String>> = sqlx::query_scalar(sql)
            .bind(&self.schema)
            .bind(&self.table)
            .fetch_all(&context.database.pool)
            .await
            .map_err(fault("cannot read the keys that an export left open"))?;
        Ok(keys.into_iter().map(RowKey).collect())
    }
}

/// The export of a table is over, or given up.
///
/// # Errors
/// Database errors.
pub(super) async fn forget(context: &Context, resource: &Resource) -> Result<()> {
    sqlx::query(include_str!("sql/forget_export.sql"))
        .bind(&context.schema)
        .bind(&resource.table)
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot note the end of an export"))?;
    Ok(())
}
