//! SIGINT and SIGTERM ask for a clean end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Error, Kind, Result};

/// Cancels `stop` at the first SIGINT or SIGTERM; call it inside the runtime.
///
/// # Errors
/// `io` where the signals cannot be caught.
pub(super) fn on_signal(stop: CancellationToken) -> Result<()> {
    let catch = |kind| signal(kind).map_err(|error| Error::with(Kind::Io, "cannot catch signals", error));
    let (mut interrupt, mut terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
