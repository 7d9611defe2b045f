//! Makes the files of jobs in the background, one after the other, and removes what is too old. The
//! tenant is locked for a slice of rows at a time: rows that change meanwhile come as they are then.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::lines::Layout;
use super::{FILE, Made, Order, made, order};
use crate::emulator::options::Gzip;
use crate::emulator::packed::Held;
use crate::emulator::quirks::jobs::JOB;
use crate::emulator::search;
use crate::emulator::server::Shared;
use crate::emulator::store::Row;
use crate::error::{Error, Kind, Result};

/// Rows that are taken out at a time.
const SLICE: usize = 1_000;
/// How often a job says how far it is.
const TELL: Duration = Duration::from_millis(200);
/// How often a job that is held looks whether it may go on.
const HELD: Duration = Duration::from_millis(10);
/// How long to sleep at most when there is nothing to do.
const IDLE: TimeDelta = TimeDelta::hours(1);
/// Files are written in blocks of so many bytes.
const BLOCK: usize = 1 << 20;

/// Ends what runs on another thread when the emulator is dropped.
#[derive(Default)]
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does the jobs that are there, and those that come; ends when it is dropped.
pub(in crate::emulator) async fn work(shared: Arc<Shared>) {
    let closing = Closing::default();
    loop {
        let (whole, end) = (Arc::clone(&shared), Arc::clone(&closing.0));
        let pause = tokio::task::spawn_blocking(move || round(&whole, &end)).await.unwrap_or(IDLE);
        let pause = pause.clamp(TimeDelta::milliseconds(10), IDLE).to_std().unwrap_or_default();
        tokio::select! {
            () = shared.world.exports.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Makes every file that is waited for; how long it is until one is too old.
fn round(shared: &Shared, end: &AtomicBool) -> TimeDelta {
    let mut next = tidy(shared);
    while let Some((id, order)) = waiting(shared).filter(|_| !end.load(Ordering::SeqCst)) {
        tell(shared, &id, |job| {
            job.body.insert("status".into(), "processing".into());
            job.body.insert("percentage_done".into(), 0.into());
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(order.holds_ms) && !end.load(Ordering::SeqCst) {
            std::thread::sleep(HELD);
        }
        let outcome = match &order.fails {
            Some(why) => Err(Error::new(Kind::Internal, why.to_string())),
            None => make(shared, &id, &order, end),
        };
        if end.load(Ordering::SeqCst) {
            break;
        }
        tell(shared, &id, |job| conclude(job, &order, outcome));
        next = tidy(shared);
    }
    next
}

fn conclude(job: &mut Row, order: &Order, outcome: Result<Made>) {
    job.body.shift_remove("time_left_seconds");
    match outcome {
        Ok(made) => {
            job.body.insert("status".into(), "completed".into());
            job.body.insert("percentage_done".into(), 100.into());
            job.body.insert("time_left_seconds".into(), 0.into());
            job.hidden.insert(FILE.into(), serde_json::to_value(made).unwrap_or_default());
        }
        Err(error) => {
            if order.fails.is_none() {
                tracing::error!(%error, "the emulator cannot make an export");
            }
            job.body.insert("status".into(), "failed".into());
            job.body.insert("status_details".into(), "The export could not be made".into());
            let usual = json!({"failed": 0, "updated": 0, "inserted": 0, "total": 0});
            let summary = order.fails.clone().filter(serde_json::Value::is_object).unwrap_or(usual);
            job.body.insert("summary".into(), summary);
        }
    }
}

/// The first job that nobody has done.
fn waiting(shared: &Shared) -> Option<(String, Order)> {
    let state = shared.state();
    state.store.table(JOB).iter().find_map(|(id, job)| {
        let open = matches!(job.text("status"), Some("pending" | "processing"));
        Some((id.clone(), order(job).filter(|_| open)?))
    })
}

/// Changes a job, where it is still there.
fn tell(shared: &Shared, id: &str, change: impl FnOnce(&mut Row)) {
    let mut state = shared.state();
    let Some(mut job) = state.store.get(JOB, id).cloned() else { return };
    change(&mut job);
    state.store.put(JOB, id, job.body, job.hidden);
    if let Err(error) = state.store.commit() {
        tracing::error!(%error, "the emulator cannot keep its state");
    }
}

/// Removes jobs that are too old, and files without a job; how long it is until the next one.
fn tidy(shared: &Shared) -> TimeDelta {
    let (now, exports) = (Utc::now(), &shared.world.exports);
    let mut state = shared.state();
    let jobs = state.store.table(JOB).iter();
    let old: Vec<String> =
        jobs.filter(|(_, job)| exports.expired(job, now)).map(|(id, _)| id.clone()).collect();
    for id in &old {
        state.store.remove(JOB, id);
    }
    if let Err(error) = state.store.commit() {
        tracing::error!(%error, "the emulator cannot keep its state");
    }
    let jobs = state.store.table(JOB);
    let tags: Vec<String> = jobs.values().filter_map(|job| Some(made(job)?.tag)).collect();
    let next = jobs.values().filter_map(|job| exports.expires(job)).min();
    drop(state);
    exports.spool.retain(&tags);
    next.map_or(IDLE, |next| next - now)
}

fn make(shared: &Shared, id: &str, order: &Order, end: &AtomicBool) -> Result<Made> {
    let exports = &shared.world.exports;
    let failed = |error| Error::with(Kind::Io, "cannot write an export", error);
    let layout = Layout::new(order, shared.world.table(&order.table)?);
    let draft = exports.spool.begin()?;
    let file = BufWriter::with_capacity(BLOCK, draft.file.try_clone().map_err(failed)?);
    let mut out = Out::new(file, exports.gzip);
    let mut lines = layout.head();
    let (begun, mut told) = (Instant::now(), Instant::now());
    let most = order.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut last, mut seen, mut written) = (0, 0, 0);
    while !end.load(Ordering::SeqCst) && written < most {
        let (rows, all) = {
            let state = shared.state();
            let table = state.store.table(&order.table);
            let rows = table.scan(last).take(SLICE).map(|(_, number, held)| (number, held.clone()));
            (rows.collect::<Vec<_>>(), table.len())
        };
        let Some((number, _)) = rows.last() else { break };
        last = *number;
        seen += rows.len();
        for (_, row) in rows.iter().filter(|(_, row)| meant(order, row)).take(most - written) {
            layout.line(row, &mut lines);
            written += 1;
        }
        out.write_all(&lines).map_err(failed)?;
        lines.clear();
        if told.elapsed() > TELL {
            told = Instant::now();
            let rest = begun.elapsed().as_secs_f64() / seen as f64 * all.saturating_sub(seen) as f64;
            let percent = (seen * 100 / all.max(1)).min(99);
            tell(shared, id, |job| {
                job.body.insert("percentage_done".into(), percent.into());
                job.body.insert("time_left_seconds".into(), (rest.ceil() as u64).into());
            });
        }
    }
    out.write_all(&lines).map_err(failed)?;
    out.finish().map_err(failed)?;
    let size = draft.file.metadata().map_err(failed)?.len();
    let tag = exports.spool.keep(draft)?;
    Ok(Made { tag, size, gzip: exports.gzip, csv: order.format == "csv" })
}

fn meant(order: &Order, row: &Held) -> bool {
    order.only.as_ref().is_none_or(|(way, text)| search::has_text(row.view(), way, text))
}

enum Out<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Out<W> {
    fn new(file: W, gzip: Gzip) -> Out<W> {
        match gzip {
            Gzip::Off => Out::Plain(file),
            Gzip::Encoding | Gzip::File => Out::Gzip(GzEncoder::new(file, Compression::fast())),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Out::Plain(file) => file.write_all(bytes),
            Out::Gzip(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Out::Plain(mut file) => file.flush(),
            Out::Gzip(file) => file.finish()?.flush(),
        }
    }
}
