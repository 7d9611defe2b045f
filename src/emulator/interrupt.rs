//! Breaks the body of an answer in the middle, or brings a call late, as a bad network does.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{Response, header};
use futures_util::{TryStreamExt, stream};

use super::socket::Caller;

/// So long the bytes before a cut have to leave.
const LEAVE: Duration = Duration::from_millis(30);

struct Flow {
    body: BodyDataStream,
    held: Option<Bytes>,
    /// Bytes until it breaks; none once it has.
    left: Option<u64>,
    pause: Option<Duration>,
    caller: Caller,
}

/// Does what a call asks for when nobody waits for its answer any more.
pub(super) fn later(delay: Duration, work: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        work();
    });
}

/// Lets so many bytes of a body through; then nothing comes for a while, or the connection closes.
pub(super) fn after(
    response: Response<Body>,
    bytes: u64,
    pause: Option<Duration>,
    caller: Caller,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // Who reads it must see that something is missing.
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let flow = Flow { body: body.into_data_stream(), held: None, left: Some(bytes), pause, caller };
    Response::from_parts(parts, Body::from_stream(stream::try_unfold(flow, next)))
}

async fn next(mut flow: Flow) -> Result<Option<(Bytes, Flow)>, axum::Error> {
    if flow.left == Some(0) {
        flow.left = None;
        tokio::time::sleep(flow.pause.unwrap_or(LEAVE)).await;
        if flow.pause.is_none() {
            flow.caller.cut();
            return Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        }
    }
    let held = flow.held.take();
    let Some(mut block) = (match held {
        Some(held) => Some(held),
        None => flow.body.try_next().await?,
    }) else {
        return Ok(None);
    };
    if let Some(left) = flow.left {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        let rest = block.split_off(now);
        flow.held = Some(rest).filter(|rest| !rest.is_empty());
        flow.left = Some(left - now as u64);
    }
    Ok(Some((block, flow)))
}
