//! Configuration: `auth0-sync.toml`, then the environment. An error names the key and where it
//! came from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

mod sections;

pub use sections::{Backfill, Mail, Sweep, Users, Webhook};

use crate::auth0;
use crate::catalog::{Catalog, Limits, Selection};
use crate::error::{Error, Kind, Result};
use crate::ingest::Rates;

/// The file that is read where no other is named; it may be missing.
pub(super) const DEFAULT_FILE: &str = "auth0-sync.toml";

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service's own login: `postgres://role:password@host:port/database`.
    pub database_url: SecretString,
    /// Schema of the mirror tables.
    pub schema: String,
    /// Replication slot.
    pub slot: String,
    /// Tables and columns that are mirrored.
    pub selection: Selection,
    /// The tenant.
    pub auth0: auth0::Settings,
    /// Where the status page listens.
    pub status_listen: SocketAddr,
    /// How often the tenant log is asked while something happens in the tenant.
    pub log_interval: Duration,
    /// How often it is asked in a tenant where nothing happens.
    pub log_idle_interval: Duration,
    /// Whether Auth0's events are followed where the token may read them.
    pub events: bool,
    /// How tables are filled.
    pub backfill: Backfill,
    /// How often everything is compared.
    pub sweep: Sweep,
    /// Where Auth0 reports by itself; none where nothing can reach this service.
    pub webhook: Option<Webhook>,
    /// Who is told when tables are filled; none sends no mail.
    pub mail: Option<Mail>,
    /// Writes to Auth0 under way at most.
    pub concurrency: usize,
    /// How long settled mutations stay in `_sync_cdc`.
    pub keep_settled: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database_url: Option<SecretString>,
    schema: Option<String>,
    slot: Option<String>,
    status_listen: Option<String>,
    log_interval_ms: Option<u64>,
    concurrency: Option<usize>,
    keep_settled_days: Option<u32>,
    log_idle_interval_seconds: Option<f64>,
    events: Option<bool>,
    #[serde(default)]
    backfill: sections::BackfillFile,
    #[serde(default)]
    sweep: sections::SweepFile,
    #[serde(default)]
    webhook: sections::WebhookFile,
    #[serde(default)]
    mail: sections::MailFile,
    #[serde(default)]
    objects: Vec<String>,
    #[serde(default)]
    columns: IndexMap<String, Vec<String>>,
    #[serde(default)]
    auth0: Auth0File,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth0File {
    domain: Option<String>,
    base_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    plan: Option<String>,
    reserve_percent: Option<u8>,
}

impl Config {
    /// Reads the file (the default one may be missing, a named one may not) and the environment.
    ///
    /// # Errors
    /// `config`, naming the key and its source.
    pub fn load(file: Option<&Path>) -> Result<Config> {
        Self::from_sources(read(file)?, variable)
    }

    /// What is mirrored, where nothing else of the configuration has to be there.
    ///
    /// # Errors
    /// `config` for a file that cannot be read.
    pub fn selection(file: Option<&Path>) -> Result<Selection> {
        read(file).map(|file| selected(file.objects, file.columns, variable))
    }

    /// The catalogue of what is mirrored.
    ///
    /// # Errors
    /// `catalog`, or `config` for a table or column that does not exist.
    pub fn catalog(&self) -> Result<Catalog> {
        let catalog = Catalog::load()?;
        let is_filled = |table: &&String| catalog.get(table).is_some_and(|resource| resource.is_read());
        if let Some(unknown) = self.backfill.skip.iter().find(|table| !is_filled(table)) {
            let what = format!("backfill.skip (AUTH0_SYNC_BACKFILL_SKIP): no table {unknown} is filled");
            return Err(Error::new(Kind::Config, what));
        }
        catalog.selected(&self.selection)
    }

    /// What the plan lets through, where it is named.
    ///
    /// # Errors
    /// `config`, listing the names of plans.
    pub fn rates(&self) -> Result<Option<Rates>> {
        let Some(name) = &self.auth0.plan else { return Ok(None) };
        let limits = Limits::load()?;
        let plan = limits.plan(name)?.clone();
        Ok(Some(Rates { limits, plan, reserve: self.auth0.reserve_percent }))
    }

