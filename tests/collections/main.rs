//! Every collection of the Management API from end to end, through SQL against the emulator.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it, in its own functions too")]

#[path = "../support/mod.rs"]
mod support;

mod anomaly;
mod client_grants;
mod clients;
mod device_credentials;
mod grants;
mod jobs;
mod organizations;
mod resource_servers;
mod roles;
mod story;
mod tickets;
mod user_blocks;
mod users;
