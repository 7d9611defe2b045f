//! `auth0-sync dev` as a developer uses it: started, killed in parts, stopped, started again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use support::{Api, Program, wait_for, wait_until};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

struct Dev {
    program: Program,
    ready: Value,
}

impl Dev {
    async fn start(folder: &Path) -> Self {
        let mut program = launch(folder);
        let ready = program.ready().await;
        Dev { program, ready }
    }

    fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    fn pids(&self) -> Vec<i32> {
        let pids = self.ready["pids"].as_object().unwrap();
        pids.values().map(|pid| pid.as_i64().unwrap().try_into().unwrap()).collect()
    }

    async fn app(&self) -> PgConnection {
        PgConnection::connect(self.text("database_url")).await.unwrap()
    }

    async fn api(&self) -> Api {
        Api::connect(self.text("auth0_url"), self.text("client_id"), self.text("client_secret")).await
    }
}

fn launch(folder: &Path) -> Program {
    let folder = folder.to_str().unwrap();
    // The child's working folder is not the project, so it is told where Postgres is.
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let account = auth0_sync::cli::dev::account::Account::for_postgres().unwrap();
    let binaries = auth0_sync::cli::dev::binaries::Binaries::newest(project, &account).unwrap();
    let bin = binaries.bin.to_str().unwrap();
    Program::start(&["dev", "--json", "--dir", folder, "--users", "20"], &[("AUTH0_SYNC_PG_BIN", bin)])
}

/// A folder that Postgres' user can enter.
fn folder() -> (TempDir, PathBuf) {
    let outer = TempDir::with_prefix("auth0-sync-dev-").unwrap();
    fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).unwrap();
    let inner = outer.path().join("dev");
    (outer, inner)
}

fn alive(pid: i32) -> bool {
    // A process that nobody has waited for yet is dead all the same.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

async fn one(connection: &mut PgConnection, sql: &'static str) -> String {
    connection.fetch_one(sql).await.unwrap().get(0)
}

#[tokio::test]
async fn a_second_start_takes_up_where_the_first_was_stopped() {
    let (_outer, folder) = folder();
    let mut first = Dev::start(&folder).await;
    assert_eq!(one(&mut first.app().await, "select count(*)::text from auth0.\"user\"").await, "20");
    let role = first.api().await.post("/api/v2/roles", json!({"name": "kept"})).await;
    let pids = first.pids();
    let status = first.program.terminate().await;
    assert!(status.success(), "{status}: {}", first.program.log());
    assert!(!pids.iter().any(|pid| alive(*pid)), "{pids:?}");

    let second = Dev::start(&folder).await;
    for name in ["database_url", "auth0_url", "client_id", "client_secret"] {
        assert_eq!(second.text(name), first.text(name));
    }
    let id = role["id"].as_str().unwrap();
    assert_eq!(second.api().await.get(&format!("/api/v2/roles/{id}")).await["name"], "kept");
    let mut app = second.app().await;
    wait_until("the table has it", SOON, async || {
        one(&mut app, "select count(*)::text from auth0.role where name = 'kept'").await == "1"
    })
    .await;
}

#[tokio::test]
async fn a_killed_service_is_started_again_and_goes_on() {
    let (_outer, folder) = folder();
    let dev = Dev::start(&folder).await;
    let service = dev.ready["pids"]["service"].as_i64().unwrap().try_into().unwrap();
    kill(Pid::from_raw(service), Signal::SIGKILL).unwrap();
    let mut app = dev.app().await;
    app.execute("update auth0.\"user\" set nickname = 'while it was dead'").await.unwrap();
    wait_until("every change is confirmed", SOON, async || {
        one(&mut app, "select count(*)::text from auth0._sync_cdc where state = 'confirmed'").await == "20"
    })
    .await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_dev_and_the_next_one_starts() {
    let (_outer, folder) = folder();
    let mut first = Dev::start(&folder).await;
    let pids = first.pids();
    first.program.kill().await;
    wait_until("its children end", SOON, async || !pids.iter().any(|pid| alive(*pid))).await;
    let second = Dev::start(&folder).await;
    assert_eq!(one(&mut second.app().await, "select count(*)::text from auth0.\"user\"").await, "20");
}

#[tokio::test]
async fn a_second_dev_on_the_same_folder_is_told_so() {
    let (_outer, folder) = folder();
    let first = launch(&folder);
    wait_until("the first has the folder", SOON, async || {
        fs::read_to_string(folder.join("lock")).is_ok_and(|pid| pid == first.pid().to_string())
    })
    .await;
    let dir = folder.to_str().unwrap();
    let (status, out, log) = Program::output(&["dev", "--json", "--dir", dir], &[]).await;
    assert!(!status.success());
    assert_eq!(out, "");
    assert!(log.contains("another `auth0-sync dev`") && log.contains(&first.pid().to_string()), "{log}");
}

#[tokio::test]
async fn the_health_check_of_the_images_sees_the_service_and_its_end() {
    let (_outer, folder) = folder();
    let mut dev = Dev::start(&folder).await;
    let status = dev.text("status_url").to_owned();
    let port = status.trim_end_matches('/').rsplit_once(':').unwrap().1;
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let healthy = || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/healthy");
        Command::new(script).args([&port, "/ready"]).output().unwrap().status.success()
    };
    wait_for("the service is healthy", SOON, async || healthy().then_some(())).await;
    let begun = Instant::now();
    dev.program.terminate().await;
    assert!(!healthy());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
