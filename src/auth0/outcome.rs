//! The one table that says what happened to a call, by HTTP status and transport error, never by
//! message text. Pure: the answer and the time come in, an [`Outcome`] goes out.

use std::fmt;

use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::budget::{DEFAULT_HOLD, hold};
use super::transport::{Now, TransportError, Wire};
use crate::error::{Error, Kind};

/// What happened to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It happened; the answer's body (null where there is none).
    Applied(Value),
    /// A delete found nothing: done.
    Gone,
    /// Auth0 refused, and will again.
    Refused(Refusal),
    /// Not now: the limit is reached. Nothing happened.
    Throttled {
        /// When it may be tried again.
        until: Instant,
    },
    /// Credentials or their grant do not let us call. Nothing happened, and nothing may be
    /// reverted for it: the operator mends it and the call is made again.
    Blocked {
        /// `Auth0Token`, `Auth0Credentials` or `Auth0Scope`.
        kind: Kind,
        /// Auth0's words.
        message: String,
    },
    /// The request certainly never left. Nothing happened.
    NeverLeft {
        /// `Auth0Unreachable`, or why there was no token.
        kind: Kind,
        /// For people.
        reason: String,
    },
    /// The request may have left and no usable answer came: read back before anything else.
    Unknown {
        /// `Auth0NoAnswer`, `Auth0Server` or `Auth0Answer`.
        kind: Kind,
        /// For people.
        reason: String,
    },
}

/// Auth0's refusal, as `_sync_cdc.error` keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The reason phrase in the body; empty where the body has none.
    pub error: String,
    /// Auth0's message; empty where the body has none.
    pub message: String,
    /// Auth0's code, which newer parts of the API leave out.
    pub error_code: Option<String>,
}

impl Refusal {
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        Refusal {
            status,
            error: text("error").unwrap_or_default(),
            // The Authentication API calls it error_description.
            message: text("message").or_else(|| text("error_description")).unwrap_or_default(),
            error_code: text("errorCode"),
        }
    }

    /// Whether the token's scopes do not allow the call; of some paid features Auth0 says the same.
    pub fn lacks_scope(&self) -> bool {
        self.status == 403 && self.error_code.as_deref() == Some("insufficient_scope")
    }

    /// The kind of the error that a status stands for.
    pub fn kind(&self) -> Kind {
        match self.status {
            403 if self.lacks_scope() => Kind::Auth0Scope,
            403 => Kind::Auth0Forbidden,
            404 => Kind::Auth0NotFound,
            _ => Kind::Auth0Refused,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match (self.message.as_str(), self.error.as_str()) {
            ("", "") => Ok(()),
            ("", text) | (text, _) => write!(f, " {text}"),
        }
    }
}

/// The table. A 401 here is the answer to a fresh token: an older one has been replaced before.
pub fn decide(method: &Method, result: &Result<Wire, TransportError>, now: Now) -> Outcome {
    let wire = match result {
        Ok(wire) => wire,
        Err(TransportError::Connect(reason)) => {
            return Outcome::NeverLeft { kind: Kind::Auth0Unreachable, reason: reason.clone() };
        }
        Err(
            error @ (TransportError::Timeout(_) | TransportError::Broken(_) | TransportError::Body { .. }),
        ) => {
            return Outcome::Unknown { kind: Kind::Auth0NoAnswer, reason: error.reason().to_owned() };
        }
    };
    match wire.status {
        200..=299 if wire.body.is_empty() => Outcome::Applied(Value::Null),
        200..=299 => match serde_json::from_slice(&wire.body) {
            Ok(body) => Outcome::Applied(body),
            Err(error) => Outcome::Unknown {
                kind: Kind::Auth0Answer,
                reason: format!("the answer ({}) is not JSON: {error}", wire.status),
            },
        },
        401 => {
            Outcome::Blocked { kind: Kind::Auth0Token, message: Refusal::read(401, &wire.body).to_string() }
        }
        404 if method == Method::DELETE => Outcome::Gone,
        // The server gave up waiting: it may have read the request or not.
        408 => Outcome::Unknown { kind: Kind::Auth0NoAnswer, reason: "Auth0 answered 408".into() },
        429 => {
            Outcome::Throttled { until: now.instant + hold(&wire.headers, now.unix).unwrap_or(DEFAULT_HOLD) }
        }
        400..=499 => Outcome::Refused(Refusal::read(wire.status, &wire.body)),
        500..=599 => Outcome::Unknown {
            kind: Kind::Auth0Server,
            reason: format!("Auth0 answered {}", Refusal::read(wire.status, &wire.body)),
        },
        // Redirects are not followed: the Management API sends none.
        other => {
            Outcome::Unknown { kind: Kind::Auth0Answer, reason: format!("the answer has status {other}") }
        }
    }
}

