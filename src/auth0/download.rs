//! Files that Auth0 offers by links that soon end: streamed, never held. A link stands for itself, so no
//! token goes with it; it is never logged.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE,
};
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::client::Client;
use super::transport::TransportError;
use crate::error::{Error, Kind, Result};

/// So long nothing may come before the connection counts as broken; there is no limit to the whole.
const SILENCE: Duration = Duration::from_secs(30);

/// The body of a file from a position on.
#[derive(Debug)]
pub struct Download {
    response: Response,
    /// The byte of the file at which the body begins.
    pub from: u64,
    /// Which file it is; another file has another.
    pub etag: Option<String>,
    /// Whether it can be fetched from a position on.
    pub ranges: bool,
}

impl Client {
    /// Begins to fetch a file, from byte `from` on if it is the file with that tag still; else, or where
    /// the host cannot, from its beginning.
    ///
    /// # Errors
    /// `auth0_link` where the link does not hold any more, `auth0_unreachable`, `auth0_no_answer`, `auth0_server`;
    /// `auth0_answer` where it is packed in a way that nobody has asked for.
    pub async fn download(&self, link: &str, from: Option<(u64, &str)>) -> Result<Download> {
        let mut request = self.files().get(link);
        if let Some((from, etag)) = from {
            request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, etag);
        }
        let answer = timeout(SILENCE, request.send()).await.map_err(|_| silent())?;
        let response = answer.map_err(|error| broken(&error))?;
        let asked = from.map_or(0, |(from, _)| from);
        let begins = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(asked) => asked,
            // Nothing is left behind that byte: the whole is fetched, and skipped.
            StatusCode::RANGE_NOT_SATISFIABLE if asked > 0 => {
                return Box::pin(self.download(link, None)).await;
            }
            status if status.is_server_error() => {
                return Err(Error::new(Kind::Auth0Server, format!("the link of an export answers {status}")));
            }
            status => {
                return Err(Error::new(Kind::Auth0Link, format!("the link of an export answers {status}")));
            }
        };
        let text = |name: HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        if let Some(coding) =
            text(CONTENT_ENCODING).filter(|c| !matches!(c.as_str(), "gzip" | "x-gzip" | "identity"))
        {
            return Err(Error::new(Kind::Auth0Answer, format!("an export is packed as {coding}")));
        }
        let etag = text(ETAG).filter(|etag| !etag.starts_with("W/"));
        let ranges = etag.is_some()
            && (begins > 0 || text(ACCEPT_RANGES).is_some_and(|unit| unit.eq_ignore_ascii_case("bytes")));
        Ok(Download { response, from: begins, etag, ranges })
    }
}

impl Download {
    /// The next bytes; none at the end of the file.
    ///
    /// # Errors
    /// `auth0_no_answer` where the connection broke or stays silent.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = timeout(SILENCE, self.response.chunk()).await.map_err(|_| silent())?;
        chunk.map_err(|error| broken(&error))
    }
}

fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

fn silent() -> Error {
    Error::new(Kind::Auth0NoAnswer, format!("an export has sent nothing for {} seconds", SILENCE.as_secs()))
}

fn broken(error: &reqwest::Error) -> Error {
    let error = TransportError::from_reqwest(error);
    let kind = match error {
        TransportError::Connect(_) => Kind::Auth0Unreachable,
        _ => Kind::Auth0NoAnswer,
    };
    Error::new(kind, format!("the download of an export broke: {}", error.reason()))
}
