//! Whether something happens in the tenant: where nothing does, Auth0 is asked rarely.

use tokio::sync::watch;
use tokio::time::Instant;

/// When something last happened, told by every source and by the clients' writes.
#[derive(Debug)]
pub struct Activity(watch::Sender<Instant>);

impl Default for Activity {
    fn default() -> Self {
        Activity(watch::Sender::new(Instant::now()))
    }
}

impl Activity {
    /// Something has happened just now.
    pub fn noticed(&self) {
        self.0.send_replace(Instant::now());
    }

    /// Follows [`Activity::noticed`]; the value is when it was last called, or when the service started.
    pub fn watch(&self) -> watch::Receiver<Instant> {
        self.0.subscribe()
    }
}
