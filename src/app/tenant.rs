//! Whether the schema is this tenant's, and made for what this service mirrors.

use std::time::Duration;

use super::Config;
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::pg::{Database, digest_of, fault};

/// How often the service looks whether it still mirrors what setup has made.
const SELECTION_LOOK: Duration = Duration::from_secs(1);

/// Checks that setup has made the schema for this tenant and this selection; returns the instance's name.
pub(super) async fn tenant(database: &Database, config: &Config, catalog: &Catalog) -> Result<String> {
    let not_set_up =
        |what: String| Error::new(Kind::SetupCheck, format!("{what}; run `auth0-sync setup` first"));
    let found: Option<(String, String, Option<String>)> =
        match sqlx::query_as("select domain, instance, selection from _auth0_sync.tenant where schema = $1")
            .bind(&config.schema)
            .fetch_optional(&database.pool)
            .await
        {
            // undefined_table, invalid_schema_name, undefined_column
            Err(error)
                if matches!(crate::pg::sqlstate(&error).as_deref(), Some("42P01" | "3F000" | "42703")) =>
            {
                return Err(not_set_up("schema _auth0_sync is not there, or older than this program".into()));
            }
            found => found.map_err(fault("cannot read the tenant"))?,
        };
    let Some((domain, instance, selection)) = found else {
        return Err(not_set_up(format!("schema {} is not set up", config.schema)));
    };
    if domain != config.auth0.domain {
        let what = format!("schema {} mirrors {domain}, not {}", config.schema, config.auth0.domain);
        return Err(Error::new(Kind::SetupConflict, what));
    }
    if selection != Some(digest_of(catalog)) {
        let what = format!("schema {} has other tables or columns than are selected", config.schema);
        return Err(not_set_up(what));
    }
    // Triggers keep clients from what the service itself stands on.
    sqlx::query(
        "update _auth0_sync.tenant set client_id = $2 where schema = $1 and client_id is distinct from $2",
    )
    .bind(&config.schema)
    .bind(&config.auth0.client_id)
    .execute(&database.pool)
    .await
    .map_err(fault("cannot note which client is the service's own"))?;
    Ok(instance)
}

/// The scopes that the application was granted, or why it was not. Where this tenant has been served before, a
/// credential that is refused has been taken away, and is worth waiting for; at the first start somebody is there to
/// correct it.
///
/// # Errors
/// Of Auth0 and of the database.
pub(super) async fn granted(
    scopes: Result<Vec<String>>,
    database: &Database,
    schema: &str,
) -> Result<Vec<String>> {
    let error = match scopes {
        Err(error) if error.kind() == Kind::Auth0Credentials => error,
        other => return other,
    };
    let served: bool =
        sqlx::query_scalar("select filled_at is not null from _auth0_sync.tenant where schema = $1")
            .bind(schema)
            .fetch_one(&database.pool)
            .await
            .map_err(fault("cannot look whether the tenant was served before"))?;
    if !served {
        return Err(error);
    }
    Err(Error::with(Kind::Auth0Token, "Auth0 does not accept the service's credentials any more", error))
}

/// Ends with an error once setup has made other tables or columns than this service was told of: it
/// would fill what nobody keeps up to date.
pub(super) async fn selection_kept(database: Database, schema: String, made: String) -> Result<()> {
    loop {
        tokio::time::sleep(SELECTION_LOOK).await;
        // Whoever cannot read it now reads it later.
        let now: std::result::Result<Option<String>, _> =
            sqlx::query_scalar("select selection from _auth0_sync.tenant where schema = $1")
                .bind(&schema)
                .fetch_one(&database.pool)
                .await;
        if now.is_ok_and(|now| now.as_ref() != Some(&made)) {
            let what = format!("setup has changed what schema {schema} mirrors; start the service again");
            return Err(Error::new(Kind::SetupCheck, what));
        }
    }
}
