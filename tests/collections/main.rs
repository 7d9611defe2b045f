//! Every collection of the Management API from end to end, through SQL against the emulator.

#![allow(unreachable_pub, dead_code, reason = "the support of tests is shared")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it, in its own functions too")]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod anomaly;
mod attack_protection;
mod blacklists;
mod branding;
mod client_grants;
mod clients;
mod connection_profiles;
mod connections;
mod custom_domains;
mod device_credentials;
mod email_templates;
mod emails;
mod ended;
mod event_streams;
mod flows_and_forms;
mod grants;
mod guardian;
mod jobs;
mod keys;
mod log_streams;
mod logs;
mod network_acls;
mod organizations;
mod prompts;
mod resource_servers;
mod risk_assessments;
mod roles;
mod secrets;
mod self_service_profiles;
mod stats;
mod story;
mod tenants;
mod tickets;
mod token_exchange_profiles;
mod user_blocks;
mod users;
