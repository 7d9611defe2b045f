//! All rows of a table by an export of Auth0's: a job is started and awaited, its file is streamed into
//! the mirror. A link holds for a minute, a job for a day: what breaks goes on where it stopped.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, mpsc};

use super::backfill::is_refusal;
use super::bulk::Stored;
use super::bulk_copy::Loader;
use super::bulk_follow::Follow;
use super::export_lines::{Batch, Lines};
use super::export_state::{State, forget};
use super::listing::{any_known, unseen};
use super::{Context, Filling, Method as Way};
use crate::auth0::{Download, Lane, Request};
use crate::catalog::{Export, Resource, RowKey, Target, fill_body};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::Layout;

/// The pauses between looks at a job.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(5);
/// So often a file is fetched without a row that is new before it is left for later.
const FRUITLESS: u32 = 6;
/// So many jobs may fail before the table is read in another way.
const JOBS: u32 = 2;
/// Chunks and batches on their way from one task to the next: memory is bounded by them.
const CHUNKS: usize = 16;
const BATCHES: usize = 1;

/// Whether tables that can be exported are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Yes, unless Auth0 does not let us.
    #[default]
    Auto,
    /// Yes, or they stay unfilled.
    Only,
    /// No: their lists are read.
    Never,
}

/// How exports are used; one is read at a time.
#[derive(Debug, Default)]
pub struct Exports {
    wanted: Wanted,
    pub(super) turn: Mutex<()>,
}

impl Exports {
    /// Exports, used as configured.
    pub fn new(wanted: Wanted) -> Exports {
        Exports { wanted, turn: Mutex::default() }
    }

    /// Whether tables that can be exported are, where Auth0 lets us.
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted != Wanted::Never
    }
}

/// What an export had to say.
pub(super) struct Exported {
    /// How many rows it had.
    pub(super) rows: u64,
    /// Keys that have to be asked for: touched meanwhile, or in the mirror and not in the export.
    pub(super) again: Vec<RowKey>,
    /// What has to be read because of its rows.
    pub(super) following: Vec<Target>,
}

/// Why there is no export.
pub(super) enum Stop {
    /// Not now.
    Error(Error),
    /// Auth0 does not let us.
    Refused(Error),
    /// The job has failed, or is not there any more.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// How the table is exported; none where it is not.
pub(super) fn wanted<'r>(context: &Context, resource: &'r Resource) -> Option<&'r Export> {
    resource.export.as_ref().filter(|_| context.exports.wanted != Wanted::Never)
}

/// Reads a whole table by an export; none where its lists are to be read instead.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn fill(context: &Context, resource: &Resource, lane: Lane) -> Result<Option<Exported>> {
    let Some(export) = wanted(context, resource) else { return Ok(None) };
    let _turn = context.exports.turn.lock().await;
    let mut failed = 0;
    let why = loop {
        match Box::pin(run(context, resource, export, lane)).await {
            Ok(exported) => return Ok(Some(exported)),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Refused(error)) => break error,
            Err(Stop::Failed(error)) => {
                forget(context, resource).await?;
                failed += 1;
                if failed == JOBS {
                    break error;
                }
                tracing::warn!(table = %resource.table, %error, "an export came to nothing; another is started");
            }
        }
    };
    if context.exports.wanted == Wanted::Only {
        return Err(why);
    }
    if lane == Lane::Backfill {
        context.progress.of(&resource.table).method(Way::Search);
    }
    tracing::warn!(table = %resource.table, error = %why, "there is no export: the table is read by search");
    Ok(None)
}

