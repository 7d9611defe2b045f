//! Wires the layers into one service for one or more tenants.

mod config;
mod owner;
mod page;
mod service;
mod stream;

pub use config::Config;
pub use service::{Ready, run};
