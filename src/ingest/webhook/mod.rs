//! The one port that Auth0 reaches: messages of the service's own Actions and of its event stream.
//! A message only says what to read again; it never carries a row, and never changes one. Nothing is
//! told to those who cannot prove who they are.

mod keys;
mod message;
mod seen;
mod server;
mod socket;
mod tally;
mod targets;

pub use keys::Keys;
pub(super) use keys::{Key, forget, renew};
pub use server::{Desk, listen, serve};
pub use tally::{Tally, TallyReport};

/// Where Actions post to, below the address of the webhook.
pub(super) const REPORTS: &str = "/reports";
/// Where the event stream posts to.
pub(super) const EVENTS: &str = "/events";