/// One export, a new one or the one that is under way.
async fn run(context: &Context, resource: &Resource, export: &Export, lane: Lane) -> Result<Exported, Stop> {
    // Before the job begins: whatever is settled or read meanwhile is newer than what it shows.
    let reading = context.freshness.begin();
    context.freshness.applied_whole(&resource.table, reading.began());
    let filling = (lane == Lane::Backfill).then(|| context.progress.of(&resource.table));
    if let Some(filling) = &filling {
        filling.method(Way::Export);
    }
    let mut state = match State::take_up(context, resource).await? {
        Some(state) => {
            tracing::info!(table = %resource.table, job = %state.job, rows = state.rows, "an export is taken up again");
            filling.iter().for_each(|filling| filling.at_rows(state.rows));
            state
        }
        None => start(context, resource, export, lane, filling.as_deref()).await?,
    };
    let layout = Arc::new(Layout::of(resource));
    let gone: HashSet<_> = match state.resumed {
        true => state.gone(context).await?.into_iter().collect(),
        false => HashSet::new(),
    };
    let mut loader = Loader::new(
        context,
        resource,
        &layout,
        &export.columns,
        reading.began(),
        gone,
        state.began_with_rows,
    );
    let mut following = HashSet::new();
    let (mut fruitless, mut tries) = (0, 0);
    loop {
        let link = finished(context, export, &state.job, lane, filling.as_deref()).await?;
        let before = (state.bytes, state.etag.clone());
        let read = read_file(context, &layout, &link, &mut loader, &mut state, |stored, rows| {
            filling.iter().for_each(|filling| filling.rows(rows));
            following.extend(stored.following);
        });
        match Box::pin(read).await {
            Ok(()) => break,
            Err(error) if !is_of_the_file(&error) => return Err(error.into()),
            Err(error) => {
                if (state.bytes, state.etag.clone()) == before {
                    fruitless += 1;
                    if fruitless == FRUITLESS {
                        return Err(error.into());
                    }
                } else {
                    (fruitless, tries) = (0, 0);
                }
                tracing::warn!(table = %resource.table, %error, bytes = state.bytes, "an export broke off and goes on by a new link");
            }
        }
        tries += 1;
        tokio::time::sleep(crate::retry::pause(tries, FIRST_LOOK, LAST_LOOK)).await;
    }
    let mut again = state.again(context).await?;
    if state.began_with_rows {
        let seen = state.seen(context).await?;
        // What came into being after the job did need not be in its file.
        let born = export.born.as_deref().zip(state.created_at);
        again.extend(unseen(context, resource, &Map::new(), &seen, born).await?);
    }
    if state.resumed {
        // What followed from the rows before is not known any more.
        following.extend(Follow::of(&context.catalog, resource).all());
    }
    forget(context, resource).await?;
    Ok(Exported { rows: state.rows, again, following: following.into_iter().collect() })
}

/// Starts a job.
async fn start(
    context: &Context,
    resource: &Resource,
    export: &Export,
    lane: Lane,
    filling: Option<&Filling>,
) -> Result<State, Stop> {
    let began_with_rows = any_known(context, resource).await?;
    let (job, created_at) = order(context, resource, export, Map::new(), lane, filling).await?;
    Ok(State::begin(context, resource, job, created_at, began_with_rows).await?)
}

/// Starts a job for the rows that `values` name, all where they name none; its id, and when it began by
/// Auth0's clock.
pub(super) async fn order(
    context: &Context,
    resource: &Resource,
    export: &Export,
    mut values: Map<String, Value>,
    lane: Lane,
    filling: Option<&Filling>,
) -> Result<(String, Option<DateTime<Utc>>), Stop> {
    let fields: Vec<_> = export.columns.iter().map(|name| json!({"name": resource.field(name)})).collect();
    values.insert("fields".to_owned(), Value::Array(fields));
    let call = &export.start;
    let method = Method::from_bytes(call.method.as_bytes());
    let method = method.map_err(|error| Error::with(Kind::Catalog, "an export has no such method", error))?;
    let request = Request {
        method,
        body: call.body.as_ref().and_then(|body| fill_body(body, &values)),
        // The tenant log tells of the job, which is no change in the tenant.
        correlation_id: Some(format!("{}-export", context.instance)),
        ..Request::get(call.path.clone(), lane)
    };
    filling.iter().for_each(|filling| filling.calls(1));
    let answer = match context.auth0.read(&request).await {
        Err(error) if is_refusal(&error) => return Err(Stop::Refused(error)),
        answer => answer?,
    };
    let text = |name: &str| answer.body.get(name).and_then(Value::as_str);
    let job = text("id").ok_or_else(|| Error::new(Kind::Auth0Answer, "a job has no id"))?.to_owned();
    let created_at = text("created_at").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let created_at = created_at.map(|time| time.with_timezone(&Utc));
    tracing::info!(table = %resource.table, %job, "an export is started");
    Ok((job, created_at))
}

