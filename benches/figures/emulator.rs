//! The emulator alone: nothing that is measured through it may be its own slowness.

use std::time::{Duration, Instant};

use auth0_sync::catalog::Catalog;
use reqwest::Client;
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::options::Options;
use crate::process::peak_memory;
use crate::support::{Emulator, wait_for};

const PAGES: usize = 200;
/// So long pages are read at most.
const READING: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(900);

pub(crate) async fn measure(figures: &mut Figures, options: &Options) {
    let users = options.users.to_string();
    let begun = Instant::now();
    let emulator = Emulator::with(&["--users", &users, "--rate-limits", "off", "--result-cap", "off"]).await;
    figures.note(&format!("emulator with {users} users: start"), "s", begun.elapsed().as_secs_f64());
    let pid = emulator.program.pid();
    figures.note("emulator: memory", "MB", peak_memory(pid));
    let last = options.users as usize / 100;
    for (what, first) in [("first", 0), ("last", last.saturating_sub(PAGES))] {
        let (begun, mut read) = (Instant::now(), 0);
        while read < PAGES && begun.elapsed() < READING {
            let page = first + read;
            emulator.api.get(&format!("/api/v2/users?per_page=100&page={page}&include_totals=true")).await;
            read += 1;
        }
        let rate = read as f64 / begun.elapsed().as_secs_f64();
        figures.note(&format!("emulator: {what} pages of 100 users"), "calls/s", rate);
    }
    let (making, bytes, seconds) = export(&emulator).await;
    figures.note("emulator: making an export", "rows/s", f64::from(options.users) / making);
    figures.note("emulator: serving it", "rows/s", f64::from(options.users) / seconds);
    figures.note("emulator: serving it", "MB/s", bytes / 1e6 / seconds);
    figures.note("emulator: memory after it", "MB", peak_memory(pid));
}

/// Seconds until an export of all users is made; its size in bytes, and seconds to fetch it.
async fn export(emulator: &Emulator) -> (f64, f64, f64) {
    // All that the service asks for.
    let catalog = Catalog::bundled().unwrap();
    let user = catalog.resource("user").unwrap();
    let columns = user.export.as_ref().unwrap().columns.iter();
    let fields: Vec<_> = columns.map(|name| json!({"name": user.field(name)})).collect();
    let begun = Instant::now();
    let order = json!({"format": "json", "fields": fields});
    let job = emulator.api.post("/api/v2/jobs/users-exports", order).await;
    let path = format!("/api/v2/jobs/{}", job["id"].as_str().unwrap());
    let location = wait_for("the export is made", LONG, async || {
        let job: Value = emulator.api.get(&path).await;
        assert_ne!(job["status"], "failed", "{job}");
        job["location"].as_str().map(str::to_owned)
    })
    .await;
    let making = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let client = Client::builder().no_proxy().build().unwrap();
    let mut answer = client.get(location).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        bytes += chunk.len();
    }
    (making, bytes as f64, begun.elapsed().as_secs_f64())
}
