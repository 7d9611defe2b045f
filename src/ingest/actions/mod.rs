//! What the service makes at Auth0 so that it reports by itself: an Action for each trigger that tells
//! of users, built, deployed and bound behind everyone else's, and an event stream, which posts by itself
//! or through an Action of its own. It keeps them as
//! they should be and removes them again; what others have made there stays as it is, in content and
//! order. Failing here never stops the service: the tenant log tells the same, later.

mod bindings;
mod calls;
mod code;
mod feed;
mod own;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use calls::Calls;
use wanted::{TRIGGERS, Wanted};

pub use wanted::{Address, Destination};

use super::webhook::{self, Keys, Tally};
use super::{Context, Queue};
use crate::auth0::Client;
use crate::catalog::Catalog;
use crate::error::{Error, Result, Retry};
use crate::pg::Database;
use crate::retry::Delays;

/// Between two looks whether everything is still there. Rare, because each costs calls.
const LOOK: Duration = Duration::from_secs(6 * 3600);
/// After a refusal that only somebody's help ends.
const LATER: Duration = Duration::from_secs(600);
/// Between two looks at the keys that the webhook has read, which another process may have renewed.
const LOOK_AT_KEYS: Duration = Duration::from_secs(1);

/// The tenant and the schema in which what the service has made is remembered.
#[derive(Clone)]
pub struct Site {
    /// The catalogue of what is mirrored.
    pub catalog: Arc<Catalog>,
    /// The service's pool.
    pub database: Database,
    /// The tenant's schema.
    pub schema: String,
    /// The tenant.
    pub auth0: Client,
    /// Start of the correlation ids of our own writes.
    pub instance: String,
}

impl From<&Context> for Site {
    fn from(context: &Context) -> Site {
        Site {
            catalog: Arc::clone(&context.catalog),
            database: context.database.clone(),
            schema: context.schema.clone(),
            auth0: context.auth0.clone(),
            instance: context.instance.clone(),
        }
    }
}

/// Keeps what is wanted at Auth0 as it should be, for ever; `address` is where Auth0 reaches the
/// webhook, none where it does not: what an earlier start has made is removed then.
pub async fn keep(
    (context, queue): (&Context, &Queue),
    whole: &Catalog,
    address: Option<&Address>,
    keys: &Keys,
    tally: &Tally,
) {
    let (site, mut delays) = (Site::from(context), Delays::default());
    loop {
        let newest = keys.now().into_iter().next();
        let wanted = address.zip(newest.as_ref()).map(|(address, key)| Wanted::new(address, key));
        let pause = match Box::pin(reconcile(&site, queue, whole, wanted.as_ref())).await {
            Ok(()) => {
                tally.deployed(address.map(|_| Ok(())));
                delays = Delays::default();
                LOOK
            }
            Err(error) => {
                let hint = error.kind().policy().hint;
                tally.deployed(Some(Err(error.to_string())));
                match error.kind().policy().retry {
                    Retry::Backoff => {
                        tracing::warn!(%error, "what reports from Auth0 is not in place yet");
                        delays.next_delay()
                    }
                    Retry::Never => {
                        tracing::error!(%error, "what reports from Auth0 is not in place; the tenant log does its work: {hint}");
                        LATER
                    }
                }
            }
        };
        if address.is_none() && pause == LOOK {
            return std::future::pending().await;
        }
        let until = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < until && keys.now().into_iter().next() == newest {
            tokio::time::sleep_until((tokio::time::Instant::now() + LOOK_AT_KEYS).min(until)).await;
        }
    }
}

/// Makes, changes and removes until Auth0 has what is wanted. Every part is tried; the first failure
/// is told.
async fn reconcile(site: &Site, queue: &Queue, whole: &Catalog, wanted: Option<&Wanted>) -> Result<()> {
    let calls = Calls::new(site, whole, queue)?;
    let known = own::read(&site.database, &site.schema).await?;
    let mut first: Option<Error> = None;
    let mut note = |outcome: Result<()>| {
        if let Err(error) = outcome {
            first.get_or_insert(error);
        }
    };
    for trigger in TRIGGERS {
        let own = own::of(&known, trigger.part);
        match wanted.filter(|wanted| wanted.actions) {
            Some(wanted) => note(code::ensure(&calls, trigger, own, wanted).await.map(drop)),
            None if own.is_some() => note(code::remove(&calls, trigger, own).await),
            None => {}
        }
    }
    match wanted.and_then(|wanted| Some((wanted, wanted.event_stream?))) {
        Some((wanted, destination)) => note(feed::ensure(&calls, &known, wanted, destination).await),
        None if feed::is_known(&known) => note(feed::remove(&calls, &known).await),
        None => {}
    }
    first.map_or(Ok(()), Err)
}

/// Removes everything that this service has made at Auth0 so that it reports, and forgets the keys.
///
/// # Errors
/// Of Auth0 and of the database; a second try goes on where this one ended.
pub async fn remove(site: &Site, whole: &Catalog) -> Result<Removed> {
    // Nobody reads it: the next start of the service fills the tables.
    let queue = Queue::default();
    let calls = Calls::new(site, whole, &queue)?;
    let known = own::read(&site.database, &site.schema).await?;
    for trigger in TRIGGERS {
        code::remove(&calls, trigger, own::of(&known, trigger.part)).await?;
    }
    feed::remove(&calls, &known).await?;
    webhook::forget(&site.database, &site.schema).await?;
    Ok(calls.removed())
}

/// Makes a new key, which the running service gives to Auth0.
///
/// # Errors
/// Of the database.
pub async fn renew_key(site: &Site) -> Result<()> {
    webhook::renew(&site.database, &site.schema).await
}

/// What was removed at Auth0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names of Actions.
    pub actions: Vec<String>,
    /// Names of event streams.
    pub event_streams: Vec<String>,
}
