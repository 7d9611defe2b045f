//! From a committed mutation to Auth0 and back: lanes, outcomes, settling.
//!
//! Decisions ([`desk`], [`lanes`], [`call`], [`request`], [`settlement`]) are pure; [`store`],
//! [`settle`], [`worker`] and [`dispatch`] stand around them with SQL, sockets and time.

mod atomic;
mod backlog;
mod body;
pub mod call;
mod command;
mod conflict;
mod desk;
mod dispatch;
mod held;
pub mod lanes;
mod late;
mod links;
mod parts;
mod readback;
mod recognise;
mod replace;
mod request;
mod retention;
mod settle;
mod settlement;
mod shown;
#[cfg(test)]
mod simulation;
mod store;
mod strict;
mod wake;
mod worker;

pub use dispatch::{Arrival, Dispatch, Report, Suspicion};
pub use replace::Parents;
pub use retention::forget_settled;
pub use store::Store;
pub use strict::Strict;
pub use wake::wake;
pub use worker::Context;
