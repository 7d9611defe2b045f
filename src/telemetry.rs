//! Logs and metrics: how they are set up, and every metric's name.
//!
//! A log line is a sentence and fields; never a cell of a row, never a token.

use tracing_subscriber::{EnvFilter, fmt};

/// Sends logs to standard error; `RUST_LOG` chooses what is shown (default: `info` of this crate).
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,auth0_sync=info"));
    // A second call (tests) keeps the first subscriber.
    let _ = fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr).try_init();
}
