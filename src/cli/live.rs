//! What a running service says of itself on its status page.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Kind, Result};

const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of `/status`, as far as the command line shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) schema: String,
    pub(super) domain: String,
    pub(super) ready: bool,
    pub(super) streaming: bool,
    pub(super) writeback: Writeback,
    /// As it is told: the listing alone looks into it.
    #[serde(default)]
    pub(super) budget: Value,
    #[serde(default)]
    pub(super) events: Value,
    #[serde(default)]
    pub(super) webhook: Value,
}

/// What goes out to Auth0.
#[derive(Debug, Deserialize)]
pub(super) struct Writeback {
    pub(super) held: u64,
    pub(super) in_flight: u64,
    /// The kind of the error that holds up all writes.
    pub(super) waiting_for: Option<String>,
    pub(super) hint: Option<String>,
    /// As it is told: the listing alone looks into it.
    #[serde(default)]
    pub(super) writes: Value,
}

/// Asks the service that listens here.
///
/// # Errors
/// `io` where nothing answers, or something else than the service does.
pub(super) async fn ask(listen: SocketAddr) -> Result<Status> {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let silent = |error: reqwest::Error| {
        let what = format!("no service answers at {address}");
        if error.is_connect() { Error::new(Kind::Io, what) } else { Error::with(Kind::Io, what, error) }
    };
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(silent)?;
    let answer = client.get(format!("http://{address}/status")).send().await.map_err(silent)?;
    answer.error_for_status().map_err(silent)?.json().await.map_err(|error| {
        Error::with(Kind::Io, format!("what answers at {address} is not the service"), error)
    })
}
