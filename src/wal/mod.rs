//! The replication stream of `_sync_cdc` inserts; the only place that knows pg_walstream.
//!
//! The table is the truth, the slot is the bell: what comes from here says *which* mutations to
//! read, and a position is acknowledged as soon as it has been received. Losing the slot loses
//! nothing, as long as the owner then reads the unsettled rows from the table. The rows of small
//! transactions come along for the one case in which the table cannot show them yet: a commit that
//! waits for us.
//!
//! It never reconnects by itself: [`Stream::next`] fails, and the owner starts a new stream after
//! a delay ([`crate::retry`]), with a new slot where the kind says `slot_lost`.

mod assembler;
mod event;
mod fault;
mod frame;
mod lsn;
mod pump;
mod slot;
mod stream;

use std::time::Duration;

use secrecy::SecretString;

pub use event::{Bulk, CdcInsert, Event, Inserts, MAX_BYTES, MAX_IDS, MAX_ROWS, Tuple};
pub use lsn::Lsn;
pub use slot::{SlotState, drop_slot, ensure_slot, renew_slot};
pub use stream::{Applied, Stream};

/// Where the stream comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A TCP connection string (`postgres://…`) of a role with REPLICATION.
    pub database_url: SecretString,
    /// The slot's name.
    pub slot: String,
    /// The publication's name; it must exist before the slot is made.
    pub publication: String,
    /// How often the server is asked where it stands. The answer moves the slot while nobody
    /// writes to the publication, and shows that the connection is alive.
    pub heartbeat: Duration,
}

impl Settings {
    /// Slot and publication `auth0_sync`, a heartbeat every 10 s.
    pub fn new(database_url: impl Into<SecretString>) -> Self {
        Settings {
            database_url: database_url.into(),
            slot: "auth0_sync".to_owned(),
            publication: "auth0_sync".to_owned(),
            heartbeat: Duration::from_secs(10),
        }
    }
}
