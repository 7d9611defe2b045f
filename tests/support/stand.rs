//! Postgres, emulator and service together, as an operator would set them up.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use super::{Api, Postgres, Program, Session, own_port};

/// What most tests mirror; the rest of the catalogue has tests of its own.
const TABLES: &[&str] =
    &["user", "user_role", "role", "organization", "organization_member", "client", "connection", "tenant"];

/// The database of a [`Stand`].
pub const DATABASE: &str = "auth0dev";

/// An emulator process and a client for it.
pub struct Emulator {
    /// The process.
    pub program: Program,
    /// Its address, without a slash at the end.
    pub url: String,
    /// The credentials of the application that the service uses.
    pub client_id: String,
    /// The secret to `client_id`.
    pub client_secret: String,
    /// A client with a token of its own.
    pub api: Api,
    arguments: Vec<String>,
    catalog: Option<PathBuf>,
    data: TempDir,
}

impl Emulator {
    /// An emulator with this many users, without rate limits.
    pub async fn start(users: u32) -> Self {
        Self::with(&["--users", &users.to_string(), "--rate-limits", "off"]).await
    }

    /// An emulator with these further arguments.
    pub async fn with(arguments: &[&str]) -> Self {
        Self::begin(arguments, None).await
    }

    /// The same with the catalogue files of a folder over the bundled ones; a [`Stand`] takes them too.
    pub async fn with_catalog(folder: &Path, arguments: &[&str]) -> Self {
        Self::begin(arguments, Some(folder.to_owned())).await
    }

    async fn begin(arguments: &[&str], catalog: Option<PathBuf>) -> Self {
        let data = TempDir::with_prefix("auth0-sync-emulator-").unwrap();
        let arguments: Vec<_> = arguments.iter().map(|word| word.to_string()).collect();
        let (program, ready) =
            launch(&arguments, catalog.as_deref(), &data, &format!("127.0.0.1:{}", own_port())).await;
        let text =
            |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("no {name}: {ready}")).to_owned();
        let (url, client_id, client_secret) = (text("auth0_url"), text("client_id"), text("client_secret"));
        let url = url.trim_end_matches('/').to_owned();
        let api = Api::connect(&url, &client_id, &client_secret).await;
        Emulator { program, url, client_id, client_secret, api, arguments, catalog, data }
    }

    /// `host:port`, which stands in for the tenant's domain.
    pub fn domain(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Everything it has stored, passwords included, as it lies on its disk.
    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.data.path().join("journal.jsonl")).unwrap()
    }

    /// Orders faults.
    pub async fn fault(&self, order: Value) {
        self.api.post("/_emulator/faults", order).await;
    }

    /// Everything it has, by table.
    pub async fn state(&self) -> Value {
        self.api.get("/_emulator/state").await
    }

    /// How often each route was called since [`Emulator::forget_calls`].
    pub async fn calls(&self, route: &str) -> u64 {
        self.api.get("/_emulator/calls").await[route].as_u64().unwrap_or(0)
    }

    /// Counts calls anew.
    pub async fn forget_calls(&self) {
        self.api.delete("/_emulator/calls").await;
    }

    /// Starts it again after `program.kill()`: same address, same state.
    pub async fn restart(&mut self) {
        let domain = self.domain().to_owned();
        (self.program, _) = launch(&self.arguments, self.catalog.as_deref(), &self.data, &domain).await;
        self.api = Api::connect(&self.url, &self.client_id, &self.client_secret).await;
    }
}

async fn launch(
    arguments: &[String],
    catalog: Option<&Path>,
    data: &TempDir,
    listen: &str,
) -> (Program, Value) {
    let data = data.path().to_str().unwrap();
    let mut args = vec!["emulator", "--json", "--listen", listen, "--data", data];
    args.extend(arguments.iter().map(String::as_str));
    let catalog = catalog.map(|folder| ("AUTH0_SYNC_CATALOG", folder.to_str().unwrap()));
    let mut program = Program::start(&args, catalog.as_slice());
    let ready = program.ready().await;
    (program, ready)
}

/// Everything: Postgres, emulator, the schema, and (after [`Stand::start`]) the service.
pub struct Stand {
    /// The service's process; killed, it is started again with [`Stand::restart_service`].
    pub service: Option<Program>,
    /// What the service's ready line said.
    pub ready: Value,
    /// The tenant.
    pub emulator: Emulator,
    /// The connection string of the role `app`, a member of `auth0_writer`.
    pub app_url: String,
    /// The database.
    pub postgres: Postgres,
    /// The tables that it mirrors: the configuration key `objects`.
    pub objects: Vec<String>,
    /// What else the service is told: the text of its `auth0-sync.toml`.
    pub configuration: String,
    folder: TempDir,
}

