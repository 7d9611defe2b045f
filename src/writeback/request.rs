//! The call that a piece of work makes, from the catalogue: method, path and body. Pure.

use std::str::FromStr;

use reqwest::Method;
use serde_json::{Map, Value};

use crate::auth0::{Lane, Request};
use crate::catalog::{Call, Class, Merge, NewKey, Resource, WriteCall, fill_body, fill_path};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Operation, Row};

/// What a call is made of.
#[derive(Clone, Debug)]
pub struct Content {
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

/// The call for `content`; `current` is the object that Auth0 has now, needed where [`reads_first`] says so.
///
/// # Errors
/// `internal` where the catalogue describes no such call.
pub(super) fn build(
    resource: &Resource,
    content: &Content,
    current: Option<&Map<String, Value>>,
    correlation_id: &str,
) -> Result<Request> {
    let (call, write) = match content.operation {
        Operation::Insert => (resource.create.as_ref().map(|create| &create.call), Some(WriteCall::Create)),
        Operation::Update => (resource.update.as_ref(), Some(WriteCall::Update)),
        Operation::Delete => (resource.delete.as_ref(), None),
    };
    let missing = || {
        let what = format!("Auth0 has no call to {} {}", content.operation.as_str(), resource.table);
        Error::new(Kind::Internal, what)
    };
    let call = call.ok_or_else(missing)?;
    let mut values = content.key.clone();
    values.extend(content.after.clone());
    let body = match (&call.body, write) {
        (Some(template), _) => {
            let template = template.clone();
            Some(fill_body(&template, &values).ok_or_else(missing)?)
        }
        (None, Some(write)) => Some(Value::Object(fields(resource, content, current, write))),
        (None, None) => None,
    };
    request(call, &values, body, correlation_id)
}

/// Whether the object has to be read before it can be written, because the API replaces it whole.
pub(super) fn reads_first(resource: &Resource, content: &Content) -> bool {
    let replaced = |column: &str| resource.columns.get(column).is_some_and(|c| c.merge == Merge::ReadKeys);
    content.operation == Operation::Update
        && content.after.keys().chain(content.write_only.keys()).any(|column| replaced(column))
}

/// The call that reads the row.
pub(super) fn read(resource: &Resource, key: &Map<String, Value>, lane: Lane) -> Option<Request> {
    let path = fill_path(&resource.get.as_ref()?.path, key)?;
    Some(Request::get(path, lane))
}

fn request(
    call: &Call,
    values: &Map<String, Value>,
    body: Option<Value>,
    correlation_id: &str,
) -> Result<Request> {
    let method = Method::from_str(&call.method)
        .map_err(|error| Error::with(Kind::Catalog, format!("{} is no HTTP method", call.method), error))?;
    let path = fill_path(&call.path, values)
        .ok_or_else(|| Error::new(Kind::Internal, format!("a value for {} is missing", call.path)))?;
    Ok(Request::write(method, path, body, correlation_id))
}

fn fields(
    resource: &Resource,
    content: &Content,
    current: Option<&Map<String, Value>>,
    write: WriteCall,
) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, column) in &resource.columns {
        if column.only_on.is_some_and(|only| only != write) {
            continue;
        }
        let allowed = match column.class {
            Class::ReadOnly => false,
            Class::CreateOnly => write == WriteCall::Create,
            Class::Writable | Class::WriteOnly => true,
        };
        let aside = content.write_only.get(name);
        let Some(value) = content.after.get(name).or(aside).filter(|_| allowed) else { continue };
        let value = match (write, column.merge) {
            (WriteCall::Create, _) if value.is_null() => continue,
            (WriteCall::Create, Merge::Replace) => own_key(resource, name, value),
            (WriteCall::Create, Merge::Keys | Merge::ReadKeys) => {
                let mut whole = value.clone();
                // Keys that were set aside because they are secrets come back in.
                if let (Some(whole), Some(secrets)) =
                    (whole.as_object_mut(), aside.and_then(Value::as_object))
                {
                    whole.extend(secrets.clone());
                }
                whole
            }
            (WriteCall::Update, Merge::Replace) => value.clone(),
            (WriteCall::Update, Merge::Keys) => Value::Object(changed_keys(content, name)),
            (WriteCall::Update, Merge::ReadKeys) => {
                let there =
                    current.and_then(|object| object.get(resource.field(name))).and_then(Value::as_object);
                let mut whole = there.cloned().unwrap_or_default();
                whole.extend(changed_keys(content, name));
                whole.retain(|_, part| !part.is_null());
                Value::Object(whole)
            }
        };
        body.insert(resource.field(name).to_owned(), value);
    }
    body
}

/// Every key that the mutation touches, with its new value; null removes it.
fn changed_keys(content: &Content, column: &str) -> Map<String, Value> {
    let object = |row: &Row| row.get(column).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut keys: Map<String, Value> =
        object(&content.before).into_iter().map(|(key, _)| (key, Value::Null)).collect();
    keys.extend(object(&content.after));
    keys.extend(object(&content.write_only));
    keys
}

/// A key that the client's side made, as a body carries it.
fn own_key(resource: &Resource, column: &str, value: &Value) -> Value {
    match (&resource.new_key, value.as_str()) {
        (NewKey::Client { prefix, strip_prefix: true }, Some(text))
            if resource.key.iter().any(|k| k == column) =>
        {
            Value::String(text.strip_prefix(prefix.as_str()).unwrap_or(text).to_owned())
        }
        _ => value.clone(),
    }
}

/// Later images over earlier ones; objects that merge are joined key by key.
pub(super) fn join(resource: &Resource, images: impl IntoIterator<Item = Row>) -> Row {
    let mut joined = Row::new();
    for (column, value) in images.into_iter().flatten() {
        let merges = resource.columns.get(&column).is_some_and(|c| c.merge.by_key());
        match (joined.get_mut(&column), value) {
            (Some(Value::Object(there)), Value::Object(more)) if merges => there.extend(more),
            (_, value) => {
                joined.insert(column, value);
            }
        }
    }
    joined
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
