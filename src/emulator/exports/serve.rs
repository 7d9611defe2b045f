//! Downloads of exports, as a storage host serves them: no token but a link, parts by `Range`, a
//! stream from the file. It knows nothing of the tenant but the jobs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use chrono::Utc;
use futures_util::stream;

use super::{Made, link, made};
use crate::emulator::options::Gzip;
use crate::emulator::quirks::jobs::JOB;
use crate::emulator::server::{Shared, count};

/// Where the addresses of files begin.
pub(in crate::emulator) const PATH: &str = "/exports/";
const TEMPLATE: &str = "/exports/{job}";
/// Files are read in blocks of so many bytes.
const BLOCK: u64 = 256 * 1024;

/// Answers a request for a file.
pub(in crate::emulator) fn serve(shared: &Shared, parts: &Parts) -> Response<Body> {
    let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    let id = path.split('/').next().unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let exports = &shared.world.exports;
    let found = {
        let mut state = shared.state();
        count(&mut state, parts.method.as_str(), TEMPLATE);
        state.store.get(JOB, id).filter(|job| !exports.expired(job, Utc::now())).and_then(made)
    };
    // A storage host does not tell what is not there from what may not be seen.
    let holds = link::holds(&exports.key, id, query, Utc::now().timestamp_millis());
    let file = found.filter(|_| holds && parts.method == "GET");
    let file = file.and_then(|made| Some((exports.spool.open(&made.tag)?, made)));
    match file {
        Some((file, made)) => body(&parts.headers, file, &made),
        None => denied(StatusCode::FORBIDDEN, "AccessDenied", "Access denied"),
    }
}

fn denied(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn body(headers: &HeaderMap, file: Arc<File>, made: &Made) -> Response<Body> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let tag = format!("\"{}\"", made.tag);
    let same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let part = match text(header::RANGE).filter(|_| same).map(|range| part(range, made.size)) {
        Some(Part::Beyond) => {
            let mut response = denied(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidRange",
                "The requested range is not satisfiable",
            );
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", made.size));
            return response;
        }
        Some(Part::Of(first, last)) => Some((first, last)),
        Some(Part::Whole) | None => None,
    };
    let (first, end) = part.map_or((0, made.size), |(first, last)| (first, last + 1));
    let mut response = Response::new(blocks(file, first, end));
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{}/{}", end - 1, made.size));
    }
    let kind = match (made.gzip, made.csv) {
        (Gzip::File, _) => "application/gzip",
        (_, true) => "text/csv",
        (_, false) => "application/x-ndjson",
    };
    set(&mut response, header::CONTENT_TYPE, kind);
    set(&mut response, header::CONTENT_LENGTH, &(end - first).to_string());
    set(&mut response, header::ETAG, &tag);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    if made.gzip == Gzip::Encoding {
        set(&mut response, header::CONTENT_ENCODING, "gzip");
    }
    response
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[derive(Debug, PartialEq)]
enum Part {
    /// From one byte to another, both included.
    Of(u64, u64),
    Whole,
    Beyond,
}

/// What a `Range` means of a file of `size` bytes; several ranges are answered by the whole.
fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    match (first.trim(), last.trim()) {
        ("", last) => match last.parse() {
            Ok(0) => Part::Beyond,
            Ok(count) if size > 0 => Part::Of(size.saturating_sub(count), size - 1),
            Ok(_) => Part::Beyond,
            Err(_) => Part::Whole,
        },
        (first, last) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), _) if first >= size => Part::Beyond,
            (Ok(first), Ok(last)) if last >= first => Part::Of(first, last.min(size - 1)),
            (Ok(first), Err(_)) if last.is_empty() => Part::Of(first, size - 1),
            _ => Part::Whole,
        },
    }
}

fn blocks(file: Arc<File>, first: u64, end: u64) -> Body {
    Body::from_stream(stream::try_unfold((file, first), move |(file, at)| async move {
        if at >= end {
            return Ok::<_, std::io::Error>(None);
        }
        let length = usize::try_from(BLOCK.min(end - at)).unwrap_or_default();
        let read = tokio::task::spawn_blocking(move || {
            let mut block = vec![0; length];
            file.read_exact_at(&mut block, at).map(|()| (Bytes::from(block), file))
        });
        let (block, file) = read.await.map_err(std::io::Error::other)??;
        let next = at + block.len() as u64;
        Ok(Some((block, (file, next))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_http_says() {
        for (range, expected) in [
            ("bytes=0-", Part::Of(0, 9)),
            ("bytes=4-", Part::Of(4, 9)),
            ("bytes=4-6", Part::Of(4, 6)),
            ("bytes=4-600", Part::Of(4, 9)),
            ("bytes=-3", Part::Of(7, 9)),
            ("bytes=-30", Part::Of(0, 9)),
            ("bytes=9-9", Part::Of(9, 9)),
            ("bytes=10-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=6-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }
}
