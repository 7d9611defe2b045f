//! How far tables are filled: counted in memory without locks, shown in `_auth0_sync.backfill`, in
//! the log and to whoever looks. It never decides what is read or when a table is filled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Context;
use crate::error::Result;
use crate::pg::fault;

/// How often the table is brought up to date.
const STORE: Duration = Duration::from_secs(1);
/// How often the log tells of a table that takes long.
const TELL: Duration = Duration::from_secs(10);
/// No number is known.
const UNKNOWN: u64 = u64::MAX;

/// How a table is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One job and one download.
    Export = 1,
    /// A search, in slices where it is long.
    Search = 2,
    /// Pages of lists.
    List = 3,
}

impl Method {
    /// Its name in `_auth0_sync.backfill`.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Export => "export",
            Method::Search => "search",
            Method::List => "list",
        }
    }

    fn of(number: u8) -> Option<Method> {
        [Method::Export, Method::Search, Method::List].into_iter().find(|method| *method as u8 == number)
    }
}

/// The tables of one tenant that are being filled, or were.
#[derive(Debug, Default)]
pub struct Progress {
    tables: Mutex<HashMap<String, Arc<Filling>>>,
    begun: Notify,
}

/// The filling of one table. Counting costs an atomic addition; count pages or batches, not rows.
#[derive(Debug)]
pub struct Filling {
    running: AtomicBool,
    method: AtomicU8,
    rows: AtomicU64,
    rows_expected: AtomicU64,
    calls: AtomicU64,
    calls_expected: AtomicU64,
    began: Mutex<Instant>,
}

/// What a filling has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Mirror table.
    pub table: String,
    /// How it is filled, once that is decided.
    pub method: Option<Method>,
    /// Rows read.
    pub rows: u64,
    /// Rows that Auth0 has, where it tells; never fewer than those read.
    pub rows_expected: Option<u64>,
    /// Calls made.
    pub calls: u64,
    /// Calls that are needed, by estimate; never fewer than those made.
    pub calls_expected: Option<u64>,
    /// How long it has been going on.
    pub since: Duration,
}

impl Shown {
    /// From 0 to 100: by rows where their number is known, else by calls.
    pub fn percent(&self) -> Option<u64> {
        let (done, of) = match (self.rows_expected, self.calls_expected) {
            (Some(of), _) => (self.rows, of),
            (None, Some(of)) => (self.calls, of),
            (None, None) => return None,
        };
        (of > 0).then(|| done.saturating_mul(100) / of)
    }

    /// Rows a second since it began.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.since.as_secs_f64().max(0.001)
    }
}

impl Default for Filling {
    fn default() -> Self {
        Filling {
            running: AtomicBool::new(false),
            method: AtomicU8::new(0),
            rows: AtomicU64::new(0),
            rows_expected: AtomicU64::new(UNKNOWN),
            calls: AtomicU64::new(0),
            calls_expected: AtomicU64::new(UNKNOWN),
            began: Mutex::new(Instant::now()),
        }
    }
}

impl Filling {
    /// How the table is filled.
    pub fn method(&self, method: Method) {
        self.method.store(method as u8, Relaxed);
    }

    /// How many rows Auth0 has.
    pub fn expect_rows(&self, rows: u64) {
        self.rows_expected.store(rows, Relaxed);
    }

    /// How many calls it takes.
    pub fn expect_calls(&self, calls: u64) {
        self.calls_expected.store(calls, Relaxed);
    }

    /// So many more rows are read and stored.
    pub fn rows(&self, more: u64) {
        self.rows.fetch_add(more, Relaxed);
    }

    /// So many rows are there already: where a broken filling goes on.
    pub fn at_rows(&self, rows: u64) {
        self.rows.store(rows, Relaxed);
    }

    /// So many more calls were made.
    pub fn calls(&self, more: u64) {
        self.calls.fetch_add(more, Relaxed);
    }

