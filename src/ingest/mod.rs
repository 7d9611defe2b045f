//! From Auth0 to the tables: every source ends in one apply function.
//!
//! Most sources only say what to read again ([`target`]); [`mod@refetch`] reads it, [`apply`] writes
//! it. Nothing here decides about a mutation: that is writeback's.

mod actions;
mod activity;
mod apply;
mod backfill;
mod bulk;
mod hints;
mod listing;
mod logs;
mod queue;
mod refetch;
mod refused;
mod sets;
mod settling;
mod slices;
mod target;
mod webhook;

use std::sync::Arc;

pub use actions::{Address, Removed, Site, keep as keep_reports, remove as remove_reports, renew_key};
pub use activity::Activity;
pub use backfill::{Due, backfill, backfill_entries};
pub use hints::changed;
pub use logs::{Entries, Logs};
pub use queue::{Queue, QueueReport};
pub use refetch::refetch;
pub use refused::Refused;
pub use settling::watch_settling;
pub use target::Target;
pub use webhook::{Desk, Keys, Tally, TallyReport, listen as listen_for_messages, serve as take_messages};

use tokio::sync::Semaphore;

use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::pg::Database;
use crate::pg::mirror::Freshness;

/// Lists that are read at a time while tables are filled.
pub const READS_AT_A_TIME: usize = 12;

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
    /// Bounds how many lists are read at a time.
    pub gate: Arc<Semaphore>,
}
