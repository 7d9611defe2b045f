//! Answers: success and refusal in the shape that Auth0 gives them. It never looks at the store.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::rules::Refusal;

/// What a call answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// JSON body; none sends none.
    pub(super) body: Option<Value>,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A status with a body.
    pub(super) fn new(status: u16, body: Value) -> Answer {
        Answer { status, body: Some(body), headers: Vec::new() }
    }

    /// A status alone.
    pub(super) fn empty(status: u16) -> Answer {
        Answer { status, body: None, headers: Vec::new() }
    }
}

/// A refusal: `{"statusCode", "error", "message", "errorCode"}`; newer services leave the last out.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: u16,
    message: String,
    code: Option<String>,
}

impl Problem {
    /// A refusal with an `errorCode`.
    pub(super) fn new(status: u16, message: impl Into<String>, code: &str) -> Problem {
        Problem { status, message: message.into(), code: Some(code.to_owned()) }
    }

    /// A refusal without one.
    pub(super) fn plain(status: u16, message: impl Into<String>) -> Problem {
        Problem { status, message: message.into(), code: None }
    }

    /// The body does not fit the schema.
    pub(super) fn payload(what: &str, property: Option<(&str, &str)>) -> Problem {
        Problem::schema("Payload", what, property, "invalid_body")
    }

    /// A value in the path does not fit the schema.
    pub(super) fn path(what: &str, property: (&str, &str)) -> Problem {
        Problem::schema("Path", what, Some(property), "invalid_uri")
    }

    /// The query does not fit the schema.
    pub(super) fn query(what: &str, property: (&str, &str)) -> Problem {
        Problem::schema("Query", what, Some(property), "invalid_query_string")
    }

    fn schema(part: &str, what: &str, property: Option<(&str, &str)>, code: &str) -> Problem {
        let place = match property {
            Some((name, "")) => format!(" on property {name}"),
            Some((name, comment)) => format!(" on property {name} ({})", comment.trim_end_matches('.')),
            None => String::new(),
        };
        Problem::new(400, format!("{part} validation error: '{what}'{place}."), code)
    }

    /// A rule of the body beyond its schema.
    pub(super) fn body(message: impl Into<String>) -> Problem {
        Problem::new(400, message, "invalid_body")
    }

    /// What the catalogue says; `{field}` in its text is taken from `row`.
    pub(super) fn refusal(refusal: &Refusal, row: &Map<String, Value>) -> Problem {
        let mut message = refusal.message.clone();
        for (name, value) in row {
            if let Some(text) = value.as_str() {
                message = message.replace(&format!("{{{name}}}"), text);
            }
        }
        Problem { status: refusal.status, message, code: refusal.code.clone() }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Answer {
        let reason = StatusCode::from_u16(problem.status).ok().and_then(|s| s.canonical_reason());
        let mut body = json!({
            "statusCode": problem.status,
            "error": reason.unwrap_or("Error"),
            "message": problem.message,
        });
        // The server repeats the reason for refused tokens.
        if problem.status == 401 {
            body["attributes"] = json!({"error": problem.message});
        }
        if let Some(code) = problem.code {
            body["errorCode"] = code.into();
        }
        Answer::new(problem.status, body)
    }
}
