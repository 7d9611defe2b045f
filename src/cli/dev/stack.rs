//! Owns the three things that `dev` runs: starts them in order (Postgres and emulator, setup,
//! service), starts again what dies, and stops them in the opposite order.

use std::{env, path::PathBuf, time::Duration};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{
    Args,
    account::Account,
    binaries::Binaries,
    child::{Child, Launcher},
    cluster::{Cluster, free_port},
    folder::{Folder, Memory},
    progress::Progress,
};
use crate::pg::wait_for_nobody;
use crate::{Error, Kind, Result};

const DATABASE: &str = "auth0dev";
const SERVICE_ROLE: &str = "auth0_sync";
const APP_ROLE: &str = "app";
/// Names the tables to mirror.
const OBJECTS: &str = "AUTH0_SYNC_OBJECTS";
const EVERYTHING: &str = "*";
const OLDEST: u32 = 14;
const NEWEST: u32 = 18;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(10);

/// Everything that runs.
pub(super) struct Stack {
    folder: Folder,
    memory: Memory,
    launcher: Launcher,
    emulator_options: Vec<String>,
    objects: String,
    emulator: Option<Child>,
    emulator_ready: Value,
    service: Option<Child>,
    service_ready: Value,
    cluster: Cluster,
    progress: Progress,
}

/// What the ready line and the ready text tell.
pub(super) struct Ready {
    pub(super) database_url: String,
    pub(super) auth0_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) status_url: String,
    pub(super) service: Option<u32>,
    pub(super) emulator: Option<u32>,
    pub(super) postgres: Option<u32>,
    pub(super) folder: PathBuf,
}

fn named_objects() -> Option<String> {
    env::var(OBJECTS).ok().filter(|objects| !objects.is_empty())
}

impl Stack {
    /// Finds folder and programs; nothing runs yet.
    pub(super) fn new(args: &Args) -> Result<Self> {
        let account = Account::for_postgres()?;
        let folder = Folder::open(args.dir.as_deref(), &account)?;
        let memory = folder.memory()?;
        let program = env::current_exe()
            .map_err(|error| Error::with(Kind::Io, "cannot find this program's own file", error))?;
        let launcher = Launcher { program, folder: folder.path.clone() };
        let mut emulator_options = vec!["--users".to_owned(), args.users.to_string()];
        if let Some(plan) = &args.plan {
            emulator_options.extend(["--rate-limits".to_owned(), plan.clone()]);
        }
        let cluster = Cluster::new(
            programs(&folder, &account)?,
            account,
            folder.join("postgres"),
            folder.join("logs/postgres.log"),
            memory.superuser_password.clone(),
        );
        Ok(Stack {
            folder,
            memory,
            launcher,
            emulator_options,
            objects: args.objects.clone().or_else(named_objects).unwrap_or_else(|| EVERYTHING.to_owned()),
            emulator: None,
            emulator_ready: Value::Null,
            service: None,
            service_ready: Value::Null,
            cluster,
            progress: Progress::new(),
        })
    }

    /// Starts everything; returns when the service is ready.
    pub(super) async fn start(&mut self) -> Result<Ready> {
        let started = self.start_all().await;
        match &started {
            Ok(_) => self.progress.done(),
            Err(_) => self.progress.failed(),
        }
        started
    }

    async fn start_all(&mut self) -> Result<Ready> {
        let major = self.cluster.major();
        if major < NEWEST {
            self.progress.say(&format!(
                "Postgres {major} in {} stands in for {NEWEST}, which `scripts/postgres` installs.",
                self.cluster.programs().display()
            ));
        }
        self.folder.remember(&self.memory)?;
        if !self.cluster.exists() {
            self.progress.step(&format!("Postgres {major}: makes its cluster"));
            self.cluster.create()?;
        }
        self.progress.step(&format!("Postgres {major}: starts"));
        self.start_postgres()?;
        self.progress.step("Emulator of Auth0: starts");
        self.start_emulator().await?;
        self.folder.remember(&self.memory)?;
        self.progress.step("Setup: schema, roles, publication, slot");
        self.set_up().await?;
        self.progress.step("Service: fills the tables from Auth0");
        self.start_service().await?;
        self.ready()
    }

    fn start_postgres(&mut self) -> Result<()> {
        let wanted = self.memory.postgres_port;
        let port = self.cluster.start(wanted, &[])?;
        if wanted != 0 && wanted != port {
            self.progress.say(&format!("Port {wanted} is taken now; Postgres is on {port}."));
        }
        self.memory.postgres_port = port;
        Ok(())
    }

