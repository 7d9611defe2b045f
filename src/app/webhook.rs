//! The webhook of a running service: its port, and what the service keeps at Auth0 so that it posts there.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Config;
use super::config::Webhook;
use super::tasks::{forever, until};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::ingest::{self, Address, Context, Desk, Keys, Queue, Tally};

/// What the webhook needs of the service.
pub(super) struct Parts {
    pub(super) context: Context,
    pub(super) queue: Arc<Queue>,
    /// The catalogue with what is not mirrored too.
    pub(super) whole: Arc<Catalog>,
    pub(super) tally: Arc<Tally>,
}

/// Opens the port; none where no webhook is configured.
///
/// # Errors
/// `io`, naming the address.
pub(super) async fn listen(config: &Config) -> Result<Option<std::net::TcpListener>> {
    let Some(webhook) = &config.webhook else { return Ok(None) };
    let listener = ingest::listen_for_messages(webhook.listen).await?;
    let broken = |error| Error::with(Kind::Io, "the webhook cannot listen", error);
    listener.into_std().map(Some).map_err(broken)
}

/// Takes messages and keeps what sends them, until `shutdown`. Without a webhook what an earlier start
/// has made at Auth0 is removed.
pub(super) async fn serve(
    parts: Parts,
    webhook: Option<Webhook>,
    listener: Option<std::net::TcpListener>,
    shutdown: CancellationToken,
) -> Result<()> {
    let Parts { context, queue, whole, tally } = parts;
    let address =
        webhook.map(|own| Address { url: own.url, actions: own.actions, event_stream: own.event_stream });
    let Some(listener) = listener else {
        let (keys, queue) = (Keys::default(), &queue);
        let none = ingest::keep_reports((&context, queue), &whole, None, &keys, &tally);
        return forever(shutdown.clone(), none).await;
    };
    let broken = |error| Error::with(Kind::Io, "the webhook cannot listen", error);
    let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
    let open = || Keys::open(&context.database, &context.schema);
    let Some(keys) = until(&shutdown, open).await? else { return Ok(()) };
    let desk = Desk {
        context: context.clone(),
        queue: Arc::clone(&queue),
        keys: keys.clone(),
        tally: Arc::clone(&tally),
    };
    let stop = shutdown.clone();
    let served = ingest::take_messages(listener, desk, async move { stop.cancelled().await });
    let kept = ingest::keep_reports((&context, &queue), &whole, address.as_ref(), &keys, &tally);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        served = served => served,
        () = kept => Ok(()),
    }
}