/// Waits for the file of a job; its link.
pub(super) async fn finished(
    context: &Context,
    export: &Export,
    job: &str,
    lane: Lane,
    filling: Option<&Filling>,
) -> Result<String, Stop> {
    let values = Map::from_iter([("id".to_owned(), Value::from(job))]);
    let request = Request::of_row(&export.look, &values, lane)?;
    let mut pause = FIRST_LOOK;
    loop {
        filling.iter().for_each(|filling| filling.calls(1));
        let answer = match context.auth0.read(&request).await {
            Err(error) if error.kind() == Kind::Auth0NotFound => return Err(Stop::Failed(error)),
            Err(error) if is_refusal(&error) => return Err(Stop::Refused(error)),
            answer => answer?,
        };
        let text = |name: &str| answer.body.get(name).and_then(Value::as_str);
        let state = text(&export.state).unwrap_or_default();
        if state == export.done {
            let link = text(&export.link).map(str::to_owned);
            return link.ok_or_else(|| Error::new(Kind::Auth0Answer, "a finished job has no link").into());
        }
        if export.failed.iter().any(|failed| failed == state) {
            return Err(Stop::Failed(Error::new(Kind::Auth0Refused, format!("the job is {state}"))));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_LOOK);
    }
}

/// Whether a new link may help.
pub(super) fn is_of_the_file(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Auth0Link
            | Kind::Auth0NoAnswer
            | Kind::Auth0Unreachable
            | Kind::Auth0Server
            | Kind::Auth0Answer
    ) && error.kind().policy().retry == Retry::Backoff
}

/// Fetches the file from where it stopped, and stores it batch by batch: bytes come, lines are encoded and
/// rows are stored at the same time.
async fn read_file(
    context: &Context,
    layout: &Arc<Layout>,
    link: &str,
    loader: &mut Loader<'_>,
    state: &mut State,
    mut told: impl FnMut(Stored, u64),
) -> Result<()> {
    let from = state.etag.as_deref().filter(|_| state.ranges && state.bytes > 0);
    let from = from.map(|etag| (state.bytes, etag));
    let download = context.auth0.download(link, from).await?;
    let (etag, ranges) = (download.etag.clone(), download.ranges);
    if download.from == 0 {
        // Of a packed file a position is none of the unpacked one; the first batch tells.
        state.file(context, etag.clone(), false).await?;
    }
    let skip = if download.from == 0 { state.bytes } else { 0 };
    let (chunks_in, chunks) = mpsc::channel(CHUNKS);
    let (batches_in, mut batches) = mpsc::channel::<Batch>(BATCHES);
    let (catalog, table, layout) =
        (Arc::clone(&context.catalog), loader.resource.table.clone(), Arc::clone(layout));
    let done = state.bytes;
    let cutting = tokio::task::spawn_blocking(move || {
        let lines = Lines::new(catalog.resource(&table)?, &layout, done, skip);
        cut(lines, chunks, &batches_in)
    });
    let storing = async move {
        while let Some(batch) = batches.recv().await {
            if ranges && batch.plain && !state.ranges {
                state.file(context, etag.clone(), true).await?;
            }
            let stored = loader.load(&batch, state).await?;
            told(stored, batch.rows.len() as u64);
        }
        Ok::<(), Error>(())
    };
    let (fetched, stored) = futures_util::future::join(fetch(download, chunks_in), storing).await;
    stored?;
    let cut = cutting.await.map_err(|error| Error::with(Kind::Internal, "reading an export broke", error))?;
    fetched.and(cut)
}

/// Hands on the bytes of a file, and at its end nothing.
async fn fetch(mut download: Download, chunks: mpsc::Sender<Option<Bytes>>) -> Result<()> {
    loop {
        let chunk = download.chunk().await?;
        let ended = chunk.is_none();
        if chunks.send(chunk).await.is_err() || ended {
            return Ok(());
        }
    }
}

/// Cuts the bytes of a file into batches, on a thread of its own.
fn cut(
    mut lines: Lines<'_>,
    mut chunks: mpsc::Receiver<Option<Bytes>>,
    batches: &mpsc::Sender<Batch>,
) -> Result<()> {
    let mut full = Vec::new();
    let send = |full: &mut Vec<Batch>| full.drain(..).all(|batch| batches.blocking_send(batch).is_ok());
    let whole = loop {
        match chunks.blocking_recv() {
            Some(Some(chunk)) => {
                let fed = lines.feed(&chunk, &mut full);
                if !send(&mut full) {
                    return Ok(());
                }
                fed?;
            }
            Some(None) => break true,
            None => break false,
        }
    };
    let ended = match whole {
        true => lines.end(&mut full),
        false => {
            lines.cut_short(&mut full);
            Ok(())
        }
    };
    send(&mut full);
    ended
}
