//! A part of a table by an export of it alone: the users of one connection after an import. It is small
//! beside the table, so nothing of it is stored for a restart: the position of the source that has asked
//! for it does not move before it has been read. It deletes nothing: what a part misses may be elsewhere.

use std::time::Duration;

use serde_json::Map;

use super::bulk;
use super::bulk_sql::Statements;
use super::export::{self, Stop};
use super::export_lines::{Batch, Lines};
use super::listed::Listed;
use super::{Context, Queue, kept};
use crate::auth0::Lane;
use crate::catalog::{Export, Resource, Target};
use crate::error::Result;
use crate::pg::mirror::{Layout, Tick, row_of_line};

/// Rows that meet the table at a time.
const PAGE: usize = 1_000;
/// So often the file of one job is fetched.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Reads the part of a table that `values` name, as the body of the export's call takes them; false where
/// it has to be read again. Where there is no such export the whole table is asked for.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn read(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    values: &[(String, String)],
) -> Result<bool> {
    let whole = || Target::Table { table: resource.table.clone() };
    let Some(wanted) = export::wanted(context, resource) else {
        kept::ask(context, queue, [whole()]).await?;
        return Ok(true);
    };
    // Auth0 does not say how many exports may run at a time: one of ours at most, and nobody waits for it.
    let Ok(_turn) = context.exports.turn.try_lock() else { return Ok(false) };
    match Box::pin(run(context, queue, resource, wanted, values)).await {
        Ok(()) => Ok(true),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Refused(error) | Stop::Failed(error)) => {
            tracing::warn!(table = %resource.table, %error, "a part of the table cannot be exported: all of it is read");
            kept::ask(context, queue, [whole()]).await?;
            Ok(true)
        }
    }
}

async fn run(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    wanted: &Export,
    values: &[(String, String)],
) -> std::result::Result<(), Stop> {
    // Before the job begins: whatever is settled or read meanwhile is newer than what it shows.
    let reading = context.freshness.begin();
    let values: Map<_, _> =
        values.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let (job, _) = export::order(context, resource, wanted, values, Lane::Refetch, None).await?;
    let mut tries = 0;
    loop {
        let link = export::finished(context, wanted, &job, Lane::Refetch, None).await?;
        tries += 1;
        match read_file(context, queue, resource, (wanted, &link), reading.began()).await {
            Ok(rows) => {
                tracing::info!(table = %resource.table, rows, "a part of the table has been read");
                return Ok(());
            }
            Err(error) if tries < TRIES && export::is_of_the_file(&error) => {
                tracing::warn!(table = %resource.table, %error, "an export broke off and is fetched again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Stores the rows of a file batch by batch; how many there were.
async fn read_file(
    context: &Context,
    queue: &Queue,
    resource: &Resource,
    (wanted, link): (&Export, &str),
    began: Tick,
) -> Result<usize> {
    let layout = Layout::of(resource);
    let columns = wanted.columns.iter().map(String::as_str);
    let mut store = Store {
        context,
        queue,
        resource,
        statements: Statements::new(&context.schema, resource, columns),
        began,
        rows: 0,
        listed: Listed::default(),
    };
    let (mut lines, mut full) = (Lines::new(resource, &layout, 0, 0), Vec::new());
    let mut download = context.auth0.download(link, None).await?;
    while let Some(chunk) = download.chunk().await? {
        lines.feed(&chunk, &mut full)?;
        store.take(&mut full).await?;
    }
    lines.end(&mut full)?;
    store.take(&mut full).await?;
    let mut listed = store.listed;
    let following = std::mem::take(&mut listed.following).into_iter();
    let open = listed.open().into_iter();
    let open = open.filter_map(|key| Target::row(&context.catalog, &resource.table, key));
    kept::ask(context, queue, following.chain(open)).await?;
    Ok(store.rows)
}

/// Where batches go.
struct Store<'a> {
    context: &'a Context,
    queue: &'a Queue,
    resource: &'a Resource,
    statements: Statements,
    began: Tick,
    rows: usize,
    listed: Listed,
}

impl Store<'_> {
    async fn take(&mut self, full: &mut Vec<Batch>) -> Result<()> {
        let (context, resource) = (self.context, self.resource);
        for batch in full.drain(..) {
            self.rows += batch.rows.len();
            let rows: Vec<_> = batch.iter().map(|(key, _, line)| (key, line)).collect();
            for page in rows.chunks(PAGE) {
                let page = page.iter().map(|(key, line)| Ok(((*key).clone(), row_of_line(resource, line)?)));
                let page = page.collect::<Result<Vec<_>>>()?;
                let stored = bulk::merge(context, resource, &self.statements, page, self.began).await?;
                self.listed.add(stored);
                self.listed.bound(context, self.queue, resource, Lane::Refetch).await?;
            }
        }
        Ok(())
    }
}
