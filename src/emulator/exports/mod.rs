//! Exports: a job makes a file of a table's rows in the background, and whoever has a link that is
//! not too old fetches it. A job's row holds all that it needs, so that it survives a restart. It
//! never holds the tenant's lock for longer than a slice of rows.

mod lines;
mod link;
mod make;
mod serve;
mod spool;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use super::options::{Gzip, Options};
use super::rules::Fields;
use super::store::Row;
use crate::error::Result;
pub(super) use make::work;
pub(super) use serve::{PATH, serve};
use spool::Spool;

/// Where a job's row keeps what was ordered; never shown.
pub(super) const ORDER: &str = "export";
/// Where it keeps what is known of the file.
const FILE: &str = "file";

/// What is the same for every export.
#[derive(Debug)]
pub(super) struct Exports {
    spool: Spool,
    gzip: Gzip,
    /// How long a link holds.
    link_lifetime: Duration,
    /// How long a job and its file are kept.
    job_lifetime: Duration,
    /// Links are signed with it.
    key: String,
    /// Rings when there is a job to do.
    pub(super) wake: Notify,
}

/// What a job was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Order {
    /// The table whose rows are exported.
    pub(super) table: String,
    /// `csv`; anything else is JSON, one row a line.
    pub(super) format: String,
    /// Fields of the rows, in order.
    pub(super) fields: Vec<Asked>,
    /// How many rows at most.
    pub(super) limit: Option<u64>,
    /// A dotted way to one of a row's values, and the text that it must be.
    pub(super) only: Option<(String, String)>,
    /// What the job fails with instead of making a file; a fault.
    pub(super) fails: Option<Value>,
    /// How long it is in the works at least, in milliseconds; a fault.
    pub(super) holds_ms: u64,
}

/// A field of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Its name or a way to it: `identities[0].connection`.
    pub(super) name: String,
    /// Its name in the file.
    pub(super) export_as: Option<String>,
}

/// A file that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    /// Its name: what was made before a restart has another one.
    tag: String,
    /// In bytes, as it is stored.
    size: u64,
    gzip: Gzip,
    csv: bool,
}

impl Exports {
    /// Exports whose links are signed with `key`.
    ///
    /// # Errors
    /// `io`: the folder for files cannot be made.
    pub(super) fn new(options: &Options, key: &str) -> Result<Exports> {
        Ok(Exports {
            spool: Spool::new(options.data.as_deref())?,
            gzip: options.export_gzip,
            link_lifetime: options.export_link,
            job_lifetime: options.export_job,
            key: key.to_owned(),
            wake: Notify::new(),
        })
    }

    /// Whether a job is older than its data is kept.
    pub(super) fn expired(&self, job: &Row, now: DateTime<Utc>) -> bool {
        self.expires(job).is_some_and(|end| end <= now)
    }

    fn expires(&self, job: &Row) -> Option<DateTime<Utc>> {
        let created: DateTime<Utc> = job.text("created_at")?.parse().ok()?;
        created.checked_add_signed(TimeDelta::from_std(self.job_lifetime).ok()?)
    }

    /// A new address of a completed job's file, below `host`.
    pub(super) fn location(
        &self,
        host: &str,
        tenant: &str,
        id: &str,
        job: &Row,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let made = made(job)?;
        let lifetime = i64::try_from(self.link_lifetime.as_millis()).ok()?;
        let link = link::sign(&self.key, id, now.timestamp_millis().saturating_add(lifetime));
        Some(format!("http://{host}{PATH}{id}/{}?{link}", made.name(tenant)))
    }
}

impl Made {
    /// The name of the file: that of the tenant.
    fn name(&self, tenant: &str) -> String {
        let gz = if self.gzip == Gzip::File { ".gz" } else { "" };
        format!("{tenant}.{}{gz}", if self.csv { "csv" } else { "json" })
    }
}

/// What a job was asked for; none where it exports nothing.
fn order(job: &Row) -> Option<Order> {
    serde_json::from_value(job.hidden.get(ORDER)?.clone()).ok()
}

fn made(job: &Row) -> Option<Made> {
    serde_json::from_value(job.hidden.get(FILE)?.clone()).ok()
}

/// The hidden part of a new job's row.
pub(super) fn ordered(order: &Order) -> Fields {
    let order = serde_json::to_value(order).unwrap_or_default();
    Fields::from_iter([(ORDER.to_owned(), order)])
}
