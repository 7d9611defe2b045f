//! One call to make.

use reqwest::Method;
use serde_json::{Map, Value};

use super::budget::Lane;
use crate::catalog::{Call, fill_path, fill_query};
use crate::error::{Error, Kind, Result};

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
    /// Sent as a file with the fields of the body beside it (multipart/form-data) instead of JSON.
    pub upload: Option<Upload>,
    /// Sent as `X-Correlation-ID` with every method but GET; Auth0's tenant logs repeat it.
    pub correlation_id: Option<String>,
    /// What the call is for; decides who waits when the rate limit is near.
    pub lane: Lane,
}

/// The file of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Name of its part.
    pub field: String,
    /// What it holds.
    pub content: String,
}

impl Upload {
    /// The body of a multipart/form-data request: the fields as parts of text, then the file.
    /// `boundary` must not occur in any of them.
    pub(super) fn body(&self, fields: Option<&Value>, boundary: &str) -> String {
        let mut body = String::new();
        for (name, value) in fields.and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            body.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
            ));
        }
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{0}\"; filename=\"{0}.json\"\r\n\
             Content-Type: application/json\r\n\r\n{1}\r\n--{boundary}--\r\n",
            self.field, self.content
        ));
        body
    }
}

impl Request {
    /// The read that a call of the catalogue makes for the row with these values.
    ///
    /// # Errors
    /// `internal` where a value of the path is missing.
    pub fn of_row(call: &Call, values: &Map<String, Value>, lane: Lane) -> Result<Self> {
        let missing = || Error::new(Kind::Internal, format!("a value for {} is missing", call.path));
        let path = fill_path(&call.path, values).ok_or_else(missing)?;
        Ok(Request { query: fill_query(&call.query, values), ..Request::get(path, lane) })
    }

    /// A read.
    pub fn get(path: impl Into<String>, lane: Lane) -> Self {
        Request {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            upload: None,
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
            upload: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_goes_with_its_fields_as_parts() {
        let upload = Upload { field: "users".into(), content: "[{}]".into() };
        let body = upload.body(Some(&json!({"connection_id": "con_1", "upsert": true})), "line");
        let part = |name: &str, text: &str| {
            format!("--line\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        assert!(body.starts_with(&(part("connection_id", "con_1") + &part("upsert", "true"))), "{body}");
        assert!(body.ends_with("name=\"users\"; filename=\"users.json\"\r\nContent-Type: application/json\r\n\r\n[{}]\r\n--line--\r\n"));
    }
}
