//! One call to make.

use reqwest::Method;
use serde_json::Value;

use super::budget::Lane;

/// One call of the Management API.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path below `/api/v2`, percent-encoded, with its leading slash: `/users/auth0%7C1`.
    pub path: String,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<Value>,
    /// Sent as `X-Correlation-ID` with every method but GET; Auth0's tenant logs repeat it.
    pub correlation_id: Option<String>,
    /// What the call is for; decides who waits when the rate limit is near.
    pub lane: Lane,
}

impl Request {
    /// A read.
    pub fn get(path: impl Into<String>, lane: Lane) -> Self {
        Request {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            correlation_id: None,
            lane,
        }
    }

    /// A client's write.
    pub fn write(
        method: Method,
        path: impl Into<String>,
        body: Option<Value>,
        correlation_id: impl Into<String>,
    ) -> Self {
        Request {
            method,
            path: path.into(),
            query: Vec::new(),
            body,
            correlation_id: Some(correlation_id.into()),
            lane: Lane::Write,
        }
    }

    /// The same with one more query parameter.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }
}