    fn shown(&self, table: &str) -> Shown {
        let known = |number: &AtomicU64| Some(number.load(Relaxed)).filter(|number| *number != UNKNOWN);
        let (rows, calls) = (self.rows.load(Relaxed), self.calls.load(Relaxed));
        Shown {
            table: table.to_owned(),
            method: Method::of(self.method.load(Relaxed)),
            rows,
            rows_expected: known(&self.rows_expected).map(|of| of.max(rows)),
            calls,
            calls_expected: known(&self.calls_expected).map(|of| of.max(calls)),
            since: self.began.lock().unwrap_or_else(PoisonError::into_inner).elapsed(),
        }
    }
}

impl Progress {
    /// The filling of a table; one look-up, so ask once a page, a batch or a file.
    pub fn of(&self, table: &str) -> Arc<Filling> {
        let mut tables = self.tables();
        match tables.get(table) {
            Some(filling) => Arc::clone(filling),
            None => Arc::clone(tables.entry(table.to_owned()).or_default()),
        }
    }

    /// A filling begins: counts are zero, what is expected stays.
    pub(super) fn begin(&self, table: &str) -> Arc<Filling> {
        let filling = self.of(table);
        filling.rows.store(0, Relaxed);
        filling.calls.store(0, Relaxed);
        filling.method.store(0, Relaxed);
        *filling.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        filling.running.store(true, Relaxed);
        self.begun.notify_waiters();
        filling
    }

    /// What the filling of a table has come to, or came to.
    pub(super) fn shown(&self, table: &str) -> Shown {
        self.of(table).shown(table)
    }

    /// A filling has ended, however; what it has come to.
    pub(super) fn end(&self, table: &str) -> Shown {
        let filling = self.of(table);
        filling.running.store(false, Relaxed);
        let shown = filling.shown(table);
        // What is expected next time is another estimate.
        filling.rows_expected.store(UNKNOWN, Relaxed);
        filling.calls_expected.store(UNKNOWN, Relaxed);
        shown
    }

    /// The tables that are being filled now, by name.
    pub fn running(&self) -> Vec<Shown> {
        let tables = self.tables();
        let running = tables.iter().filter(|(_, filling)| filling.running.load(Relaxed));
        let mut shown: Vec<_> = running.map(|(table, filling)| filling.shown(table)).collect();
        shown.sort_by(|a, b| a.table.cmp(&b.table));
        shown
    }

