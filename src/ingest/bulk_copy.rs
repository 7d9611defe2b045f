//! Batches of an export go by COPY straight into the mirror table, under the lock of the table and in the
//! transaction that moves the export's position. Rows that live sources or clients have touched go the way of pages.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::Context;
use super::bulk::{Stored, merge};
use super::bulk_follow::Follow;
use super::bulk_sql::Statements;
use super::export_lines::Batch;
use super::export_state::State;
use crate::catalog::{Resource, RowKey};
use crate::error::{Kind, Result};
use crate::pg::mirror::{COPY_HEADER, COPY_TRAILER, Layout, Tick, lock_table, may_be_ours, row_of_line};
use crate::pg::{fault, ident, literal, qualified, sqlstate};

/// Rows of a batch that meet the table at a time.
const PAGE: usize = 1_000;
/// Bytes that are sent at a time.
const PART: usize = 128 << 10;
/// With more unsettled mutations than this the table itself is asked which rows are touched.
const UNSETTLED: usize = 1_000;
/// How often the lock of the table is tried for: those who have locks of rows have them for moments.
const LOCK_TRIES: u32 = 50;

/// Stores the batches of one export.
pub(super) struct Loader<'c> {
    context: &'c Context,
    pub(super) resource: &'c Resource,
    statements: Statements,
    follow: Follow,
    copy: String,
    unsettled: String,
    began: Tick,
    gone: HashSet<RowKey>,
    /// Rows have to meet the table whatever it has: one may be what a create under way has made, may have gone
    /// with what it hangs on, or is compared only.
    meets: bool,
    /// Most rows are there: COPY would meet them.
    crowded: bool,
}

