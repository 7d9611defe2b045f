//! Every collection of the Management API from end to end, through SQL against the emulator.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it, in its own functions too")]

#[path = "../support/mod.rs"]
mod support;

mod blacklists;
mod branding;
mod custom_domains;
mod email_templates;
mod emails;
mod guardian;
mod keys;
mod log_streams;
mod logs;
mod prompts;
mod roles;
mod stats;
mod story;
mod tenants;
