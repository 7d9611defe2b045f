//! What the service can say about itself: the status page, health and metrics. It only shows what
//! its caller hands it, and never answers anything that could change a state.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::error::{Error, Kind, Result};

/// What the pages show, taken anew for each request.
pub trait Source: Send + Sync + 'static {
    /// The whole status as JSON.
    fn status(&self) -> Value;
    /// Whether the first filling is done and the stream is on.
    fn ready(&self) -> bool;
    /// Metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// `io`, naming the address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::with(Kind::Io, format!("the status page cannot listen on {address}"), error))
}

/// Serves `/status`, `/health`, `/ready` and `/metrics` until `shutdown`.
///
/// # Errors
/// `io` where the listener breaks.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let router = Router::new()
        .route("/status", get(async |State(source): State<Arc<dyn Source>>| Json(source.status())))
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(async |State(source): State<Arc<dyn Source>>| source.metrics()))
        .with_state(source);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|error| Error::with(Kind::Io, "the status page broke", error))
}

async fn ready(State(source): State<Arc<dyn Source>>) -> (StatusCode, &'static str) {
    if source.ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
