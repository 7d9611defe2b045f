//! The stream of Auth0's events: one answer that does not end. It tells messages apart and says when
//! nothing comes any more; what they mean is not decided here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{Stream, StreamExt, unfold};
use reqwest::header::DATE;
use serde::Deserialize;
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};

use super::budget::Lane;
use super::client::Client;
use super::outcome::Failure;
use super::request::Request;
use crate::error::{Error, Kind, Result};

/// Path of the stream.
const PATH: &str = "/events";
/// The scope without which it is refused.
pub const EVENTS_SCOPE: &str = "read:events";
/// Bytes that may come without making a message.
const LARGEST: usize = 4 << 20;

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind this offset.
    Offset(String),
    /// With the first event at or after this time of Auth0's.
    Time(DateTime<Utc>),
    /// With what happens from now on.
    Now,
}

/// One message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Something has happened.
    Event {
        /// The position behind it.
        offset: String,
        /// The CloudEvent.
        event: Value,
    },
    /// Nothing happened up to this position.
    Offset(String),
    /// The stream ends here.
    Failed {
        /// Auth0's code.
        code: String,
        /// Auth0's words.
        message: String,
        /// The position, where it is told.
        offset: Option<String>,
    },
    /// Something without a meaning of its own.
    Other,
}

type Messages = Pin<Box<dyn Stream<Item = std::result::Result<Sse, sse_stream::Error>> + Send>>;

/// A stream that is on.
pub struct EventStream {
    messages: Messages,
    /// Bytes since the last message.
    pending: Arc<AtomicUsize>,
    /// When it began, by Auth0's clock.
    pub began: Option<DateTime<Utc>>,
}

impl Client {
    /// Subscribes to the types (all, where none is named). The stream breaks where nothing comes for
    /// so long as `silence`, heartbeats included.
    ///
    /// # Errors
    /// What Auth0 answered instead.
    pub async fn events(
        &self,
        start: &Start,
        types: &[&str],
        silence: Duration,
    ) -> Result<EventStream, Failure> {
        let mut request = Request::get(PATH, Lane::Refetch);
        request = match start {
            Start::Offset(offset) => request.query("from", offset),
            // At most 20 characters: no fractions. Earlier, so that nothing is passed over.
            Start::Time(time) => {
                request.query("from_timestamp", time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            }
            Start::Now => request,
        };
        let request = types.iter().fold(request, |request, name| request.query("event_type", *name));
        let response = self.open(&request).await?;
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        let began = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(|date| date.to_utc());
        let pending = Arc::<AtomicUsize>::default();
        let bytes = unfold((response, Arc::clone(&pending)), move |(mut response, pending)| async move {
            let chunk: std::io::Result<Bytes> = match tokio::time::timeout(silence, response.chunk()).await {
                Err(_) => Err(std::io::Error::other("nothing came for too long")),
                Ok(Err(error)) => Err(std::io::Error::other(error.without_url())),
                Ok(Ok(None)) => return None,
                Ok(Ok(Some(chunk))) => match pending.fetch_add(chunk.len(), Ordering::Relaxed) {
                    before if before > LARGEST => Err(std::io::Error::other("a message is too large")),
                    _ => Ok(chunk),
                },
            };
            Some((chunk, (response, pending)))
        });
        let messages: Messages = Box::pin(SseByteStream::new(Box::pin(bytes)));
        Ok(EventStream { messages, pending, began })
    }
}

impl EventStream {
    /// The next message; none where Auth0 has closed the connection.
    ///
    /// # Errors
    /// The connection broke, or what came is no message.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        match self.messages.next().await {
            None => Ok(None),
            Some(Err(error)) => Err(Error::with(Kind::Auth0NoAnswer, "the stream of events broke", error)),
            Some(Ok(block)) => {
                self.pending.store(0, Ordering::Relaxed);
                read(block).map(Some)
            }
        }
    }
}

#[derive(Deserialize)]
struct Told {
    offset: Option<String>,
    event: Option<Value>,
    error: Option<Failing>,
}

#[derive(Deserialize)]
struct Failing {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    offset: Option<String>,
}

fn read(block: Sse) -> Result<Message> {
    let Some(data) = block.data.filter(|data| !data.is_empty()) else { return Ok(Message::Other) };
    let wrong = |error| Error::with(Kind::Auth0Answer, "a message of the stream is not as described", error);
    let told: Told = serde_json::from_str(&data).map_err(wrong)?;
    if block.event.as_deref() == Some("error") {
        let failing = match told.error {
            Some(failing) => failing,
            None => serde_json::from_str(&data).map_err(wrong)?,
        };
        return Ok(Message::Failed { code: failing.code, message: failing.message, offset: failing.offset });
    }
    Ok(match (told.offset.or(block.id), told.event) {
        (Some(offset), Some(event)) => Message::Event { offset, event },
        (Some(offset), None) => Message::Offset(offset),
        _ => Message::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(event: &str, data: Value) -> Message {
        read(Sse::default().event(event).data(data.to_string())).unwrap()
    }

    #[test]
    fn messages_are_told_apart() {
        let event = json!({"type": "user.created"});
        let offset = || "o".to_owned();
        assert_eq!(
            message("user.created", json!({"offset": "o", "event": event})),
            Message::Event { offset: offset(), event }
        );
        assert_eq!(message("offset-only", json!({"offset": "o"})), Message::Offset(offset()));
        let failed = |offset| Message::Failed { code: "timeout".into(), message: "m".into(), offset };
        let error = json!({"code": "timeout", "message": "m", "offset": "o"});
        assert_eq!(message("error", json!({ "error": error })), failed(Some(offset())));
        assert_eq!(message("error", json!({"code": "timeout", "message": "m"})), failed(None));
        assert_eq!(message("news", json!({})), Message::Other);
        assert_eq!(read(Sse::default().retry(2000)).unwrap(), Message::Other);
        assert!(read(Sse::default().data("{")).is_err());
    }
}
