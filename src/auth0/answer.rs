//! What an answer of the Management API carries besides its status.

use reqwest::header::{HeaderMap, LINK};
use serde_json::Value;

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status, 2xx.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
    /// What the rate-limit headers said.
    pub rate: RateHeaders,
    /// URL of `Link: <…>; rel="next"`: the tenant logs page by it.
    pub link_next: Option<String>,
}

/// `x-ratelimit-*` of one answer; each is absent where the endpoint has no policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Size of the bucket.
    pub limit: Option<u64>,
    /// Calls left in it.
    pub remaining: Option<u64>,
    /// When calls are next added, in UNIX seconds of Auth0's clock.
    pub reset: Option<i64>,
}

impl RateHeaders {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
            headers.get(name)?.to_str().ok()?.trim().parse().ok()
        }
        RateHeaders {
            limit: number(headers, "x-ratelimit-limit"),
            remaining: number(headers, "x-ratelimit-remaining"),
            reset: number(headers, "x-ratelimit-reset"),
        }
    }
}

/// The URL that follows in a list that pages by `Link`.
pub(super) fn link_next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|value| value.split(',')).find_map(|link| {
        let (url, parameters) = link.split_once(';')?;
        let next = parameters.split(';').any(|p| matches!(p.trim(), r#"rel="next""# | "rel=next"));
        let url = url.trim().strip_prefix('<')?.strip_suffix('>')?;
        next.then(|| url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let mut headers = HeaderMap::new();
        let value = r#"<https://a/logs?from=1>; rel="first", <https://a/logs?from=9&take=2>; rel="next""#;
        headers.insert(LINK, value.parse().unwrap());
        assert_eq!(link_next(&headers).as_deref(), Some("https://a/logs?from=9&take=2"));
        headers.insert(LINK, r#"<https://a>; rel="prev""#.parse().unwrap());
        assert_eq!(link_next(&headers), None);
    }
}
