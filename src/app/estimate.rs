//! What filling tables takes, without a service: from the few numbers that Auth0 tells, and the
//! mirror. It writes nothing.

use std::sync::Arc;

use super::Config;
use super::reading::reading;
use super::tenant::tenant;
use crate::auth0::Client;
use crate::error::Result;
use crate::ingest::{self, Estimate};
use crate::pg::connect;

/// Connections: an estimate asks one thing after the other.
const CONNECTIONS: u32 = 2;

/// Estimates what filling `tables` takes.
///
/// # Errors
/// `setup_check` where the schema is not set up; what Postgres and Auth0 refuse.
pub async fn estimate(config: &Config, tables: &[String]) -> Result<Estimate> {
    let catalog = Arc::new(config.catalog()?);
    let database = connect(&config.database_url, CONNECTIONS).await?;
    let instance = tenant(&database, config, &catalog).await?;
    let auth0 = Client::new(&config.auth0)?;
    // Wrong credentials are told, and not taken for numbers that Auth0 does not show.
    auth0.scopes().await?;
    let context = reading(config, &catalog, database, auth0, instance)?;
    let tables: Vec<_> = tables.iter().filter_map(|table| catalog.get(table)).collect();
    ingest::estimate(&context, &tables).await
}
