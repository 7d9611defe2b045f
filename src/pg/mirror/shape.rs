//! From what Auth0 answers to a row of the mirror. What does not fit a column's type, or has no
//! column, goes to `extra`: Auth0's data is always stored.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde_json::{Map, Value, json};

use super::Row;
use crate::catalog::{Class, ColumnType, List, NewKey, Resource, ResourceKind};

/// The column of what has no column.
const EXTRA: &str = "extra";

/// The row that a whole answer shows, whatever JSON it is; an answer without a body shows no field.
pub fn row_from_answer(resource: &Resource, body: &Value) -> Row {
    match (&resource.whole, body) {
        (Some(column), body) => {
            let mut row = Row::new();
            let kind = resource.columns.get(column).map_or(ColumnType::Jsonb, |column| column.kind);
            let fitting = (!body.is_null()).then(|| fit(kind, body));
            match fitting {
                Some(Some(value)) => row.insert(column.clone(), value),
                Some(None) => row.insert(EXTRA.to_owned(), json!({ column.as_str(): without_nul(body) })),
                None => None,
            };
            fix_key(resource, &mut row);
            row
        }
        (None, Value::Object(object)) => row_from_auth0(resource, object, |_| None),
        (None, _) => row_from_auth0(resource, &Map::new(), |_| None),
    }
}

/// A listed item as a row: names by the list, and the columns that the call named by its placeholders.
pub fn row_listed(
    resource: &Resource,
    list: &List,
    item: &Map<String, Value>,
    values: &Map<String, Value>,
) -> Row {
    let mut row = row_from_auth0(resource, item, |column| {
        let renamed = list.fields.get(column).map(String::as_str);
        renamed.or_else(|| list.item.as_deref().filter(|item| *item == column))
    });
    for name in list.placeholders().filter(|name| resource.columns.contains_key(*name)) {
        if let Some(value) = values.get(name) {
            row.insert(name.to_owned(), value.clone());
        }
    }
    row
}

/// The row that Auth0's object shows, a singleton's own key included; `names` maps columns to fields
/// (`a.b`: one inside an object) where a list has names of its own.
pub fn row_from_auth0<'a>(
    resource: &'a Resource,
    object: &Map<String, Value>,
    names: impl Fn(&str) -> Option<&'a str>,
) -> Row {
    let mut row = Row::new();
    let mut extra = Map::new();
    let mut known = Vec::new();
    for (name, column) in &resource.columns {
        let field = names(name).unwrap_or_else(|| resource.field(name));
        known.push(field);
        let Some(value) = field_of(object, field).filter(|value| !value.is_null()) else { continue };
        if column.class == Class::WriteOnly {
            continue;
        }
        match fit(column.kind, value) {
            Some(mut value) => {
                column.strip_secrets(&mut value);
                row.insert(name.clone(), value);
            }
            None => {
                extra.insert(field.replace('\0', ""), without_nul(value));
            }
        }
    }
    fix_key(resource, &mut row);
    // A listed item of an association describes the other side, whose own table has it.
    if resource.kind != ResourceKind::Association {
        known.extend(resource.hidden.iter().map(|(name, column)| column.field.as_deref().unwrap_or(name)));
        let unknown =
            object.iter().filter(|(field, value)| !value.is_null() && !known.contains(&field.as_str()));
        extra.extend(unknown.map(|(field, value)| (field.replace('\0', ""), without_nul(value))));
    }
    if !extra.is_empty() {
        row.insert(EXTRA.to_owned(), Value::Object(extra));
    }
    row
}

/// The key of a table that has one row.
fn fix_key(resource: &Resource, row: &mut Row) {
    if let (NewKey::Fixed { value }, [key]) = (&resource.new_key, resource.key.as_slice()) {
        row.insert(key.clone(), Value::String(value.clone()));
    }
}

/// A field by its name; where there is none, by the path that its dots make.
fn field_of<'v>(object: &'v Map<String, Value>, field: &str) -> Option<&'v Value> {
    object.get(field).or_else(|| {
        let (first, rest) = field.split_once('.')?;
        field_of(object.get(first)?.as_object()?, rest)
    })
}

/// The value in the form in which Postgres shows a column of this type as JSON.
fn fit(kind: ColumnType, value: &Value) -> Option<Value> {
    match kind {
        ColumnType::Text => match value {
            Value::String(text) => Some(Value::String(text.replace('\0', ""))),
            Value::Number(_) | Value::Bool(_) => Some(Value::String(value.to_string())),
            _ => None,
        },
        ColumnType::Boolean => value.is_boolean().then(|| value.clone()),
        ColumnType::Bigint => match value {
            Value::Number(number) if number.is_i64() => Some(value.clone()),
            Value::Number(number) => {
                number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| Value::from(f as i64))
            }
            _ => None,
        },
        ColumnType::Double => value.as_f64().map(number),
        ColumnType::Timestamptz => value.as_str().and_then(timestamp).map(Value::String),
        ColumnType::TextArray => {
            value.as_array().filter(|items| items.iter().all(Value::is_string)).map(|_| without_nul(value))
        }
        ColumnType::Jsonb => Some(without_nul(value)),
    }
}

/// Postgres shows whole doubles without a fraction.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}

/// RFC 3339 as Postgres writes a timestamptz in JSON under UTC: microseconds, no trailing zeros, `+00:00`.
fn timestamp(text: &str) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    // Postgres has no year 0, writes longer years in its own way, and takes a leap second for the next.
    if !(1..=9999).contains(&time.year()) || time.nanosecond() >= 1_000_000_000 {
        return None;
    }
    let micros = time.to_rfc3339_opts(SecondsFormat::Micros, false);
    let (head, zone) = micros.split_at(micros.len() - "+00:00".len());
    let (seconds, fraction) = head.split_once('.').unwrap_or((head, ""));
    let fraction = fraction.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{seconds}{zone}") } else { format!("{seconds}.{fraction}{zone}") })
}

/// Postgres stores no NUL characters in text or jsonb.
fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| (key.replace('\0', ""), without_nul(value))).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_look_as_postgres_shows_them() {
        assert_eq!(timestamp("2024-01-02T03:04:05.120Z").as_deref(), Some("2024-01-02T03:04:05.12+00:00"));
        assert_eq!(timestamp("2024-01-02T03:04:05Z").as_deref(), Some("2024-01-02T03:04:05+00:00"));
        assert_eq!(timestamp("2024-01-02T03:04:05+02:00").as_deref(), Some("2024-01-02T01:04:05+00:00"));
        assert_eq!(timestamp("yesterday"), None);
    }

    #[test]
    fn whole_doubles_have_no_fraction_and_text_takes_scalars() {
        assert_eq!(fit(ColumnType::Double, &Value::from(72.0)), Some(Value::from(72)));
        assert_eq!(fit(ColumnType::Text, &Value::from(7)), Some(Value::from("7")));
        assert_eq!(fit(ColumnType::Boolean, &Value::from("true")), None);
    }
}
