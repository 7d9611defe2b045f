//! Wires the layers into one service for one or more tenants.

mod config;

pub use config::Config;
