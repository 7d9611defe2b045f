//! Keeps an Auth0 tenant and a Postgres schema the same, in both directions, over a plain
//! Postgres connection.
//!
//! Each layer uses only what stands to its right, and `tests/structure` holds it:
//!
//! ```text
//! main → cli → { app, emulator };  app → { status, ingest, writeback } → { auth0, wal, pg } → catalog → { error, ledger, retry, telemetry }
//! ```

pub mod app;
pub mod auth0;
pub mod catalog;
pub mod cli;
pub mod emulator;
pub mod error;
pub mod ingest;
pub mod ledger;
pub mod pg;
pub mod retry;
pub mod status;
pub mod telemetry;
pub mod wal;
pub mod writeback;

pub use error::{Error, Kind, Result};
