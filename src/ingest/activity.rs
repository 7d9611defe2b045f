//! Whether something happens in the tenant: where nothing does, Auth0 is asked rarely. And how far
//! the tenant log has been read, which tells what is still on its way.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// When something last happened, told by every source and by the clients' writes.
#[derive(Debug)]
pub struct Activity {
    last: watch::Sender<Instant>,
    log: watch::Sender<Option<LogRead>>,
    look: Notify,
}

/// A reading of the tenant log that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// When the reading of the last page began: what happened before it has been seen.
    pub began: Instant,
    /// The last entry; empty where there is none.
    pub position: String,
}

impl Default for Activity {
    fn default() -> Self {
        Activity {
            last: watch::Sender::new(Instant::now()),
            log: watch::Sender::new(None),
            look: Notify::new(),
        }
    }
}

impl Activity {
    /// Something has happened just now.
    pub fn noticed(&self) {
        self.last.send_replace(Instant::now());
    }

    /// Follows [`Activity::noticed`]; the value is when it was last called, or when the service started.
    pub fn watch(&self) -> watch::Receiver<Instant> {
        self.last.subscribe()
    }

    /// When something last happened.
    pub fn last(&self) -> Instant {
        *self.last.borrow()
    }

    /// How long it has been quiet.
    pub fn quiet(&self) -> Duration {
        self.last().elapsed()
    }

    /// The tenant log has been read to its end.
    pub(super) fn log_read(&self, read: LogRead) {
        self.log.send_replace(Some(read));
    }

    /// The last reading of the tenant log that came to its end.
    pub fn log(&self) -> Option<LogRead> {
        self.log.borrow().clone()
    }

    /// Has the tenant log read soon, though nothing has happened.
    pub(super) fn ask_log(&self) {
        self.look.notify_one();
    }

    /// Resolves when [`Activity::ask_log`] has been called.
    pub(super) async fn log_asked(&self) {
        self.look.notified().await;
    }
}
