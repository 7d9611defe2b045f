//! What reading from Auth0 needs, as the configuration wants it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Config;
use super::config::Users;
use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::ingest::{Context, Exports, Live, READS_AT_A_TIME, Wanted};
use crate::pg::Database;

/// The context of one tenant's ingest; `instance` begins the correlation ids of what it sends.
///
/// # Errors
/// `config` for a plan that is not there.
pub(super) fn reading(
    config: &Config,
    catalog: &Arc<Catalog>,
    database: Database,
    auth0: Client,
    instance: String,
) -> Result<Context> {
    let exports = match config.backfill.users {
        Users::Auto => Wanted::Auto,
        Users::Export => Wanted::Only,
        Users::Search => Wanted::Never,
    };
    Ok(Context {
        catalog: Arc::clone(catalog),
        database,
        schema: config.schema.clone(),
        auth0,
        freshness: Arc::default(),
        instance,
        refused: Arc::default(),
        activity: Arc::default(),
        progress: Arc::default(),
        skip: config.backfill.skip.as_slice().into(),
        exports: Arc::new(Exports::new(exports)),
        live: live(config),
        rates: config.rates()?.map(Arc::new),
        gate: Arc::new(Semaphore::new(READS_AT_A_TIME)),
        compare: None,
    })
}

/// Which sources the configuration switches on.
fn live(config: &Config) -> Live {
    let webhook = config.webhook.as_ref();
    Live {
        events: config.events,
        actions: webhook.is_some_and(|webhook| webhook.actions),
        event_stream: webhook.is_some_and(|webhook| webhook.event_stream.is_some()),
    }
}
