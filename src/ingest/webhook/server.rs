//! Takes messages: reads them within limits, asks who sent them, and answers once what they name is
//! in the queue. A message that is lost with the process is found again by the tenant log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::{Bytes, BytesMut};
use chrono::Utc;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::keys::Keys;
use super::message::{Signed, is_ours};
use super::socket::Socket;
use super::targets::{reported, told};
use super::{EVENTS, REPORTS, Tally, seen};
use crate::error::{Error, Kind, Result};
use crate::ingest::{Context, Queue};

const TIME: &str = "x-auth0-sync-time";
const ID: &str = "x-auth0-sync-id";
const SIGNATURE: &str = "x-auth0-sync-signature";

/// The largest message, in bytes: an event carries a whole row.
const LARGEST: usize = 256 * 1024;
/// So much of a body that is too large is read.
const PATIENTLY_READ: usize = 4 * LARGEST;
/// Messages at a time; more are refused, and Auth0 sends those of its streams again.
const AT_A_TIME: usize = 64;
/// A message is read and noted within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest id of an event that is taken.
const LONGEST_ID: usize = 128;
/// Between two looks at the keys.
const LOOK: Duration = Duration::from_secs(5);
/// Between two times that old messages are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// What messages are judged and taken by.
pub struct Desk {
    /// The tenant.
    pub context: Context,
    /// Where what they name waits to be read.
    pub queue: Arc<Queue>,
    /// By whom they are proven.
    pub keys: Keys,
    /// What has come.
    pub tally: Arc<Tally>,
}

struct Shared {
    desk: Desk,
    places: Semaphore,
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// `io`, naming the address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::with(Kind::Io, format!("the webhook cannot listen on {address}"), error))
}

/// Takes messages until `shutdown`.
///
/// # Errors
/// `io` where the listener breaks.
pub async fn serve(
    listener: TcpListener,
    desk: Desk,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let shared = Arc::new(Shared { desk, places: Semaphore::new(AT_A_TIME) });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
    let served = axum::serve(Socket::new(listener), router).with_graceful_shutdown(shutdown);
    tokio::select! {
        served = served => served.map_err(|error| Error::with(Kind::Io, "the webhook broke", error)),
        () = keep(&shared.desk) => Ok(()),
    }
}

/// Forgets what is too old to count, and sees new keys, for ever.
async fn keep(desk: &Desk) {
    let (database, schema) = (&desk.context.database, &desk.context.schema);
    let mut forgotten = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let mut done = desk.keys.look(database, schema).await;
        if done.is_ok() && forgotten.elapsed() >= FORGET {
            forgotten = tokio::time::Instant::now();
            done = seen::forget(database).await;
        }
        if let Err(error) = done {
            tracing::warn!(%error, "the webhook's state could not be looked after");
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> StatusCode {
    let status = match shared.places.try_acquire() {
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        Ok(_place) => match tokio::time::timeout(PATIENCE, take(&shared.desk, request)).await {
            Ok(status) => status,
            Err(_) => StatusCode::REQUEST_TIMEOUT,
        },
    };
    if status.is_success() {
        shared.desk.tally.taken(Utc::now());
    } else {
        shared.desk.tally.refused();
        tracing::debug!(status = status.as_u16(), "a message to the webhook was refused");
    }
    status
}

/// The status tells what is wrong with a message, and nothing else does.
async fn take(desk: &Desk, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    // A proxy may leave the address's own path in front.
    let path = parts.uri.path().trim_end_matches('/');
    let report = path.ends_with(REPORTS);
    if !report && !path.ends_with(EVENTS) {
        return StatusCode::NOT_FOUND;
    }
    if parts.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(status) => return status,
    };
    if report {
        take_report(desk, &parts.headers, &body).await
    } else {
        take_event(desk, &parts.headers, &body).await
    }
}

/// The body, or that it is too large. What is a little too large is read to its end and dropped: else
/// its sender would see a broken connection instead of the answer.
async fn read(body: Body) -> std::result::Result<Bytes, StatusCode> {
    let (mut whole, mut length) = (BytesMut::new(), 0);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
        length += part.len();
        if length > PATIENTLY_READ {
            break;
        }
        if length <= LARGEST {
            whole.extend_from_slice(&part);
        }
    }
    if length > LARGEST { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(whole.freeze()) }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A message of an Action.
async fn take_report(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    if !is_signed(desk, headers, body) {
        return StatusCode::UNAUTHORIZED;
    }
    match seen::note(&desk.context.database, &desk.context.schema, text(headers, ID)).await {
        Ok(true) => {}
        Ok(false) => return StatusCode::CONFLICT,
        Err(error) => {
            tracing::warn!(%error, "a message could not be noted; the tenant log will tell what it says");
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    let report: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(targets) = reported(&desk.context.catalog, &report) else { return StatusCode::BAD_REQUEST };
    desk.context.activity.noticed();
    desk.queue.ask(targets);
    StatusCode::NO_CONTENT
}

/// Whether one of our Actions has signed a message, now.
fn is_signed(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> bool {
    let (time, id, signature) = (text(headers, TIME), text(headers, ID), text(headers, SIGNATURE));
    let signed = Signed { time, id, signature, body };
    signed.judge(&desk.keys.now(), Utc::now().timestamp_millis()).is_ok()
}

/// An event of our event stream, by itself or through our Action. One that has come before is taken, for
/// Auth0 must not send it again; what counts once is the event, because each attempt of the Action signs anew.
async fn take_event(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    let ours = is_ours(text(headers, header::AUTHORIZATION), &desk.keys.now());
    if !ours && !is_signed(desk, headers, body) {
        return StatusCode::UNAUTHORIZED;
    }
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = event.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
    let Some((id, targets)) = id.zip(told(&desk.context.catalog, &event)) else {
        return StatusCode::BAD_REQUEST;
    };
    match seen::note(&desk.context.database, &desk.context.schema, id).await {
        Ok(true) => {
            desk.context.activity.noticed();
            desk.queue.ask(targets);
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "an event could not be noted; Auth0 sends it again");
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    StatusCode::NO_CONTENT
}
