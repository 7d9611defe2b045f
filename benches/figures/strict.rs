//! What a strict statement costs beside a bare PATCH of the same change to the same emulator. Three times it
//! waits for the disk, which the bare one never does: what is asked, that it is asked, and the COMMIT. What the
//! disk takes for that on this machine is told beside it.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::figures::{Aim, Figures, at};
use crate::support::{Emulator, Postgres, Stand};

/// What it may cost, in milliseconds.
const P50: f64 = 4.0;
const P99: f64 = 10.0;

pub(crate) async fn measure(figures: &mut Figures) {
    for (latency, writes) in [(0, 500), (80, 100)] {
        let (bare, strict, disk) = one_by_one(latency, writes).await;
        let name = |what: &str| format!("{what}, emulator's latency {latency} ms");
        figures.spread(&name("disk, one flush"), &disk, None);
        figures.spread(&name("bare PATCH"), &bare, None);
        figures.spread(&name("strict UPDATE"), &strict, None);
        for (word, share, most) in [("p50", 0.50, P50), ("p99", 0.99, P99)] {
            let more = at(&strict, share) - at(&bare, share);
            figures.aim(&format!("{}, {word}", name("strict beside bare")), "ms", more, Aim::Below(most));
        }
    }
}

/// Milliseconds of each PATCH and of each statement, by turns, and of some flushes before.
async fn one_by_one(latency: u32, writes: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let arguments = ["--users", "50", "--rate-limits", "off", "--latency", &latency.to_string()];
    let emulator = Emulator::with(&arguments).await;
    let mut stand = Stand::set_up(Postgres::with(&[("fsync", "on")]), emulator).await;
    stand.restart_service().await;
    let users: Vec<String> = sqlx::query_scalar("select user_id from auth0.\"user\" order by 1")
        .fetch_all(&stand.app().await)
        .await
        .unwrap();
    let mut session = PgConnection::connect(&stand.app_url).await.unwrap();
    session.execute(AssertSqlSafe("set auth0.write_mode = 'strict'".to_owned())).await.unwrap();
    let disk = flushes(&stand.postgres.data()).await;
    let (mut bare, mut strict) = (Vec::new(), Vec::new());
    for n in 0..writes {
        let user = &users[n % users.len()];
        let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
        let begun = Instant::now();
        stand.emulator.api.patch(&path, json!({"nickname": format!("bare {n}")})).await;
        bare.push(begun.elapsed().as_secs_f64() * 1000.0);
        let begun = Instant::now();
        sqlx::query("update auth0.\"user\" set nickname = $1 where user_id = $2")
            .bind(format!("strict {n}"))
            .bind(user)
            .execute(&mut session)
            .await
            .unwrap();
        strict.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    (bare, strict, disk)
}

/// Milliseconds of a flush of one page, to a disk that has rested, as it has between two statements. What setting
/// up has written goes there before: it would go there between the statements.
async fn flushes(folder: &Path) -> Vec<f64> {
    assert!(Command::new("sync").status().unwrap().success());
    let page = [1; 8192];
    let file = tempfile::tempfile_in(folder).unwrap();
    for n in 0..100 {
        file.write_all_at(&page, n * 8192).unwrap();
    }
    file.sync_all().unwrap();
    let mut milliseconds = Vec::new();
    for n in 0..100 {
        tokio::time::sleep(Duration::from_millis(4)).await;
        let begun = Instant::now();
        file.write_all_at(&page, n * 8192).unwrap();
        file.sync_data().unwrap();
        milliseconds.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    milliseconds
}