    async fn start_emulator(&mut self) -> Result<()> {
        let wanted = self.memory.emulator_port;
        let port = free_port(wanted)?;
        if wanted != 0 && wanted != port {
            self.progress.say(&format!("Port {wanted} is taken now; the emulator is on {port}."));
        }
        self.memory.emulator_port = port;
        let data = self.folder.join("emulator").display().to_string();
        let mut args: Vec<_> = ["emulator", "--json", "--data", &data, "--listen"].map(str::to_owned).into();
        args.push(format!("127.0.0.1:{port}"));
        args.extend(self.emulator_options.iter().cloned());
        let (child, ready) = self.launcher.start("emulator", &args, &[]).await?;
        self.emulator = Some(child);
        self.emulator_ready = ready;
        Ok(())
    }

    /// Database, schema and roles; all of it again at every start, which changes nothing then.
    async fn set_up(&mut self) -> Result<()> {
        let mut admin = connect(&self.cluster.admin_url("postgres")).await?;
        let there =
            sqlx::query_scalar::<_, bool>("select exists (select from pg_database where datname = $1)")
                .bind(DATABASE)
                .fetch_one(&mut admin)
                .await
                .map_err(database)?;
        if !there {
            execute(&mut admin, format!("create database {DATABASE}")).await?;
        }
        let mut variables = self.service_variables()?;
        variables.push(("DATABASE_ADMIN_URL", self.cluster.admin_url(DATABASE)));
        let output = self.launcher.output(&["setup".to_owned()], &variables).await?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(Error::new(
                Kind::SetupCheck,
                format!("setup failed:\n{}", String::from_utf8_lossy(&said).trim()),
            ));
        }
        let there = sqlx::query_scalar::<_, bool>("select exists (select from pg_roles where rolname = $1)")
            .bind(APP_ROLE)
            .fetch_one(&mut admin)
            .await
            .map_err(database)?;
        if !there {
            let password = &self.memory.app_password;
            let sql = format!("create role {APP_ROLE} login password '{password}' in role auth0_writer");
            execute(&mut admin, sql).await?;
        }
        Ok(())
    }

    async fn start_service(&mut self) -> Result<()> {
        let variables = self.service_variables()?;
        let (child, ready) = self.launcher.start("service", &service_args(), &variables).await?;
        self.service = Some(child);
        self.service_ready = ready;
        Ok(())
    }

    fn service_variables(&self) -> Result<Vec<(&'static str, String)>> {
        let url = text(&self.emulator_ready, "auth0_url")?;
        let domain = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
        let database = self.cluster.url(SERVICE_ROLE, &self.memory.service_password, DATABASE);
        Ok(vec![
            ("DATABASE_URL", database),
            ("AUTH0_DOMAIN", domain.to_owned()),
            ("AUTH0_BASE_URL", url),
            ("AUTH0_CLIENT_ID", text(&self.emulator_ready, "client_id")?),
            ("AUTH0_CLIENT_SECRET", text(&self.emulator_ready, "client_secret")?),
            ("AUTH0_SYNC_STATUS_LISTEN", "127.0.0.1:0".to_owned()),
            (OBJECTS, self.objects.clone()),
        ])
    }

    fn ready(&self) -> Result<Ready> {
        Ok(Ready {
            database_url: self.cluster.url(APP_ROLE, &self.memory.app_password, DATABASE),
            auth0_url: text(&self.emulator_ready, "auth0_url")?,
            client_id: text(&self.emulator_ready, "client_id")?,
            client_secret: text(&self.emulator_ready, "client_secret")?,
            status_url: text(&self.service_ready, "status_url")?,
            service: self.service.as_ref().and_then(Child::pid),
            emulator: self.emulator.as_ref().and_then(Child::pid),
            postgres: self.cluster.pid(),
            folder: self.folder.path.clone(),
        })
    }

    /// Starts again what dies, for as long as the future is not dropped.
    pub(super) async fn keep_running(&mut self) -> Result<()> {
        let mut child_ended = signal(SignalKind::child())
            .map_err(|error| Error::with(Kind::Io, "cannot watch the children", error))?;
        let mut delay = FIRST_DELAY;
        loop {
            self.revive_what_the_service_needs().await?;
            if let Some(status) = self.service.as_mut().and_then(Child::has_ended) {
                self.progress.say(&format!("The service ended ({status}); it is started again."));
                self.service = None;
            }
            if self.service.is_some() {
                child_ended.recv().await;
                continue;
            }
            let launcher = self.launcher.clone();
            let variables = self.service_variables()?;
            let start = async {
                sleep(delay).await;
                launcher.start("service", &service_args(), &variables).await
            };
            tokio::select! {
                started = start => match started {
                    Ok((child, ready)) => {
                        self.service = Some(child);
                        self.service_ready = ready;
                        delay = FIRST_DELAY;
                        self.say_service_is_ready()?;
                    }
                    Err(error) => {
                        delay = (delay * 2).min(LAST_DELAY);
                        self.progress.say(&format!("{error}\nIt is started again in {delay:?}."));
                    }
                },
                () = what_the_service_needs_ends(&mut self.cluster, &mut self.emulator, &mut child_ended) => {}
            }
        }
    }

    async fn revive_what_the_service_needs(&mut self) -> Result<()> {
        if let Some(status) = self.cluster.has_ended() {
            self.progress.say(&format!("Postgres ended ({status}); it is started again."));
            self.start_postgres()?;
        }
        if let Some(status) = self.emulator.as_mut().and_then(Child::has_ended) {
            self.progress.say(&format!("The emulator ended ({status}); it is started again."));
            self.emulator = None;
            self.start_emulator().await?;
        }
        Ok(())
    }

    fn say_service_is_ready(&self) -> Result<()> {
        let pid = self.service.as_ref().and_then(Child::pid).unwrap_or_default();
        let status = text(&self.service_ready, "status_url")?;
        self.progress.say(&format!("The service is ready again (pid {pid}, status {status})."));
        Ok(())
    }

    /// Stops the service, then the emulator, then Postgres.
    pub(super) async fn stop(&mut self) {
        if let Some(child) = self.service.take() {
            self.progress.step("Service: stops");
            child.stop().await;
        }
        if let Some(child) = self.emulator.take() {
            self.progress.step("Emulator: stops");
            child.stop().await;
        }
        if self.cluster.pid().is_some() {
            self.progress.step("Postgres: stops");
            self.cluster.stop();
        }
        self.progress.done();
    }
}

