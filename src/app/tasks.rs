//! How the service's tasks begin, repeat and end.

use tokio_util::sync::CancellationToken;

use crate::error::{Result, Retry};
use crate::retry::Delays;

/// Repeats what a passing cause has stopped; none where `shutdown` came first.
pub(super) async fn until<T, F: Future<Output = Result<T>>>(
    shutdown: &CancellationToken,
    work: impl Fn() -> F,
) -> Result<Option<T>> {
    let mut delays = Delays::default();
    loop {
        let done = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            done = work() => done,
        };
        match done {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind().policy().retry == Retry::Backoff => {
                tracing::warn!(%error, "not yet: {}", error.kind().policy().hint);
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(delays.next_delay()) => {}
        }
    }
}

pub(super) async fn until_shutdown(
    shutdown: CancellationToken,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        done = work => done,
    }
}

pub(super) async fn forever(shutdown: CancellationToken, work: impl Future<Output = ()>) -> Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
    Ok(())
}
