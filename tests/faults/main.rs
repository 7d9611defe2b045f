//! What goes wrong between a client's commit and Auth0, and what must come of it all the same:
//! nothing lost, nothing done twice, nothing reverted that Auth0 did not refuse.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod holds;
mod lost;
mod many;
mod outages;
mod overlap;
mod reading;
mod states;
#[path = "../support/mod.rs"]
mod support;