    fn from_sources(file: File, env: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let text = |name: &str, from_file: Option<String>| env(name).or(from_file);
        let secret =
            |name: &str, from_file: Option<SecretString>| env(name).map(SecretString::from).or(from_file);
        let missing = |name: &str, key: &str| {
            Error::new(Kind::Config, format!("{name} is not set, nor {key} in {DEFAULT_FILE}"))
        };
        let base_url = text("AUTH0_BASE_URL", file.auth0.base_url)
            .map(|url| {
                Url::parse(&url).map_err(|error| Error::with(Kind::Config, "AUTH0_BASE_URL is no URL", error))
            })
            .transpose()?;
        let domain = match (text("AUTH0_DOMAIN", file.auth0.domain), &base_url) {
            (Some(domain), _) => domain,
            (None, Some(url)) => url.authority().to_owned(),
            (None, None) => return Err(missing("AUTH0_DOMAIN", "auth0.domain")),
        };
        let mut auth0 = auth0::Settings::new(
            domain,
            text("AUTH0_CLIENT_ID", file.auth0.client_id)
                .ok_or_else(|| missing("AUTH0_CLIENT_ID", "auth0.client_id"))?,
            secret("AUTH0_CLIENT_SECRET", file.auth0.client_secret)
                .ok_or_else(|| missing("AUTH0_CLIENT_SECRET", "auth0.client_secret"))?,
        );
        auth0.base_url = base_url;
        auth0.plan = text("AUTH0_SYNC_PLAN", file.auth0.plan);
        auth0.reserve_percent = file.auth0.reserve_percent.unwrap_or(auth0.reserve_percent);
        auth0.validate()?;
        let listen =
            text("AUTH0_SYNC_STATUS_LISTEN", file.status_listen).unwrap_or_else(|| "127.0.0.1:4011".into());
        let schema = text("AUTH0_SYNC_SCHEMA", file.schema).unwrap_or_else(|| "auth0".into());
        // The slot and the groups of applications are named after it, and Postgres cuts names at 63 bytes.
        let plain = schema.starts_with(|c: char| c.is_ascii_lowercase())
            && schema.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && schema.len() <= 52;
        if !plain || schema.starts_with("pg_") {
            let what = "schema must be lower-case letters, digits and underscores, at most 52, not starting with pg_";
            return Err(Error::new(Kind::Config, what));
        }
        let slot = text("AUTH0_SYNC_SLOT", file.slot).unwrap_or_else(|| format!("auth0_sync_{schema}"));
        if !slot.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            || !(1..=63).contains(&slot.len())
        {
            let what =
                "slot (AUTH0_SYNC_SLOT) must be lower-case letters, digits and underscores, at most 63";
            return Err(Error::new(Kind::Config, what));
        }
        Ok(Config {
            database_url: secret("DATABASE_URL", file.database_url)
                .ok_or_else(|| missing("DATABASE_URL", "database_url"))?,
            slot,
            schema,
            selection: selected(file.objects, file.columns, &env),
            auth0,
            status_listen: listen.parse().map_err(|error| {
                Error::with(
                    Kind::Config,
                    format!("AUTH0_SYNC_STATUS_LISTEN: {listen} is no address like 127.0.0.1:4011"),
                    error,
                )
            })?,
            log_interval: Duration::from_millis(file.log_interval_ms.unwrap_or(1000).max(100)),
            log_idle_interval: Duration::from_secs_f64(
                file.log_idle_interval_seconds.unwrap_or(300.0).clamp(0.1, 86_400.0),
            ),
            events: file.events.unwrap_or(true),
            backfill: file.backfill.read(&env)?,
            sweep: file.sweep.read()?,
            webhook: file.webhook.read(&env)?,
            mail: file.mail.read(&env)?,
            concurrency: file.concurrency.unwrap_or(16).clamp(1, 256),
            keep_settled: Duration::from_secs(86_400 * u64::from(file.keep_settled_days.unwrap_or(30))),
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn selected(
    objects: Vec<String>,
    columns: IndexMap<String, Vec<String>>,
    env: impl Fn(&str) -> Option<String>,
) -> Selection {
    let named = env("AUTH0_SYNC_OBJECTS");
    let objects = named.map_or(objects, |list| list.split(',').map(|name| name.trim().to_owned()).collect());
    Selection { objects, columns }
}

fn read(file: Option<&Path>) -> Result<File> {
    let path = file.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(Error::with(Kind::Config, format!("cannot read {}", path.display()), error));
        }
    };
    toml::from_str(&text).map_err(|error| Error::with(Kind::Config, path.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Destination;

    fn config(file: &str, env: &[(&str, &str)]) -> Result<Config> {
        let find = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::from_sources(toml::from_str(file).unwrap(), find)
    }

    const ENV: &[(&str, &str)] = &[
        ("DATABASE_URL", "postgres://service@localhost/db"),
        ("AUTH0_DOMAIN", "tenant.example.com"),
        ("AUTH0_CLIENT_ID", "id"),
        ("AUTH0_CLIENT_SECRET", "secret"),
    ];

    #[test]
    fn the_environment_is_enough_and_wins_over_the_file() {
        let config = config("schema = \"other\"\n[auth0]\ndomain = \"file.example.com\"", ENV).unwrap();
        assert_eq!((config.schema.as_str(), config.slot.as_str()), ("other", "auth0_sync_other"));
        assert_eq!(config.auth0.domain, "tenant.example.com");
    }

    #[test]
    fn tables_and_columns_are_named_in_the_file_or_the_environment() {
        let file = "objects = [\"*\", \"-log\"]\n[columns]\nuser = [\"email\"]";
        let selection = config(file, ENV).unwrap().selection;
        assert_eq!(selection.objects, ["*", "-log"]);
        assert_eq!(selection.columns["user"], ["email"]);
        let env: Vec<_> = ENV.iter().copied().chain([("AUTH0_SYNC_OBJECTS", "user, role")]).collect();
        assert_eq!(config(file, &env).unwrap().selection.objects, ["user", "role"]);
    }

    #[test]
    fn tables_that_stay_unfilled_are_named_in_the_file_or_the_environment_and_must_exist() {
        let file = "[backfill]\nskip = [\"user_role\"]";
        let from_file = config(file, ENV).unwrap();
        assert_eq!(from_file.backfill.skip, ["user_role"]);
        assert!(from_file.catalog().is_ok());
        let env: Vec<_> = ENV.iter().copied().chain([("AUTH0_SYNC_BACKFILL_SKIP", "role, users")]).collect();
        let wrong = config(file, &env).unwrap();
        assert_eq!(wrong.backfill.skip, ["role", "users"]);
        let error = wrong.catalog().unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("no table users"), "{error}");
    }

    #[test]
    fn an_event_stream_posts_by_itself_or_through_an_action() {
        let stream = |value: &str| {
            let file = format!("[webhook]\nurl = \"https://sync.example/in\"\n{value}");
            config(&file, ENV).map(|config| config.webhook.unwrap().event_stream)
        };
        for (value, wanted) in [
            ("", None),
            ("event_stream = false", None),
            ("event_stream = true", Some(Destination::Webhook)),
            ("event_stream = \"webhook\"", Some(Destination::Webhook)),
            ("event_stream = \"action\"", Some(Destination::Action)),
        ] {
            assert_eq!(stream(value).unwrap(), wanted, "{value}");
        }
        for wrong in ["event_stream = \"actions\"", "event_stream = 1"] {
            let error = stream(wrong).unwrap_err().to_string();
            assert!(error.contains("webhook.event_stream") && error.contains("\"action\""), "{error}");
        }
        let error = config("[webhook]\nevent_stream = \"action\"", ENV).unwrap_err().to_string();
        assert!(error.contains("webhook.url"), "{error}");
    }

    #[test]
    fn an_error_names_what_is_missing() {
        for (name, _) in ENV {
            let rest: Vec<_> = ENV.iter().copied().filter(|(n, _)| n != name).collect();
            let error = config("", &rest).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = config("schema = \"Strange Name\"", ENV).unwrap_err();
        assert!(error.to_string().contains("schema"), "{error}");
    }
}
