//! What a call carries, from the catalogue's templates or from the row's fields. Pure.

use serde_json::{Map, Value};

use super::request::Content;
use crate::catalog::{
    Call, Class, Column, ColumnType, JsonShape, Merge, NewKey, Resource, WriteCall, placeholder, placeholders,
};
use crate::pg::mirror::Row;

/// Whether path or query carry the column already.
pub(super) fn is_outside_body(call: &Call, column: &str) -> bool {
    placeholders(&call.path).any(|name| name == column)
        || call.query.values().any(|value| placeholder(value) == Some(column))
}

/// The body of a create or update without a template: the row's fields, or the one column that holds
/// all of it. `current` is what Auth0 has, where it was read: a call that replaces gets every field
/// of it that may be written, those that the mirror does not show included.
pub(super) fn of_row(
    resource: &Resource,
    call: &Call,
    content: &Content,
    current: Option<&Value>,
    write: WriteCall,
) -> Value {
    if let Some(name) = &resource.whole {
        let given = content.write_only.get(name).or_else(|| content.after.get(name));
        return match given.or(current) {
            Some(value) if !value.is_null() => value.clone(),
            _ => nothing(resource.columns.get(name)),
        };
    }
    let current = current.and_then(Value::as_object);
    let mut body = match current.filter(|_| write == WriteCall::Update && call.replaces()) {
        Some(current) => rest(resource, call, current),
        None => Map::new(),
    };
    for (name, column) in &resource.columns {
        let allowed = match column.class {
            Class::ReadOnly => false,
            Class::CreateOnly => write == WriteCall::Create,
            Class::Writable | Class::WriteOnly => true,
        };
        if !allowed || column.only_on.is_some_and(|only| only != write) || is_outside_body(call, name) {
            continue;
        }
        let there = current.and_then(|object| object.get(resource.field(name)));
        let Some(value) = written(resource, content, write, (name, column), there) else { continue };
        let field = resource.write_field(name).to_owned();
        if value.is_null() && (write == WriteCall::Create || call.replaces()) {
            body.shift_remove(&field);
        } else {
            body.insert(field, value);
        }
    }
    Value::Object(body)
}

/// What Auth0 has, as a call that replaces it takes it: without what nobody may write. Columns that
/// the selection hides are carried along like those that the catalogue does not know.
fn rest(resource: &Resource, call: &Call, current: &Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    for (field, value) in current.iter().filter(|(_, value)| !value.is_null()) {
        let mut described = resource.columns.iter().chain(&resource.hidden);
        let described =
            described.find(|(name, column)| column.field.as_deref().unwrap_or(name) == field.as_str());
        match described {
            Some((name, column)) => {
                let writable = matches!(column.class, Class::Writable | Class::WriteOnly)
                    && column.only_on != Some(WriteCall::Create)
                    && !is_outside_body(call, name);
                if writable {
                    let field = column.write_field.as_ref().unwrap_or(field);
                    body.insert(field.clone(), value.clone());
                }
            }
            None => {
                body.insert(field.clone(), value.clone());
            }
        }
    }
    body
}

/// The value of one column as the body carries it; none where the write does not touch it.
fn written(
    resource: &Resource,
    content: &Content,
    write: WriteCall,
    (name, column): (&str, &Column),
    there: Option<&Value>,
) -> Option<Value> {
    let aside = content.write_only.get(name);
    let value = content.after.get(name).or(aside)?;
    Some(match (write, column.merge) {
        (WriteCall::Create, Merge::Replace) => own_key(resource, name, whole(column, value, aside)),
        (WriteCall::Create, Merge::Keys | Merge::ReadKeys) => {
            let mut whole = value.clone();
            // Keys that were set aside because they are secrets come back in.
            if let (Some(whole), Some(secrets)) = (whole.as_object_mut(), aside.and_then(Value::as_object)) {
                whole.extend(secrets.clone());
            }
            whole
        }
        (WriteCall::Update, Merge::Replace) => whole(column, value, aside).clone(),
        // Emptied by the client: Auth0 takes the empty object for that.
        (WriteCall::Update, Merge::Keys) if is_empty(value) && aside.is_none() => value.clone(),
        (WriteCall::Update, Merge::Keys) if there.is_none() => Value::Object(changed_keys(content, name)),
        (WriteCall::Update, Merge::Keys | Merge::ReadKeys) => {
            let mut whole = there.and_then(Value::as_object).cloned().unwrap_or_default();
            whole.retain(|key, part| !column.secret_keys.contains(key) || !is_masked(part));
            whole.extend(changed_keys(content, name));
            whole.retain(|_, part| !part.is_null());
            Value::Object(whole)
        }
    })
}

/// The value as the client gave it, with the secrets inside that were set aside; unless a later
/// write put another in its place.
fn whole<'a>(column: &Column, value: &'a Value, aside: Option<&'a Value>) -> &'a Value {
    let given = aside.filter(|_| !column.secret_paths.is_empty()).filter(|aside| {
        let mut shown = (*aside).clone();
        column.strip_secrets(&mut shown);
        shown == *value
    });
    given.unwrap_or(value)
}

/// Whether Auth0 shows a secret as asterisks: sent back, they would become the secret.
fn is_masked(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.chars().all(|c| c == '*'))
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
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

/// What stands for NULL where the body is the column's value itself.
fn nothing(column: Option<&Column>) -> Value {
    match column.map(|column| (column.kind, column.json)) {
        Some((ColumnType::TextArray, _) | (_, Some(JsonShape::Array))) => Value::Array(Vec::new()),
        Some((ColumnType::Jsonb, _)) => Value::Object(Map::new()),
        _ => Value::Null,
    }
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
