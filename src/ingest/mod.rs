//! From Auth0 to the tables: every source ends in one apply function.
//!
//! Most sources only say what to read again ([`Target`](crate::catalog::Target)); [`mod@refetch`] reads it, [`apply`] writes
//! it. Nothing here decides about a mutation: that is writeback's.

mod actions;
mod activity;
mod apply;
mod backfill;
mod bulk;
mod bulk_copy;
mod bulk_follow;
mod bulk_sql;
mod completion;
mod estimate;
mod events;
mod export;
mod export_lines;
mod export_state;
mod gap;
mod hinted;
mod hints;
mod kept;
mod listed;
mod listing;
mod log_fill;
mod logs;
mod pace;
mod part;
mod progress;
mod queue;
mod refetch;
mod refused;
mod seen;
mod sets;
mod settling;
mod sides;
mod slices;
mod sweep;
mod webhook;

use std::sync::Arc;

pub use actions::{
    Address, Destination, Removed, Site, keep as keep_reports, remove as remove_reports, renew_key,
};
pub use activity::{Activity, LogRead};
pub use backfill::{Due, backfill, backfill_entries};
pub use completion::{Completed, skip};
pub use estimate::{Estimate, Expected, Rates, estimate};
pub use events::{Events, EventsReport, EventsShown, EventsState};
pub use export::{Exports, Wanted};
pub use kept::keep_asking;
pub use logs::{Entries, Logs};
pub use pace::Pace;
pub use progress::{Filling, Method, Progress, Shown, keep_progress};
pub use queue::{Queue, QueueReport, Source};
pub use refetch::refetch;
pub use refused::Refused;
pub use settling::watch_settling;
pub use sweep::{Differences, Sweeps, Why, ask, ask_for, is_compared, sweep};
pub use webhook::{Desk, Keys, Tally, TallyReport, listen as listen_for_messages, serve as take_messages};

use tokio::sync::Semaphore;

use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::pg::Database;
use crate::pg::mirror::Freshness;

/// Lists that are read at a time while tables are filled.
pub const READS_AT_A_TIME: usize = 12;

/// Live sources that this service has besides the tenant log, which it always has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Live {
    /// Auth0's events are followed.
    pub events: bool,
    /// The service's Actions report.
    pub actions: bool,
    /// An event stream posts to the webhook, by itself or through an Action.
    pub event_stream: bool,
}

/// What every task of a tenant's ingest shares.
#[derive(Clone)]
pub struct Context {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// The service's pool.
    pub database: Database,
    /// The tenant's schema.
    pub schema: String,
    /// The tenant.
    pub auth0: Client,
    /// Which readings may be applied.
    pub freshness: Arc<Freshness>,
    /// Start of the correlation ids of our own writes.
    pub instance: String,
    /// Tables that Auth0 does not show.
    pub refused: Arc<Refused>,
    /// Whether something happens in the tenant.
    pub activity: Arc<Activity>,
    /// How far tables are filled.
    pub progress: Arc<Progress>,
    /// Tables that stay unfilled unless they are asked for: live sources alone bring their rows.
    pub skip: Arc<[String]>,
    /// How exports are used.
    pub exports: Arc<Exports>,
    /// Which sources tell of changes.
    pub live: Live,
    /// What the plan lets through; none where it is not named.
    pub rates: Option<Arc<Rates>>,
    /// Bounds how many lists are read at a time.
    pub gate: Arc<Semaphore>,
    /// While a table is compared: takes what differs instead of the table.
    pub compare: Option<Arc<Differences>>,
}