    /// Waits until a table is being filled.
    pub async fn is_running(&self) {
        let mut begun = std::pin::pin!(self.begun.notified());
        loop {
            // Armed before the look: what begins in between wakes it.
            begun.as_mut().enable();
            if !self.running().is_empty() {
                return;
            }
            begun.as_mut().await;
            begun.set(self.begun.notified());
        }
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<String, Arc<Filling>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores and tells how far the fillings are, for ever; it does nothing while none goes on.
pub async fn keep_progress(context: &Context) {
    let (mut stored, mut told) = (Vec::new(), HashMap::new());
    loop {
        context.progress.is_running().await;
        tokio::time::sleep(STORE).await;
        let running = context.progress.running();
        let changed: Vec<_> = running.iter().filter(|shown| is_news(&stored, shown)).collect();
        if !changed.is_empty()
            && let Err(error) = store(context, &changed).await
        {
            // The next second tries again; the filling itself does not depend on it.
            tracing::debug!(%error, "the progress of the backfill is not stored");
            continue;
        }
        told.retain(|table, _| running.iter().any(|shown| shown.table == *table));
        for shown in &running {
            if is_due(&mut told, shown) {
                tell(shown);
            }
        }
        stored = running;
    }
}

/// Whether more is known than was stored.
fn is_news(stored: &[Shown], now: &Shown) -> bool {
    let old = stored.iter().find(|shown| shown.table == now.table);
    old.is_none_or(|old| Shown { since: now.since, ..old.clone() } != *now)
}

/// Whether the log is to tell of the table now: every [`TELL`] since its filling began.
fn is_due(told: &mut HashMap<String, u64>, shown: &Shown) -> bool {
    let now = shown.since.as_secs() / TELL.as_secs();
    let before = told.insert(shown.table.clone(), now).unwrap_or(0);
    // A filling that has begun anew begins at zero again.
    now > before
}

fn tell(shown: &Shown) {
    tracing::info!(
        table = %shown.table,
        rows = shown.rows,
        rows_expected = shown.rows_expected,
        percent = shown.percent(),
        rows_per_second = shown.rate().round(),
        calls = shown.calls,
        calls_expected = shown.calls_expected,
        "table being filled"
    );
}

async fn store(context: &Context, shown: &[&Shown]) -> Result<()> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let tables: Vec<&str> = shown.iter().map(|shown| shown.table.as_str()).collect();
    let methods: Vec<_> = shown.iter().map(|shown| shown.method.map(Method::as_str)).collect();
    let rows: Vec<_> = shown.iter().map(|shown| number(shown.rows)).collect();
    let rows_expected: Vec<_> = shown.iter().map(|shown| shown.rows_expected.map(number)).collect();
    let calls: Vec<_> = shown.iter().map(|shown| number(shown.calls)).collect();
    let calls_expected: Vec<_> = shown.iter().map(|shown| shown.calls_expected.map(number)).collect();
    sqlx::query(include_str!("sql/store_progress_of_backfill.sql"))
        .bind(&context.schema)
        .bind(tables)
        .bind(methods)
        .bind(rows)
        .bind(rows_expected)
        .bind(calls)
        .bind(calls_expected)
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot store the progress of the backfill"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_goes_by_rows_then_by_calls_and_never_above_a_hundred() {
        let progress = Progress::default();
        let filling = progress.begin("t");
        let percent = || progress.running()[0].percent();
        filling.calls(1);
        assert_eq!(percent(), None, "nothing is expected yet");
        filling.expect_calls(4);
        assert_eq!(percent(), Some(25));
        filling.rows(10);
        filling.expect_rows(100);
        assert_eq!(percent(), Some(10));
        filling.rows(200);
        assert_eq!(percent(), Some(100), "Auth0 had more than it told");
        filling.expect_rows(0);
        filling.at_rows(0);
        assert_eq!(percent(), None, "nothing of nothing");
    }

    #[test]
    fn a_filling_that_begins_anew_counts_from_zero_and_an_ended_one_is_not_shown() {
        let progress = Progress::default();
        progress.of("t").expect_rows(5);
        progress.begin("t").rows(3);
        progress.of("t").method(Method::Search);
        let ended = progress.end("t");
        assert_eq!((ended.rows, ended.rows_expected, ended.method), (3, Some(5), Some(Method::Search)));
        assert!(progress.running().is_empty());
        let again = progress.begin("t").shown("t");
        assert_eq!((again.rows, again.rows_expected, again.method), (0, None, None));
    }

    #[test]
    fn the_log_tells_of_a_long_filling_every_ten_seconds() {
        let mut told = HashMap::new();
        let shown = |seconds| Shown {
            table: "t".into(),
            method: None,
            rows: 0,
            rows_expected: None,
            calls: 0,
            calls_expected: None,
            since: Duration::from_millis(seconds),
        };
        let due: Vec<_> = (0..=25).filter(|second| is_due(&mut told, &shown(second * 1000 + 7))).collect();
        assert_eq!(due, [10, 20]);
        assert!(!is_due(&mut told, &shown(300)), "it has begun anew");
        assert!(is_due(&mut told, &shown(10_300)));
    }

    #[tokio::test]
    async fn nobody_is_woken_while_nothing_is_filled() {
        let progress = Arc::new(Progress::default());
        let waits = {
            let progress = Arc::clone(&progress);
            tokio::spawn(async move { progress.is_running().await })
        };
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        progress.begin("t");
        waits.await.unwrap();
    }
}