impl Stand {
    /// All of it on Postgres 18 with this many users, the backfill done.
    pub async fn start(users: u32) -> Self {
        let mut stand = Self::set_up(Postgres::start(), Emulator::start(users).await).await;
        stand.restart_service().await;
        stand
    }

    /// The same on the oldest Postgres that is supported.
    pub async fn oldest(users: u32) -> Self {
        let mut stand = Self::set_up(Postgres::oldest(), Emulator::start(users).await).await;
        stand.restart_service().await;
        stand
    }

    /// The same without the service: `setup` has run.
    pub async fn set_up(postgres: Postgres, emulator: Emulator) -> Self {
        Self::with_objects(postgres, emulator, TABLES).await
    }

    /// The same with these tables.
    pub async fn with_objects(postgres: Postgres, emulator: Emulator, objects: &[&str]) -> Self {
        let objects = objects.iter().map(|table| table.to_string()).collect();
        postgres.create_database(DATABASE).await;
        let app_url = postgres.url("app", "app", DATABASE);
        let stand = Stand {
            service: None,
            ready: Value::Null,
            emulator,
            app_url,
            postgres,
            objects,
            configuration: String::new(),
            folder: TempDir::with_prefix("auth0-sync-stand-").unwrap(),
        };
        let admin = stand.postgres.admin_url(DATABASE);
        let (status, out, log) = stand.run(&["setup", "--admin-url", &admin]).await;
        assert!(status.success(), "setup failed:\n{out}{log}");
        stand.postgres.create_role("app", "in role auth0_writer", DATABASE).await;
        stand
    }

    /// Starts the service, or again if it was killed, and waits until it is ready.
    pub async fn restart_service(&mut self) {
        self.launch_service();
        self.until_ready().await;
    }

    /// Starts the service, or again if it was killed, and does not wait.
    pub fn launch_service(&mut self) {
        self.service = None;
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let file = self.folder.path().join("auth0-sync.toml");
        std::fs::write(&file, &self.configuration).unwrap();
        let arguments = ["run", "--json", "--config", file.to_str().unwrap()];
        self.service = Some(Program::start(&arguments, &variables));
    }

    /// Waits until the launched service is ready.
    pub async fn until_ready(&mut self) {
        self.ready = self.service.as_mut().expect("the service runs").ready().await;
    }

    /// What the status page of the service says.
    pub async fn status(&self) -> Value {
        let url = self.ready["status_url"].as_str().expect("the service is ready");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{url}/status")).send().await.unwrap().json().await.unwrap()
    }

    /// `kill -9` of the service.
    pub async fn kill_service(&mut self) {
        self.service.as_mut().expect("the service runs").kill().await;
    }

    /// Runs another command of the program with the service's configuration, to its end.
    pub async fn run(&self, args: &[&str]) -> (std::process::ExitStatus, String, String) {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Program::output(args, &variables).await
    }

    /// A pool of the role that an application would use.
    pub async fn app(&self) -> PgPool {
        PgPool::connect(&self.app_url).await.unwrap()
    }

    /// A connection of the role that an application would use.
    pub async fn session(&self) -> Session {
        Session::open(&self.app_url).await
    }

    /// A superuser's connection.
    pub async fn root(&self) -> Session {
        Session::open(&self.postgres.admin_url(DATABASE)).await
    }

    /// A superuser's pool.
    pub async fn admin(&self) -> PgPool {
        self.postgres.pool(DATABASE).await
    }

    /// The service's configuration.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let catalog = self.emulator.catalog.iter().map(|folder| folder.to_str().unwrap().to_owned());
        let mut variables = vec![
            ("DATABASE_URL", self.postgres.url("auth0_sync", "service", DATABASE)),
            ("AUTH0_DOMAIN", self.emulator.domain().to_owned()),
            ("AUTH0_BASE_URL", self.emulator.url.clone()),
            ("AUTH0_CLIENT_ID", self.emulator.client_id.clone()),
            ("AUTH0_CLIENT_SECRET", self.emulator.client_secret.clone()),
            ("AUTH0_SYNC_STATUS_LISTEN", "127.0.0.1:0".to_owned()),
            ("AUTH0_SYNC_OBJECTS", self.objects.join(",")),
        ];
        variables.extend(catalog.map(|folder| ("AUTH0_SYNC_CATALOG", folder)));
        variables
    }
}