/// A call that did not bring an answer: its [`Outcome`], never `Applied`.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What happened.
    pub outcome: Outcome,
    /// Of the call. The path is left out: it carries keys of rows.
    pub method: Method,
}

impl Failure {
    /// What it counts as.
    pub fn kind(&self) -> Kind {
        match &self.outcome {
            Outcome::Applied(_) => Kind::Internal,
            Outcome::Gone => Kind::Auth0NotFound,
            Outcome::Refused(refusal) => refusal.kind(),
            Outcome::Throttled { .. } => Kind::Auth0Throttled,
            Outcome::Blocked { kind, .. }
            | Outcome::NeverLeft { kind, .. }
            | Outcome::Unknown { kind, .. } => *kind,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = failure.kind();
        let what = match failure.outcome {
            Outcome::Applied(_) => "a call succeeded and was taken for a failure".to_owned(),
            Outcome::Gone => "Auth0 answered 404".to_owned(),
            Outcome::Refused(refusal) => format!("Auth0 answered {refusal}"),
            Outcome::Throttled { .. } => "Auth0's rate limit is reached".to_owned(),
            Outcome::Blocked { message, .. } => format!("Auth0 does not let us in: {message}"),
            Outcome::NeverLeft { reason, .. } | Outcome::Unknown { reason, .. } => reason,
        };
        Error::new(kind, format!("{} failed: {what}", failure.method))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn now() -> Now {
        Now { instant: Instant::now(), unix: Duration::from_secs(1_000) }
    }

    fn answered(method: &Method, status: u16, body: &'static str) -> Outcome {
        let wire = Wire { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) };
        decide(method, &Ok(wire), now())
    }

    /// Every status that can be sent, for every method that we use.
    #[test]
    fn every_status_has_its_outcome() {
        let body = r#"{"statusCode":1,"error":"E","message":"M","errorCode":"c"}"#;
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            for status in 100..=599 {
                let outcome = answered(&method, status, body);
                let fits = match status {
                    200..=299 => matches!(&outcome, Outcome::Applied(body) if body["message"] == "M"),
                    401 => matches!(&outcome, Outcome::Blocked { kind: Kind::Auth0Token, .. }),
                    404 if method == Method::DELETE => outcome == Outcome::Gone,
                    408 => matches!(&outcome, Outcome::Unknown { kind: Kind::Auth0NoAnswer, .. }),
                    429 => matches!(&outcome, Outcome::Throttled { .. }),
                    400..=499 => matches!(&outcome, Outcome::Refused(refusal)
                        if *refusal == Refusal { status, error: "E".into(), message: "M".into(), error_code: Some("c".into()) }),
                    500..=599 => matches!(&outcome, Outcome::Unknown { kind: Kind::Auth0Server, .. }),
                    _ => matches!(&outcome, Outcome::Unknown { kind: Kind::Auth0Answer, .. }),
                };
                assert!(fits, "{method} {status}: {outcome:?}");
            }
        }
    }

    #[test]
    fn only_a_connection_that_never_came_about_proves_that_nothing_left() {
        let lost = |error| decide(&Method::PATCH, &Err(error), now());
        assert!(matches!(lost(TransportError::Connect("x".into())), Outcome::NeverLeft { .. }));
        for error in [
            TransportError::Timeout("x".into()),
            TransportError::Broken("x".into()),
            TransportError::Body { status: 200, reason: "x".into() },
            TransportError::Body { status: 400, reason: "x".into() },
        ] {
            assert!(matches!(lost(error), Outcome::Unknown { kind: Kind::Auth0NoAnswer, .. }));
        }
    }

    #[test]
    fn a_success_without_a_readable_body_is_unknown_and_an_empty_one_is_null() {
        assert_eq!(answered(&Method::POST, 204, ""), Outcome::Applied(Value::Null));
        assert_eq!(answered(&Method::POST, 200, "[1]"), Outcome::Applied(json!([1])));
        assert!(matches!(answered(&Method::POST, 200, "<html>"), Outcome::Unknown { .. }));
        let refused = answered(&Method::POST, 413, "<html>");
        assert_eq!(refused, Outcome::Refused(Refusal { status: 413, ..Refusal::default() }));
    }

    #[test]
    fn a_failure_becomes_an_error_with_auth0s_message() {
        let body = r#"{"statusCode":404,"error":"Not Found","message":"The user does not exist."}"#;
        let failure = Failure { outcome: answered(&Method::GET, 404, body), method: Method::GET };
        let error = Error::from(failure);
        assert_eq!(error.kind(), Kind::Auth0NotFound);
        assert_eq!(error.to_string(), "GET failed: Auth0 answered 404 The user does not exist.");
    }
}
