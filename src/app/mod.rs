//! Wires the layers into one service for one or more tenants.

mod budget;
mod calls;
mod config;
mod estimate;
mod follow;
mod mail;
mod owner;
mod page;
mod pause;
mod reading;
mod service;
mod stream;
mod tasks;
mod teardown;
mod tenant;
mod webhook;
mod writes;

pub use config::{Backfill, Config, Mail, Sweep, Users, Webhook};
pub use estimate::estimate;
pub use mail::check_mail;
pub use pause::{pause, resume};
pub use service::{Ready, run};
pub use teardown::{rotate, teardown};
