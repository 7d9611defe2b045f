//! A throw-away Postgres for each test: the copy of a cluster that `initdb` made once.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use auth0_sync::cli::dev::{
    account::Account,
    binaries::Binaries,
    cluster::{Cluster, open_folder},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tempfile::TempDir;

use super::port::own_port;

const OLDEST: u32 = 14;
const SUPERUSER_PASSWORD: &str = "superuser";

/// A running Postgres; dropped, it is stopped and removed.
pub struct Postgres {
    cluster: Cluster,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Postgres {
    /// The newest version: 18 where `scripts/test` could install it.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with settings of `postgresql.conf`.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::launch(versions().pop(), settings)
    }

    /// The oldest version that is supported: 14 where `scripts/test` could install it.
    pub fn oldest() -> Self {
        Self::oldest_with(&[])
    }

    /// The oldest with settings of `postgresql.conf`.
    pub fn oldest_with(settings: &[(&str, &str)]) -> Self {
        Self::launch(versions().into_iter().find(|binaries| binaries.major >= OLDEST), settings)
    }

    fn launch(binaries: Option<Binaries>, settings: &[(&str, &str)]) -> Self {
        let account = Account::for_postgres().unwrap();
        let binaries = binaries.expect("scripts/postgres has installed Postgres");
        let store = store(&account);
        let template = template(&store, &binaries, &account);
        let folder = TempDir::with_prefix_in("postgres-", &store).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        copy(&template, &data);
        let cluster = cluster(binaries, account, data);
        let mut settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        // Nothing here has to survive a loss of power, unless somebody measures what that costs; one
        // killed process loses nothing by it.
        if !settings.iter().any(|(name, _)| name == "fsync") {
            settings.push(("fsync".to_owned(), "off".to_owned()));
        }
        let mut postgres = Postgres { cluster, settings, folder };
        postgres.start_on(own_port());
        postgres
    }

    fn start_on(&mut self, port: u16) {
        let settings: Vec<_> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.cluster.start(port, &settings).unwrap();
        assert_eq!(self.cluster.port(), port, "somebody took the port of this Postgres");
    }

    /// A superuser's connection string for one database; `postgres` is always there.
    pub fn admin_url(&self, database: &str) -> String {
        self.cluster.admin_url(database)
    }

    /// A connection string for one role and database.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        self.cluster.url(role, password, database)
    }

    /// A superuser's connection.
    pub async fn admin(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.admin_url(database)).await.unwrap()
    }

    /// A superuser's pool.
    pub async fn pool(&self, database: &str) -> PgPool {
        PgPool::connect(&self.admin_url(database)).await.unwrap()
    }

    /// Makes a database.
    pub async fn create_database(&self, name: &str) {
        let sql = format!("create database {name}");
        self.admin("postgres").await.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// Makes a role that can log in, with its name as its password; `attributes` may be
    /// `replication` or `in role auth0_writer`. Returns its connection string.
    pub async fn create_role(&self, name: &str, attributes: &str, database: &str) -> String {
        let sql = format!("create role {name} login password '{name}' {attributes}");
        self.admin("postgres").await.execute(AssertSqlSafe(sql)).await.unwrap();
        self.url(name, name, database)
    }

    /// Ends every process of the server at once, like a loss of power.
    pub fn kill(&mut self) {
        self.cluster.kill();
    }

    /// Stops the server as its operator would.
    pub fn stop(&mut self) {
        self.cluster.stop();
    }

    /// Starts the server again after `kill` or `stop`, on the same port.
    pub fn restart(&mut self) {
        let port = self.cluster.port();
        self.start_on(port);
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.cluster.major()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- the log of Postgres\n{}", self.cluster.log_tail(40));
        }
    }
}

/// The versions at hand, oldest first.
fn versions() -> Vec<Binaries> {
    let account = Account::for_postgres().unwrap();
    Binaries::all(Path::new(env!("CARGO_MANIFEST_DIR")), &account).unwrap()
}

/// Where clusters of tests live: under target/, or in the system's folder for such things when
/// Postgres' user cannot enter that.
fn store(account: &Account) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    open_folder(&target).unwrap();
    if account.can_enter(&target) {
        return target;
    }
    let folder = std::env::temp_dir().join(format!("auth0-sync-tests-{}", nix::unistd::Uid::effective()));
    open_folder(&folder).unwrap();
    folder
}

/// The cluster that tests copy, made by the first that asks.
fn template(store: &Path, binaries: &Binaries, account: &Account) -> PathBuf {
    let template = store.join(format!("template-{}", binaries.major));
    let lock = File::create(store.join("lock")).unwrap();
    lock.lock().unwrap();
    let cluster = cluster(binaries.clone(), account.clone(), template.clone());
    if !cluster.exists() {
        cluster.create().unwrap();
    }
    template
}

fn cluster(binaries: Binaries, account: Account, data: PathBuf) -> Cluster {
    let log = data.with_extension("log");
    Cluster::new(binaries, account, data, log, SUPERUSER_PASSWORD.to_owned())
}

/// Copies a folder with owners and rights.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg("--reflink=auto").args([from, to]).status().unwrap();
    assert!(status.success(), "cp cannot copy {}", from.display());
}
