//! From a committed mutation to Auth0 and back: lanes, outcomes, settling.
//!
//! Decisions ([`lanes`], [`call`], [`request`]) are pure; [`store`], [`settle`],
//! [`worker`] and [`dispatch`] stand around them with SQL, sockets and time.

mod backlog;
mod blocked;
mod body;
pub mod call;
mod claims;
mod command;
mod dispatch;
pub mod lanes;
mod links;
mod parts;
mod readback;
mod recognise;
mod replace;
mod request;
mod retention;
mod room;
mod settle;
mod settle_many;
mod shown;
mod store;
mod strict;
mod together;
mod worker;

pub use blocked::Blocked;
pub use dispatch::{Arrival, Dispatch, Report, Suspicion};
pub use replace::Parents;
pub use retention::forget_settled;
pub use room::Room;
pub use store::Store;
pub use strict::Strict;
pub use worker::Context;
