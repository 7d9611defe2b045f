//! Mail about the filling of tables, to a real mail server with a login (`scripts/mail-server`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::{Emulator, Postgres, Stand, wait_until};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const SECONDS: Duration = Duration::from_secs(20);

struct Server {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: String,
}

impl Server {
    async fn start() -> Server {
        Self::with(&[]).await
    }

    /// The same; a certificate and its key let it take nothing but STARTTLS.
    async fn with(files: &[PathBuf]) -> Server {
        let root = env!("CARGO_MANIFEST_DIR");
        let package = format!("{root}/.dev/mail-server");
        assert!(Path::new(&package).exists(), "scripts/mail-server has not installed the mail server");
        let mut process = Command::new("python3")
            .arg(format!("{root}/tests/mail/server.py"))
            .args(files)
            .env("PYTHONPATH", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().unwrap();
        Server { _process: process, lines, port }
    }

    /// The configuration of who trusts this certificate.
    fn encrypted(&self, ca: &Path) -> String {
        let settings = self.settings("secret").replace(&self.port, &format!("{}?tls=required", self.port));
        format!("{settings}ca = {:?}\n", ca.to_str().unwrap())
    }

    fn settings(&self, password: &str) -> String {
        format!(
            "[mail]\nserver = \"smtp://sync:{password}@127.0.0.1:{}\"\nfrom = \"sync@example.com\"\nto = [\"ops@example.com\"]\n",
            self.port
        )
    }

    async fn mail(&mut self) -> Value {
        let line = tokio::time::timeout(SECONDS, self.lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

#[tokio::test]
async fn the_first_filling_is_mailed_once_and_a_failed_table_too() {
    let mut server = Server::start().await;
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(5).await).await;
    stand.configuration = server.settings("secret");
    stand.restart_service().await;
    let mail = server.mail().await;
    assert_eq!((&mail["from"], &mail["to"][0]), (&"sync@example.com".into(), &"ops@example.com".into()));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("tables: 8") && text.contains("rows: "), "{text}");
    assert!(!text.contains("@example.com"), "no value of a row: {text}");
    let pool = stand.admin().await;
    let remembered = "select filled_mailed_at is not null from _auth0_sync.tenant";
    wait_until("it is remembered", SECONDS, async || {
        sqlx::query_scalar(remembered).fetch_one(&pool).await.unwrap()
    })
    .await;
    stand.kill_service().await;
    stand.restart_service().await;
    // The next mail is about what failed meanwhile, not the first one again.
    sqlx::query("update _auth0_sync.backfill set state = 'failed', error = 'it is broken', finished_at = null, started_at = now() where \"table\" = 'role'")
        .execute(&pool)
        .await
        .unwrap();
    let mail = server.mail().await;
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("\nrole\n") && !text.contains("broken"), "{mail}");
}

#[tokio::test]
async fn a_mail_server_that_is_away_holds_nothing_up_and_the_next_start_tries_again() {
    let mut server = Server::start().await;
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(5).await).await;
    // Nobody listens there.
    stand.configuration = server.settings("wrong").replace(&server.port, "1");
    stand.restart_service().await;
    wait_until("it gives up", SECONDS, async || {
        stand.service.as_ref().unwrap().log().contains("no mail could be sent")
    })
    .await;
    assert!(!stand.service.as_ref().unwrap().log().contains("wrong@"), "no password in the log");
    stand.kill_service().await;
    stand.configuration = server.settings("secret");
    stand.restart_service().await;
    assert!(server.mail().await["subject"].as_str().unwrap().contains("is in schema auth0"));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_said_without_it() {
    let mut server = Server::start().await;
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(5).await).await;
    stand.configuration = server.settings("wrong");
    stand.restart_service().await;
    wait_until("it gives up", SECONDS, async || {
        stand.service.as_ref().unwrap().log().contains("no mail could be sent")
    })
    .await;
    let log = stand.service.as_ref().unwrap().log();
    assert!(log.contains("535") && log.contains("Correct user, password"), "{log}");
    assert!(!log.contains("wrong@"), "no password in the log");
    // What nobody has been told is told when the password is right.
    stand.kill_service().await;
    stand.configuration = server.settings("secret");
    stand.restart_service().await;
    assert!(server.mail().await["subject"].as_str().unwrap().contains("is in schema auth0"));
}

/// A key and a certificate of the server's own, as whoever runs a mail server for themselves makes them.
fn certificate(folder: &Path, name: &str) -> [PathBuf; 2] {
    let [certificate, key] = ["pem", "key"].map(|end| folder.join(format!("{name}.{end}")));
    let made = std::process::Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail"
                .split(' '),
        )
        .args("-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE".split(' '))
        .args([Path::new("-out"), &certificate, Path::new("-keyout"), &key])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    [certificate, key]
}

#[tokio::test]
async fn a_server_with_a_certificate_of_its_own_is_trusted_where_the_configuration_names_it() {
    let folder = TempDir::with_prefix("auth0-sync-mail-").unwrap();
    let own = certificate(folder.path(), "own");
    let [other, _] = certificate(folder.path(), "other");
    let mut server = Server::with(&own).await;
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(5).await).await;
    stand.configuration = server.encrypted(&other);
    stand.restart_service().await;
    wait_until("somebody else's certificate is not enough", SECONDS, async || {
        stand.service.as_ref().unwrap().log().contains("no mail could be sent")
    })
    .await;
    let log = stand.service.as_ref().unwrap().log();
    assert!(log.contains("certificate") && log.contains("mail.ca"), "{log}");
    stand.kill_service().await;
    stand.configuration = server.encrypted(&own[0]);
    stand.restart_service().await;
    let mail = server.mail().await;
    assert!(mail["subject"].as_str().unwrap().contains("is in schema auth0"), "{mail}");
    assert_eq!(mail["encrypted"], true);
}
