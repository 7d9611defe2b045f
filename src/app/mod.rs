//! Wires the layers into one service for one or more tenants.

mod calls;
mod config;
mod follow;
mod owner;
mod page;
mod service;
mod stream;
mod tasks;
mod teardown;
mod tenant;
mod webhook;

pub use config::{Backfill, Config, Sweep, Users, Webhook};
pub use service::{Ready, run};
pub use teardown::{rotate, teardown};
