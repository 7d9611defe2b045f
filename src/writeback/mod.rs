//! From a committed mutation to Auth0 and back: lanes, outcomes, settling.
//!
//! Decisions ([`desk`], [`lanes`], [`call`], [`request`], [`settlement`]) are pure; [`store`],
//! [`settle`], [`worker`] and [`dispatch`] stand around them with SQL, sockets and time.

mod at_once;
mod atomic;
mod backlog;
mod blocked;
mod body;
mod bulk;
pub mod call;
mod claims;
mod command;
mod conflict;
mod desk;
#[cfg(test)]
mod desk_tests;
mod dispatch;
mod held;
pub mod lanes;
mod late;
mod links;
#[cfg(test)]
mod outage_tests;
mod parts;
mod readback;
mod recognise;
mod replace;
mod request;
mod retention;
mod room;
mod settle;
mod settle_many;
mod settlement;
mod shown;
#[cfg(test)]
mod simulation;
mod standing;
mod store;
mod strict;
mod together;
mod unseen;
mod wake;
mod worker;

pub use blocked::Blocked;
pub use dispatch::{Arrival, Dispatch, Report};
pub use replace::Parents;
pub use retention::forget_settled;
pub use room::Room;
pub use store::Store;
pub use strict::Strict;
pub use unseen::{Answered, Rows};
pub use wake::wake;
pub use worker::Context;
