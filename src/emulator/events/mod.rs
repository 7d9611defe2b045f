//! Auth0's events: what changed in the tables that the catalogue names, as CloudEvents in the order
//! of the changes, kept for a while, served as a stream, and pushed to webhooks and Actions. Every change
//! of the store goes through [`note`], whatever made it; nothing here changes a row.

mod act;
mod attempt;
mod faults;
mod log;
mod make;
mod params;
mod push;
mod serve;
mod stream;

use std::time::Duration;

pub(super) use faults::StreamFaults;
pub(super) use log::{Kept, Log};
pub(super) use make::{Teller, note};
pub(super) use push::push;
pub(super) use serve::subscribe;

/// The path of the stream.
pub(super) const PATH: &str = "/api/v2/events";
/// The scope without which nobody gets it.
pub(super) const SCOPE: &str = "read:events";

/// How events are kept and served.
#[derive(Clone, Copy, Debug)]
pub struct EventOptions {
    /// How long events can be read.
    pub retention: Duration,
    /// After this a connection is closed, as Auth0 does every few minutes.
    pub connection: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
}

impl Default for EventOptions {
    fn default() -> Self {
        EventOptions {
            retention: Duration::from_secs(86_400),
            connection: Duration::from_secs(300),
            heartbeat: Duration::from_secs(15),
        }
    }
}
