//! A tenant's users into an empty table, against `psql \copy` of the same rows into the same table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::figures::{Figures, Options, at};
use crate::process::{peak_memory, processor_time};
use crate::support::{Emulator, Postgres, Stand};

/// What is mirrored: the users and what they hang on.
const TABLES: &[&str] = &["user"];
const LONG: Duration = Duration::from_secs(3600);

/// One filling.
struct Filling {
    /// From the start of the process until it says that it is ready, in seconds.
    whole: f64,
    /// From the first byte of the download until the table is filled, in seconds.
    loading: f64,
    /// The service's largest memory, in megabytes.
    memory: f64,
    /// The service's processor time, in seconds.
    processor: f64,
}

pub(crate) async fn measure(figures: &mut Figures, options: &Options) {
    let users = options.users.to_string();
    let emulator = Emulator::with(&["--users", &users, "--rate-limits", "off"]).await;
    let mut stand =
        Stand::with_objects(Postgres::with(&[("fsync", "on"), ("max_wal_size", "'8GB'")]), emulator, TABLES)
            .await;
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
        copies.push(copy(&url, "from", &file));
    }
    let middle = |of: fn(&Filling) -> f64| at(&fillings.iter().map(of).collect::<Vec<_>>(), 0.5);
    let rows = f64::from(options.users);
    let (loading, copied) = (middle(|f| f.loading), at(&copies, 0.5));
    figures.note(&format!("backfill of {users} users, from nothing to ready"), "s", middle(|f| f.whole));
    figures.note("backfill: from the start of all", "rows/s", rows / middle(|f| f.whole));
    figures.note("backfill: from the first byte of the export", "rows/s", rows / loading);
    figures.note("psql \\copy of the same rows", "rows/s", rows / copied);
    figures.note("backfill against \\copy", "", copied / loading);
    figures.note(
        "backfill: largest memory of the service",
        "MB",
        fillings.iter().map(|f| f.memory).fold(0.0, f64::max),
    );
    figures.note("backfill: processor time of the service", "s", middle(|f| f.processor));
}

/// The table as `setup` has made it, with nothing in it and nothing known of an earlier filling.
async fn empty(stand: &Stand) {
    let mut root = stand.root().await;
    root.run("set session_replication_role = replica; truncate auth0.\"user\"").await;
    root.run("update _auth0_sync.backfill set state = 'waiting'").await;
    root.run("checkpoint").await;
}

/// Lets the service fill the empty table.
async fn fill(stand: &mut Stand, users: u32) -> Filling {
    let api = stand.emulator.api.clone();
    let mut root = stand.root().await;
    let begun = Instant::now();
    stand.launch_service();
    let pid = stand.service.as_ref().unwrap().pid();
    let (mut first, mut pace) = (None, tokio::time::interval(Duration::from_millis(5)));
    let done = "select state from _auth0_sync.backfill where \"table\" = 'user'";
    while root.text(done).await != "done" {
        pace.tick().await;
        if first.is_none() && downloads(&api.get("/_emulator/calls").await) {
            first = Some(Instant::now());
            pace = tokio::time::interval(Duration::from_millis(20));
        }
        assert!(begun.elapsed() < LONG, "the table is not filled");
        assert!(stand.service.as_mut().unwrap().runs(), "the service has ended");
    }
    let loading = first.unwrap_or(begun).elapsed().as_secs_f64();
    stand.until_ready().await;
    let whole = begun.elapsed().as_secs_f64();
    let filling = Filling { whole, loading, memory: peak_memory(pid), processor: processor_time(pid) };
    let rows = root.count("select count(*) from auth0.\"user\"").await;
    assert_eq!(rows, i64::from(users), "every user is in the table");
    stand.service.take().unwrap().terminate().await;
    api.delete("/_emulator/calls").await;
    filling
}

/// Whether an export is being fetched; where there are none, whether users are being listed.
fn downloads(calls: &Value) -> bool {
    let called = |part: &str| calls.as_object().unwrap().keys().any(|call| call.starts_with(part));
    called("GET /exports/") || (called("GET /users") && !called("POST /jobs/users-exports"))
}

/// Seconds of `\copy` between the table and a file, by the service's own role, which no trigger heeds.
fn copy(url: &str, direction: &str, file: &Path) -> f64 {
    let sql = format!("\\copy auth0.\"user\" {direction} '{}'", file.display());
    let begun = Instant::now();
    let status = Command::new(psql()).args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-c", &sql, url]).status();
    assert!(status.unwrap().success(), "{sql}");
    begun.elapsed().as_secs_f64()
}

/// `psql` of the path, else of the Postgres that the tests use.
fn psql() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&paths).collect();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".dev/postgres");
    let own = std::fs::read_dir(own).into_iter().flatten().flatten();
    folders.extend(own.map(|version| version.path().join("bin")));
    let mut found = folders.into_iter().map(|folder| folder.join("psql"));
    found.find(|program| program.is_file()).expect("psql is on the path or in .dev/postgres")
}
