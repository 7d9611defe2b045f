//! Logs and metrics: how they are set up, and every metric's name.
//!
//! A log line is a sentence and fields; never a cell of a row, never a token.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// Sends logs to standard error; `RUST_LOG` chooses what is shown (default: `info` of this crate).
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,auth0_sync=info"));
    // A second call (tests) keeps the first subscriber.
    let colours = std::io::stderr().is_terminal();
    let logs = fmt().with_env_filter(filter).with_target(false).with_ansi(colours);
    let _ = logs.with_writer(std::io::stderr).try_init();
}

/// Names of metrics; each carries the label `schema`.
pub mod metric {
    /// Gauge: mutations held in lanes.
    pub const HELD: &str = "auth0_sync_mutations_held";
    /// Gauge: calls to Auth0 for mutations under way.
    pub const IN_FLIGHT: &str = "auth0_sync_calls_in_flight";
    /// Counter: mutations settled since the start.
    pub const SETTLED: &str = "auth0_sync_mutations_settled_total";
    /// Gauge: changes of strict statements whose transaction has not ended, or is not taken back yet.
    pub const STRICT_OPEN: &str = "auth0_sync_strict_changes_open";
    /// Gauge: rows waiting to be read again.
    pub const REFETCH_OPEN: &str = "auth0_sync_refetch_open";
    /// Counter: rows read again since the start.
    pub const REFETCHED: &str = "auth0_sync_refetched_total";
    /// Gauge: 1 while Auth0's events come.
    pub const EVENTS_CONNECTED: &str = "auth0_sync_events_connected";
    /// Counter: events received since the start.
    pub const EVENTS: &str = "auth0_sync_events_total";
    /// Counter: rows that only a comparison has brought up to date, by `table` and `source`.
    pub const DRIFT: &str = "auth0_sync_drift_total";
    /// Gauge: 1 while the replication stream is on.
    pub const STREAMING: &str = "auth0_sync_streaming";
    /// Counter, by `lane`: calls to the Management API since the start.
    pub const CALLS: &str = "auth0_sync_calls_total";
    /// Counter, by `lane`: calls that Auth0 answered 429.
    pub const THROTTLED: &str = "auth0_sync_calls_throttled_total";
    /// Gauge, by `lane`: calls that wait for the limits.
    pub const BUDGET_WAITING: &str = "auth0_sync_budget_waiting";
    /// Gauge, by `bucket`: calls that could leave at once.
    pub const BUDGET_AVAILABLE: &str = "auth0_sync_budget_available";
}
