//! What came back over the wire, before anything is decided: an answer, or where it broke.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

/// An answer as it arrived.
#[derive(Clone, Debug)]
pub struct Wire {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Where a request broke. The sentence is for people; the variant decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection came about (DNS, TCP, TLS): the request certainly never left.
    Connect(String),
    /// The time was up after the request may have left.
    Timeout(String),
    /// The connection broke after the request may have left. A pooled connection that the other
    /// side had closed counts too: only a request that was never handed to it is sent anew.
    Broken(String),
    /// The answer's head came, its body did not.
    Body {
        /// HTTP status of the head.
        status: u16,
        /// What broke.
        reason: String,
    },
}

impl TransportError {
    pub(super) fn from_reqwest(error: &reqwest::Error) -> Self {
        let reason = chain(error);
        // Connecting has a time limit of its own, so `is_connect` goes first.
        if error.is_connect() || error.is_builder() {
            TransportError::Connect(reason)
        } else if error.is_timeout() {
            TransportError::Timeout(reason)
        } else {
            TransportError::Broken(reason)
        }
    }

    /// The sentence.
    pub fn reason(&self) -> &str {
        match self {
            TransportError::Connect(reason)
            | TransportError::Timeout(reason)
            | TransportError::Broken(reason)
            | TransportError::Body { reason, .. } => reason,
        }
    }
}

/// Sends one request and reads its answer to the end.
pub(super) async fn exchange(request: reqwest::RequestBuilder) -> Result<Wire, TransportError> {
    let response = request.send().await.map_err(|error| TransportError::from_reqwest(&error))?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.bytes().await;
    let body = body.map_err(|error| TransportError::Body { status, reason: chain(&error) })?;
    Ok(Wire { status, headers, body })
}

/// The error and its causes, without the URL: it may name a person.
fn chain(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_timeout() { "no answer in time".to_owned() } else { "request failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// One moment on both clocks: the monotonic one to wait by, the other to read Auth0's dates with.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub instant: Instant,
    /// UNIX time.
    pub unix: Duration,
}

impl Now {
    /// This moment.
    pub fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::now(), unix }
    }
}
