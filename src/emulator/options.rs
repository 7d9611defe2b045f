//! How an emulator is started.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::EventOptions;
use super::ids;

/// Everything that one may choose; the default is an empty tenant in memory without rate limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder in which the tenant is kept; none keeps it in memory.
    pub data: Option<PathBuf>,
    /// How many users a fresh tenant is filled with.
    pub users: usize,
    /// A preload document (JSON, or one a line) that a fresh tenant starts with.
    pub seed: Option<PathBuf>,
    /// How long every answer of the Management API takes at least.
    pub latency: Duration,
    /// The plan whose rate limits are kept and whose features the tenant has, by its name in
    /// `limits.toml`; none keeps no limits.
    pub plan: Option<String>,
    /// Features that the tenant lacks whatever its plan, as `gate` in the catalogue names them.
    pub without: Vec<String>,
    /// Whether offset paging ends where Auth0 ends it (1,000 users).
    pub result_cap: bool,
    /// How long building an action takes.
    pub action_build: Duration,
    /// How files of exports are compressed.
    pub export_gzip: Gzip,
    /// How long a link to an export holds.
    pub export_link: Duration,
    /// How long a job and its file are kept.
    pub export_job: Duration,
    /// How long tokens hold.
    pub token_lifetime: Duration,
    /// The scopes that tokens get; none gives all.
    pub scopes: Option<Vec<String>>,
    /// Scopes that tokens never get.
    pub withheld: Vec<String>,
    /// The tenant's domain, besides the host that it is asked by.
    pub domain: Option<String>,
    /// How events are kept and served.
    pub events: EventOptions,
    /// The machine-to-machine client of a fresh tenant; none makes one.
    pub client: Option<Credentials>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            data: None,
            users: 0,
            seed: None,
            latency: Duration::ZERO,
            plan: None,
            without: Vec::new(),
            result_cap: true,
            action_build: Duration::ZERO,
            export_gzip: Gzip::Off,
            export_link: Duration::from_secs(60),
            export_job: Duration::from_secs(86_400),
            token_lifetime: Duration::from_secs(86_400),
            scopes: None,
            withheld: Vec::new(),
            domain: None,
            events: EventOptions::default(),
            client: None,
        }
    }
}

/// How files of exports are compressed. Auth0 does not say which it does; in addresses of its files
/// that people have published, the name ends in `.gz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Gzip {
    /// Not at all.
    #[default]
    Off,
    /// With `Content-Encoding: gzip`.
    Encoding,
    /// As a file of its own kind, whose name ends in `.gz`.
    File,
}

/// Id and secret of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `client_id`
    pub id: String,
    /// `client_secret`
    pub secret: String,
}

impl Credentials {
    /// New ones, in Auth0's shape.
    pub fn random() -> Self {
        Credentials { id: ids::word(32), secret: ids::word(64) }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}
