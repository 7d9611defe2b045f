//! Wires the layers into one service for one or more tenants.

mod config;
mod follow;
mod mail;
mod owner;
mod page;
mod service;
mod stream;
mod tasks;
mod tenant;

pub use config::{Backfill, Config, Mail, Sweep, Users, Webhook};
pub use mail::check_mail;
pub use service::{Ready, run};
