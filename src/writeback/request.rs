//! The call that a piece of work makes, from the catalogue: method, path and body. Pure.

use std::str::FromStr;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::body;
use crate::auth0::Request;
use crate::catalog::{Call, Merge, Resource, WriteCall, fill_body, fill_path, fill_query};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Operation, Row};

/// What a call is made of.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// What it does.
    pub operation: Operation,
    /// The row's key by column names.
    pub key: Map<String, Value>,
    /// Columns that it writes, later mutations over earlier ones.
    pub after: Row,
    /// What lay under them.
    pub before: Row,
    /// Values of write-only columns.
    pub write_only: Map<String, Value>,
}

/// The call for `content`; `current` is what Auth0 has now, needed where [`reads_first`] says so.
///
/// # Errors
/// `internal` where the catalogue describes no such call, or the row lacks a value of its path.
pub(super) fn build(
    resource: &Resource,
    content: &Content,
    current: Option<&Value>,
    correlation_id: &str,
) -> Result<Request> {
    let (call, write) = match content.operation {
        Operation::Insert => (resource.create.as_ref().map(|create| &create.call), Some(WriteCall::Create)),
        Operation::Update => (resource.update.as_ref(), Some(WriteCall::Update)),
        Operation::Delete => (resource.delete.as_ref(), None),
    };
    let call = call.ok_or_else(|| {
        let what = format!("Auth0 has no call to {} {}", content.operation.as_str(), resource.table);
        Error::new(Kind::Internal, what)
    })?;
    let values = values(content);
    let body = match (&call.body, write) {
        (Some(template), _) => fill_body(template, &values),
        (None, Some(write)) => Some(body::of_row(resource, call, content, current, write)),
        (None, None) => None,
    };
    request(call, &values, body, correlation_id)
}

/// What templates of path, query and body may name: the row, as far as the mutation tells it.
pub(super) fn values(content: &Content) -> Row {
    let mut values = if content.operation == Operation::Delete { content.before.clone() } else { Row::new() };
    values.extend(content.key.clone());
    values.extend(content.after.clone());
    values.extend(content.write_only.clone());
    values
}

/// Whether the object has to be read before it can be written, because the API replaces it, or a
/// part of it, whole.
pub(super) fn reads_first(resource: &Resource, content: &Content) -> bool {
    let part = |column: &str| resource.columns.get(column).is_some_and(|c| c.merge == Merge::ReadKeys);
    let all = |call: &Call| call.replaces() && call.body.is_none() && resource.whole.is_none();
    content.operation == Operation::Update
        && (resource.update.as_ref().is_some_and(all)
            || content.after.keys().chain(content.write_only.keys()).any(|column| part(column)))
}

/// Whether the body of the call comes from a template.
pub(super) fn is_templated(resource: &Resource, operation: Operation) -> bool {
    let call = match operation {
        Operation::Insert => resource.create.as_ref().map(|create| &create.call),
        Operation::Update => resource.update.as_ref(),
        Operation::Delete => resource.delete.as_ref(),
    };
    call.is_some_and(|call| call.body.is_some())
}

/// Whether the call would say nothing: every key that it touched was taken back by a later mutation.
pub(super) fn says_nothing(resource: &Resource, request: &Request) -> bool {
    let described = resource.whole.is_some() || is_templated(resource, Operation::Update);
    request.method == Method::PATCH
        && !described
        && request.body.as_ref().is_some_and(|body| body == &json!({}))
}

/// The request of a call, its templates filled from `values`.
///
/// # Errors
/// `internal` where a value of the path is missing.
pub(super) fn request(
    call: &Call,
    values: &Row,
    body: Option<Value>,
    correlation_id: &str,
) -> Result<Request> {
    let method = Method::from_str(&call.method)
        .map_err(|error| Error::with(Kind::Catalog, format!("{} is no HTTP method", call.method), error))?;
    let path = fill_path(&call.path, values)
        .ok_or_else(|| Error::new(Kind::Internal, format!("a value for {} is missing", call.path)))?;
    let mut request = Request::write(method, path, body, correlation_id);
    request.query = fill_query(&call.query, values);
    Ok(request)
}

/// Later images over earlier ones; objects that merge are joined key by key.
pub(super) fn join(resource: &Resource, images: impl IntoIterator<Item = Row>) -> Row {
    let mut joined = Row::new();
    for (column, value) in images.into_iter().flatten() {
        let merges = resource.columns.get(&column).is_some_and(|c| c.merge.by_key());
        match (joined.get_mut(&column), value) {
            // An empty object empties: what an earlier image wrote into it is gone.
            (Some(Value::Object(there)), Value::Object(more)) if merges && !more.is_empty() => {
                there.extend(more);
            }
            (_, value) => {
                joined.insert(column, value);
            }
        }
    }
    joined
}

/// What lay under several mutations before the first of them touched it.
pub(super) fn under(resource: &Resource, images: impl IntoIterator<Item = Row>) -> Row {
    let mut joined = Row::new();
    for (column, value) in images.into_iter().flatten() {
        let merges = resource.columns.get(&column).is_some_and(|c| c.merge.by_key());
        match (joined.get_mut(&column), value) {
            (Some(Value::Object(there)), Value::Object(more)) if merges => {
                for (key, part) in more {
                    there.entry(key).or_insert(part);
                }
            }
            // Which keys were touched must not be forgotten.
            (Some(there @ Value::Null), more @ Value::Object(_)) if merges => *there = more,
            (Some(_), _) => {}
            (None, value) => {
                joined.insert(column, value);
            }
        }
    }
    joined
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