impl<'c> Loader<'c> {
    /// A loader of what was read from `began` on; `gone` are rows that the export may show and Auth0 has no more.
    pub(super) fn new(
        context: &'c Context,
        resource: &'c Resource,
        layout: &Layout,
        shown: &[String],
        began: Tick,
        gone: HashSet<RowKey>,
        crowded: bool,
    ) -> Loader<'c> {
        let name = qualified(&context.schema, &resource.table);
        let columns: Vec<_> = layout.columns().map(ident).collect();
        let keys: Vec<_> = resource.key.iter().map(|key| format!("key ->> {}", literal(key))).collect();
        Loader {
            context,
            resource,
            statements: Statements::new(&context.schema, resource, shown.iter().map(String::as_str)),
            follow: Follow::of(&context.catalog, resource),
            copy: format!("copy {name} ({}) from stdin (format binary)", columns.join(", ")),
            unsettled: format!(
                "select distinct {} from {} where settled_at is null and \"table\" = {} limit {}",
                keys.join(", "),
                qualified(&context.schema, "_sync_cdc"),
                literal(&resource.table),
                UNSETTLED + 1
            ),
            began,
            gone,
            meets: context.compare.is_some()
                || may_be_ours(resource, &context.schema, "r").is_some()
                || context.catalog.above(resource).next().is_some(),
            crowded,
        }
    }

    /// Stores a batch and moves the position of the export over it.
    ///
    /// # Errors
    /// Database errors other than a row that a client holds.
    pub(super) async fn load(&mut self, batch: &Batch, state: &mut State) -> Result<Stored> {
        let mut stored = Stored::default();
        let apart = match self.meets || self.crowded {
            true => None,
            false => self.apart().await?,
        };
        let apart = match apart {
            Some(apart) if self.copy_in(batch, &apart, state, &mut stored).await? => apart,
            _ => batch.rows.iter().map(|row| row.key.clone()).collect(),
        };
        let apart = batch.iter().filter(|(key, ..)| apart.contains(*key));
        let rest: Vec<(&RowKey, &str)> = apart.map(|(key, _, line)| (key, line)).collect();
        if !rest.is_empty() || state.bytes != batch.end {
            for page in rest.chunks(PAGE) {
                self.merge_in(page, &mut stored).await?;
            }
            let keys: Vec<_> = batch.rows.iter().map(|row| &row.key).collect();
            let mut connection =
                self.context.database.pool.acquire().await.map_err(fault("cannot connect"))?;
            state.advance(&mut connection, batch.end, &keys, &stored.again).await?;
            state.advanced(batch.end, keys.len());
        }
        self.crowded = 2 * stored.inserted.len() < batch.rows.len();
        if self.follow.any && stored.following.len() > PAGE {
            stored.following = self.follow.all().collect();
        }
        Ok(stored)
    }

    /// Rows that cannot simply be added; none where there are too many to name.
    async fn apart(&self) -> Result<Option<HashSet<RowKey>>> {
        let mut connection = self.context.database.pool.acquire().await.map_err(fault("cannot connect"))?;
        self.touched(&mut connection).await
    }

    async fn touched(&self, connection: &mut PgConnection) -> Result<Option<HashSet<RowKey>>> {
        let unsettled = sqlx::query(AssertSqlSafe(self.unsettled.clone()))
            .fetch_all(connection)
            .await
            .map_err(fault("cannot read the unsettled mutations of a table"))?;
        if unsettled.len() > UNSETTLED {
            return Ok(None);
        }
        let key = |row: &sqlx::postgres::PgRow| {
            (0..self.resource.key.len()).map(|n| row.get::<Option<String>, _>(n)).collect::<Option<Vec<_>>>()
        };
        let mut touched: HashSet<_> = unsettled.iter().filter_map(key).map(RowKey).collect();
        touched.extend(self.context.freshness.held_back(&self.resource.table, self.began));
        touched.extend(self.gone.iter().cloned());
        Ok(Some(touched))
    }

    /// Adds all rows of a batch but those apart; false where another row was in the way and nothing is done.
    async fn copy_in(
        &self,
        batch: &Batch,
        apart: &HashSet<RowKey>,
        state: &mut State,
        stored: &mut Stored,
    ) -> Result<bool> {
        let (mut keys, mut pieces) = (Vec::new(), Vec::<std::ops::Range<usize>>::new());
        for (key, tuple, _) in batch.iter().filter(|(key, ..)| !apart.contains(*key)) {
            keys.push(key.clone());
            match pieces.last_mut().filter(|last| last.end == tuple.start) {
                Some(last) => last.end = tuple.end,
                None => pieces.push(tuple),
            }
        }
        let whole = keys.len() == batch.rows.len();
        if keys.is_empty() {
            return Ok(true);
        }
        let mut transaction = self.locked().await?;
        let parts = pieces.into_iter().flat_map(|piece| batch.tuples[piece].chunks(PART));
        let parts: Vec<&[u8]> = parts.collect();
        let copied = async {
            let mut copy = transaction.copy_in_raw(&self.copy).await?;
            copy.send(COPY_HEADER).await?;
            // In parts: a connection keeps room for the largest.
            for part in parts {
                copy.send(part).await?;
            }
            copy.send(COPY_TRAILER).await?;
            copy.finish().await
        };
        match copied.await {
            Ok(_) => {}
            // unique_violation, lock_not_available, deadlock_detected
            Err(error) if matches!(sqlstate(&error).as_deref(), Some("23505" | "55P03" | "40P01")) => {
                return Ok(false);
            }
            Err(error) => return Err(fault("cannot copy a batch of rows")(error)),
        }
        // A client's delete may have been committed while COPY waited for it, and a settlement before the lock.
        let Some(touched) = self.touched(&mut transaction).await? else { return Ok(false) };
        if keys.iter().any(|key| touched.contains(key)) {
            return Ok(false);
        }
        if whole {
            let keys: Vec<_> = keys.iter().collect();
            state.advance(&mut transaction, batch.end, &keys, &[]).await?;
        }
        transaction.commit().await.map_err(fault("cannot commit a batch of rows"))?;
        if whole {
            state.advanced(batch.end, keys.len());
        }
        if self.follow.any {
            stored.following.extend(self.follow.all());
        }
        stored.inserted.append(&mut keys);
        Ok(true)
    }

    /// A transaction with the lock of the table.
    async fn locked(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
        let mut tries = 0;
        loop {
            let begun = self.context.database.pool.begin().await;
            let mut transaction = begun.map_err(fault("cannot begin"))?;
            match lock_table(&mut transaction, &self.context.schema, self.resource).await {
                Err(error) if error.kind() == Kind::DatabaseBusy && tries < LOCK_TRIES => tries += 1,
                locked => return locked.map(|()| transaction),
            }
            drop(transaction);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets rows meet the table.
    async fn merge_in(&self, rows: &[(&RowKey, &str)], stored: &mut Stored) -> Result<()> {
        let mut page = Vec::with_capacity(rows.len());
        for (key, line) in rows {
            if self.gone.contains(*key) {
                stored.again.push((*key).clone());
            } else {
                page.push(((*key).clone(), row_of_line(self.resource, line)?));
            }
        }
        stored.join(merge(self.context, self.resource, &self.statements, page, self.began).await?);
        Ok(())
    }
}
