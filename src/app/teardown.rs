//! Takes back what the service has made at Auth0 for itself, and renews the webhook's key. It never
//! touches the schema, its rows, or what others have made at Auth0.

use std::sync::Arc;

use super::Config;
use super::owner::Owner;
use super::tenant::tenant;
use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::ingest::{self, Removed, Site};
use crate::pg::connect;

/// Removes the service's Actions and its event stream, and forgets the webhook's keys.
///
/// # Errors
/// `setup_check` while a service serves the schema: it would make them again. Those of Auth0 and of the
/// database; another run goes on where this one ended.
pub async fn teardown(config: &Config) -> Result<Removed> {
    let Some(_owner) = Owner::try_acquire(config).await? else {
        let what = format!("a service serves schema {}; stop it first", config.schema);
        return Err(Error::new(Kind::SetupCheck, what));
    };
    let site = site(config).await?;
    Box::pin(ingest::remove_reports(&site, &Catalog::load()?)).await
}

/// Makes a new key for the webhook. A running service gives it to Auth0 within seconds; the one
/// before counts for another hour.
///
/// # Errors
/// Those of the database.
pub async fn rotate(config: &Config) -> Result<()> {
    ingest::renew_key(&site(config).await?).await
}

async fn site(config: &Config) -> Result<Site> {
    let catalog = Arc::new(config.catalog()?);
    let database = connect(&config.database_url, 2).await?;
    let instance = tenant(&database, config, &catalog).await?;
    let auth0 = Client::new(&config.auth0)?;
    Ok(Site { catalog, database, schema: config.schema.clone(), auth0, instance })
}
