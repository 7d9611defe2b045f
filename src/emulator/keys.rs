//! Keys of rows in the store: the values of the key columns, some of which stand in paths alone and
//! not in what the API shows.

use serde_json::Value;

use super::rules::Fields;
use super::store::Row;
use crate::catalog::{Resource, ResourceKind};

/// The key of a singleton's row.
pub(super) const SINGLE: &str = "single";
/// Stands between the parts of a key.
pub(super) const BETWEEN: char = '\u{1f}';

/// The store's key of a row whose key columns have these values.
pub(super) fn key_of<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().collect::<Vec<_>>().join(&BETWEEN.to_string())
}

/// The key of the row that a path names.
pub(super) fn path_key(resource: &Resource, values: &Fields) -> String {
    if resource.kind == ResourceKind::Singleton {
        return SINGLE.to_owned();
    }
    key_of(resource.key.iter().map(|column| values.get(column).and_then(Value::as_str).unwrap_or_default()))
}

/// Whether a path names a row, and not several or one by other fields.
pub(super) fn names_row(resource: &Resource, values: &Fields) -> bool {
    resource.kind == ResourceKind::Singleton || resource.key.iter().all(|column| values.contains_key(column))
}

/// The key of a row by the values of the path and its own fields; none where a part is missing.
pub(super) fn own_key(resource: &Resource, values: &Fields, body: &Fields) -> Option<String> {
    if resource.kind == ResourceKind::Singleton {
        return Some(SINGLE.to_owned());
    }
    let parts: Option<Vec<String>> = resource
        .key
        .iter()
        .map(|column| match values.get(column).or_else(|| body.get(resource.field(column)))? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    parts.map(|parts| key_of(parts.iter().map(String::as_str)))
}

/// The value of one key column.
pub(super) fn part<'k>(resource: &Resource, key: &'k str, column: &str) -> Option<&'k str> {
    if resource.kind == ResourceKind::Singleton {
        return None;
    }
    let place = resource.key.iter().position(|name| name == column)?;
    key.split(BETWEEN).nth(place)
}

/// The first part of a key: the parent's.
pub(super) fn first(key: &str) -> Option<&str> {
    key.split(BETWEEN).next()
}

/// The last part of a key: the row's own, or the far side's.
pub(super) fn last(key: &str) -> Option<&str> {
    key.rsplit(BETWEEN).next()
}

/// The key columns of a row, by column name.
pub(super) fn columns(resource: &Resource, key: &str) -> Fields {
    if resource.kind == ResourceKind::Singleton {
        return Fields::new();
    }
    resource.key.iter().cloned().zip(key.split(BETWEEN).map(Value::from)).collect()
}

/// The value of a key column, a column or a field of a row.
pub(super) fn value(resource: &Resource, key: &str, row: &Row, name: &str) -> Option<Value> {
    match part(resource, key, name) {
        Some(text) => Some(text.into()),
        None => super::template::at(&row.body, resource.field(name))
            .or_else(|| super::template::at(&row.body, name))
            .cloned(),
    }
}

/// Whether a row has each of these values; `None` in a row never counts.
pub(super) fn has(resource: &Resource, key: &str, row: &Row, wanted: &Fields) -> bool {
    wanted.iter().all(|(name, wanted)| match (part(resource, key, name), wanted.as_str()) {
        (Some(text), Some(wanted)) => text == wanted,
        _ => value(resource, key, row, name).as_ref() == Some(wanted),
    })
}