/// The programs of the cluster's own version; for a new one the newest.
fn programs(folder: &Folder, account: &Account) -> Result<Binaries> {
    let here =
        env::current_dir().map_err(|error| Error::with(Kind::Io, "the current folder is gone", error))?;
    let newest = Binaries::newest(&here, account)?;
    if newest.major < OLDEST {
        return Err(Error::new(
            Kind::Io,
            format!(
                "{} is Postgres {}, and {OLDEST} is the oldest supported; `scripts/postgres` installs {NEWEST}",
                newest.bin.display(),
                newest.major
            ),
        ));
    }
    let version = std::fs::read_to_string(folder.join("postgres/PG_VERSION"));
    match version.ok().and_then(|text| text.trim().parse().ok()) {
        // Where that version is missing, the start says which one the folder needs.
        Some(major) => Ok(Binaries::of_major(major, &here, account).unwrap_or(newest)),
        None => Ok(newest),
    }
}

fn service_args() -> [String; 2] {
    ["run", "--json"].map(str::to_owned)
}

/// Returns when Postgres or the emulator has ended.
async fn what_the_service_needs_ends(
    cluster: &mut Cluster,
    emulator: &mut Option<Child>,
    child_ended: &mut Signal,
) {
    while cluster.has_ended().is_none() && emulator.as_mut().and_then(Child::has_ended).is_none() {
        child_ended.recv().await;
    }
}

async fn connect(url: &str) -> Result<PgConnection> {
    let unreachable =
        |error| Error::with(Kind::DatabaseUnavailable, "cannot log in to our own Postgres", error);
    let mut connection = PgConnection::connect(url).await.map_err(unreachable)?;
    wait_for_nobody(&mut connection).await.map_err(database)?;
    Ok(connection)
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<()> {
    connection.execute(AssertSqlSafe(sql)).await.map(drop).map_err(database)
}

fn database(error: sqlx::Error) -> Error {
    Error::with(Kind::Database, "our own Postgres refused a statement", error)
}

fn text(object: &Value, name: &str) -> Result<String> {
    object
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::new(Kind::Internal, format!("a child's ready line has no `{name}`: {object}")))
}
