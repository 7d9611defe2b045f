//! A tenant's users into an empty table, against `psql \copy` of the same rows into the same table. Same for
//! both: the machine, the server and its settings, the table with its columns, indexes and triggers, empty
//! and after a checkpoint, the role, and the rows. The service gets them as NDJSON by HTTP from the emulator,
//! which shares the machine, and commits in batches; `\copy` gets them as text from a file that is in memory, and
//! commits once.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::copy::copy;
use crate::figures::{Aim, Figures, at};
use crate::options::Options;
use crate::process::{busy, memory, peak_memory, processor_time};
use crate::support::{Emulator, Postgres, Stand};

const TABLES: &[&str] = &["user"];
const LONG: Duration = Duration::from_secs(3600);
/// Between looks at a filling.
const OFTEN: Duration = Duration::from_millis(5);
const SELDOM: Duration = Duration::from_millis(100);

/// One filling; times in seconds, memory in megabytes.
struct Filling {
    /// From the start of the process until it says that it is ready.
    whole: f64,
    /// From the beginning of the download until the table is filled.
    loading: f64,
    /// The service's largest memory in the first and in the second half of the loading, and of all.
    memory: [f64; 3],
    /// Processor time while loading: of the service, the emulator, and the whole machine.
    processor: [f64; 3],
}

/// What was seen of the service at a moment.
struct Look {
    at: Instant,
    memory: f64,
    processor: [f64; 3],
}

pub(crate) async fn measure(figures: &mut Figures, options: &Options) {
    let users = options.users.to_string();
    let emulator = Emulator::with(&["--users", &users, "--rate-limits", "off"]).await;
    let postgres = Postgres::with(&[("fsync", "on"), ("max_wal_size", "8GB")]);
    let mut stand = Stand::with_objects(postgres, emulator, TABLES).await;
    stand.configuration = "events = false\n[sweep]\nevery_hours = 0\n".to_owned();
    let folder = TempDir::with_prefix("auth0-sync-bench-").unwrap();
    let file = folder.path().join("users.copy");
    let (mut fillings, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        empty(&stand).await;
        fillings.push(fill(&mut stand, options.users).await);
        let url = stand.variables()[0].1.clone();
        copy(&url, "to", &file);
        empty(&stand).await;
        let before = busy();
        copies.push(copy(&url, "from", &file));
        let after = busy();
        figures.note("psql \\copy: the machine's processor time", "s", after.0 - before.0);
    }
    let middle = |of: fn(&Filling) -> f64| at(&fillings.iter().map(of).collect::<Vec<_>>(), 0.5);
    let most = |of: fn(&Filling) -> f64| fillings.iter().map(of).fold(0.0, f64::max);
    let rows = f64::from(options.users);
    let (loading, copied) = (middle(|f| f.loading), at(&copies, 0.5));
    figures.note(&format!("backfill of {users} users, from nothing to ready"), "s", middle(|f| f.whole));
    figures.note("backfill: from the start of all", "rows/s", rows / middle(|f| f.whole));
    figures.note("backfill: from the beginning of the download", "rows/s", rows / loading);
    figures.note("psql \\copy of the same rows", "rows/s", rows / copied);
    figures.aim("backfill against \\copy", "", copied / loading, Aim::AtLeast(0.8));
    figures.note("backfill: memory of the service, first half", "MB", most(|f| f.memory[0]));
    figures.note("backfill: memory of the service, second half", "MB", most(|f| f.memory[1]));
    figures.aim("backfill: largest memory of the service", "MB", most(|f| f.memory[2]), Aim::Below(150.0));
    // Beside the service and the emulator it is Postgres that works.
    for (n, of) in ["the service", "the emulator", "the machine"].iter().enumerate() {
        let used = at(&fillings.iter().map(|f| f.processor[n]).collect::<Vec<_>>(), 0.5);
        figures.note(&format!("backfill: processor time of {of} while loading"), "s", used);
    }
}

/// The table as `setup` has made it, with nothing in it and nothing known of an earlier filling.
async fn empty(stand: &Stand) {
    let mut root = stand.root().await;
    for sql in [
        "set session_replication_role = replica",
        "truncate auth0.\"user\"",
        "truncate _auth0_sync.export, _auth0_sync.export_seen, _auth0_sync.export_again, _auth0_sync.export_gone",
        "update _auth0_sync.backfill set state = 'waiting', finished_at = null, error = null",
        "checkpoint",
    ] {
        root.run(sql).await;
    }
}

/// Lets the service fill the empty table.
async fn fill(stand: &mut Stand, users: u32) -> Filling {
    let api = stand.emulator.api.clone();
    let mut root = stand.root().await;
    api.delete("/_emulator/calls").await;
    let begun = Instant::now();
    stand.launch_service();
    let service = stand.service.as_ref().unwrap().pid();
    let emulator = stand.emulator.program.pid();
    let look = || {
        let processor = [service, emulator].map(|pid| processor_time(pid).unwrap_or_default());
        let processor = [processor[0], processor[1], busy().0];
        Look { at: Instant::now(), memory: memory(service).unwrap_or_default(), processor }
    };
    let mut looks: Vec<Look> = Vec::new();
    let mut pace = tokio::time::interval(OFTEN);
    let done = "select state from _auth0_sync.backfill where \"table\" = 'user'";
    while looks.is_empty() || root.text(done).await != "done" {
        pace.tick().await;
        if looks.is_empty() && downloads(&api.get("/_emulator/calls").await) {
            pace = tokio::time::interval(SELDOM);
            looks.push(look());
        } else if !looks.is_empty() {
            looks.push(look());
        }
        assert!(begun.elapsed() < LONG, "the table is not filled");
        assert!(stand.service.as_mut().unwrap().runs(), "the service has ended");
    }
    looks.push(look());
    stand.until_ready().await;
    let whole = begun.elapsed().as_secs_f64();
    let (first, last) = (looks.first().unwrap(), looks.last().unwrap());
    let middle = first.at + (last.at - first.at) / 2;
    let largest = |second: bool| {
        let half = looks.iter().filter(|look| (look.at > middle) == second);
        half.map(|look| look.memory).fold(0.0, f64::max)
    };
    let processor = [0, 1, 2].map(|n| last.processor[n] - first.processor[n]);
    let loading = (last.at - first.at).as_secs_f64();
    let halves = [largest(false), largest(true)];
    let memory = [halves[0], halves[1], peak_memory(service).max(halves[0]).max(halves[1])];
    let rows = root.count("select count(*) from auth0.\"user\"").await;
    assert_eq!(rows, i64::from(users), "every user is in the table");
    stand.service.take().unwrap().terminate().await;
    Filling { whole, loading, memory, processor }
}

/// Whether an export is being fetched.
fn downloads(calls: &Value) -> bool {
    calls.as_object().unwrap().keys().any(|call| call.starts_with("GET /exports/"))
}
