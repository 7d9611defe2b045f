//! The parts of the configuration that have a table of their own in `auth0-sync.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::ingest::Destination;

/// How tables are filled.
#[derive(Clone, Debug)]
pub struct Backfill {
    /// How users are read.
    pub users: Users,
    /// Tables that are not filled at the start: they show what live sources bring.
    pub skip: Vec<String>,
}

/// How a table is read of which Auth0 offers an export.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Users {
    /// By export; by search where exports are refused.
    #[default]
    Auto,
    /// By export alone.
    Export,
    /// By search in ranges that each end by themselves.
    Search,
}

/// How often everything is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// From the end of a comparison to the start of the next; none compares only when asked.
    pub every: Option<Duration>,
    /// How long live sources may take to tell of a change before it counts as missed.
    pub grace: Duration,
}

/// Where Auth0 reports by itself.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where this service listens for it.
    pub listen: SocketAddr,
    /// The address under which Auth0 reaches that, without a slash at the end.
    pub url: Url,
    /// Whether the service makes Actions that report logins, sign-ups and password changes.
    pub actions: bool,
    /// What the service's event stream hands its events to; none makes no stream.
    pub event_stream: Option<Destination>,
}

/// Who is told when tables are filled.
#[derive(Clone, Debug)]
pub struct Mail {
    /// `smtp://user:password@host:port`, `smtps://…`; `?tls=required` asks for STARTTLS.
    pub server: SecretString,
    /// A file with certificates (PEM) that are trusted besides the machine's own: of the server
    /// itself, or of who signed it.
    pub ca: Option<PathBuf>,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackfillFile {
    users: Option<Users>,
    #[serde(default)]
    skip: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SweepFile {
    every_hours: Option<f64>,
    grace_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFile {
    listen: Option<String>,
    url: Option<String>,
    actions: Option<bool>,
    event_stream: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailFile {
    server: Option<SecretString>,
    ca: Option<PathBuf>,
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
}

const WEBHOOK_LISTEN: &str = "127.0.0.1:4012";
/// A day: what live sources miss is found the next day at the latest.
const SWEEP_HOURS: f64 = 24.0;
/// Auth0 does not say how late its log is; a minute is far more than has been seen.
const GRACE_SECONDS: f64 = 60.0;

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::Config, what)
}

impl BackfillFile {
    pub(super) fn read(self, env: Env) -> Result<Backfill> {
        let skip = env("AUTH0_SYNC_BACKFILL_SKIP")
            .map_or(self.skip, |list| list.split(',').map(|table| table.trim().to_owned()).collect());
        let users = match env("AUTH0_SYNC_BACKFILL_USERS").as_deref() {
            None => self.users,
            Some("auto") => Some(Users::Auto),
            Some("export") => Some(Users::Export),
            Some("search") => Some(Users::Search),
            Some(other) => {
                let what = format!(
                    "backfill.users (AUTH0_SYNC_BACKFILL_USERS): {other} is none of auto, export, search"
                );
                return Err(wrong(what));
            }
        };
        Ok(Backfill { users: users.unwrap_or_default(), skip })
    }
}

impl SweepFile {
    pub(super) fn read(self) -> Result<Sweep> {
        let hours = self.every_hours.unwrap_or(SWEEP_HOURS);
        if !(0.0..=8_760.0).contains(&hours) {
            return Err(wrong("sweep.every_hours must be between 0 (never) and 8760"));
        }
        let grace = self.grace_seconds.unwrap_or(GRACE_SECONDS);
        if !(0.0..=3_600.0).contains(&grace) {
            return Err(wrong("sweep.grace_seconds must be between 0 and 3600"));
        }
        Ok(Sweep {
            every: (hours > 0.0).then(|| Duration::from_secs_f64(hours * 3600.0)),
            grace: Duration::from_secs_f64(grace),
        })
    }
}

impl WebhookFile {
    pub(super) fn read(self, env: Env) -> Result<Option<Webhook>> {
        let event_stream = self.event_stream.as_ref().map(destination).transpose()?.flatten();
        let Some(url) = env("AUTH0_SYNC_WEBHOOK_URL").or(self.url) else {
            if self.actions == Some(true) || event_stream.is_some() {
                return Err(wrong(
                    "webhook.url (AUTH0_SYNC_WEBHOOK_URL) is missing: Actions and event streams post to it",
                ));
            }
            return Ok(None);
        };
        let parsed = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed =
            parsed.ok_or_else(|| wrong(format!("webhook.url: {url} is not an http or https URL")))?;
        let listen = env("AUTH0_SYNC_WEBHOOK_LISTEN").or(self.listen);
        let listen = listen.unwrap_or_else(|| WEBHOOK_LISTEN.to_owned());
        Ok(Some(Webhook {
            listen: listen.parse().map_err(|error| {
                let what = format!("webhook.listen: {listen} is no address like {WEBHOOK_LISTEN}");
                Error::with(Kind::Config, what, error)
            })?,
            url: parsed,
            actions: self.actions.unwrap_or(true),
            event_stream,
        }))
    }
}

/// What `webhook.event_stream` says.
fn destination(value: &toml::Value) -> Result<Option<Destination>> {
    if let Some(on) = value.as_bool() {
        return Ok(on.then_some(Destination::Webhook));
    }
    value.clone().try_into().map(Some).map_err(|_| {
        wrong(format!("webhook.event_stream: {value} is none of true, false, \"webhook\", \"action\""))
    })
}

impl MailFile {
    pub(super) fn read(self, env: Env) -> Result<Option<Mail>> {
        let Some(server) = env("AUTH0_SYNC_SMTP_URL").map(SecretString::from).or(self.server) else {
            return match self.from.is_some() || !self.to.is_empty() {
                true => Err(wrong("mail.server (AUTH0_SYNC_SMTP_URL) is missing")),
                false => Ok(None),
            };
        };
        let from = env("AUTH0_SYNC_MAIL_FROM").or(self.from).ok_or_else(|| wrong("mail.from is missing"))?;
        let to = env("AUTH0_SYNC_MAIL_TO")
            .map(|list| list.split(',').map(|address| address.trim().to_owned()).collect());
        let to: Vec<String> = to.unwrap_or(self.to);
        if to.is_empty() {
            return Err(wrong("mail.to is missing: a list of addresses"));
        }
        let ca = env("AUTH0_SYNC_MAIL_CA").map(PathBuf::from).or(self.ca);
        Ok(Some(Mail { server, ca, from, to }))
    }
}
