//! Checks a body against the catalogue's columns, with refusals worded as Auth0 words them. It
//! never looks at the store.

use serde_json::Value;

use super::problem::Problem;
use super::rules::{Fields, Rules};
use crate::catalog::{Class, Column, ColumnType, Format, Resource, WriteCall};

/// Checks the body of a create or an update.
///
/// # Errors
/// Auth0's refusal, for the first thing that is wrong.
pub(super) fn check(
    resource: &Resource,
    rules: &Rules,
    call: WriteCall,
    body: &Fields,
) -> Result<(), Problem> {
    for name in body.keys() {
        let known = column(resource, name).is_some_and(|column| takes(column, call));
        if !known && !rules.accepts.contains(name) && !rules.transient.contains(name) {
            return Err(Problem::payload(&format!("Additional properties not allowed: {name}"), None));
        }
    }
    if call == WriteCall::Create {
        for (name, column) in &resource.columns {
            let name = resource.field(name);
            if column.required && takes(column, call) && !body.contains_key(name) {
                return Err(Problem::payload(&format!("Missing required property: {name}"), None));
            }
        }
    }
    for (name, value) in body {
        if let Some(column) = column(resource, name)
            && let Some(what) = fault(column, value)
        {
            return Err(Problem::payload(&what, Some((name, &column.comment))));
        }
    }
    Ok(())
}

/// The column that shows a field.
pub(super) fn column<'a>(resource: &'a Resource, field: &str) -> Option<&'a Column> {
    let mut columns = resource.columns.iter();
    columns.find(|(name, _)| resource.field(name) == field).map(|(_, column)| column)
}

fn takes(column: &Column, call: WriteCall) -> bool {
    let class = match column.class {
        Class::ReadOnly => false,
        Class::CreateOnly => call == WriteCall::Create,
        Class::Writable | Class::WriteOnly => true,
    };
    class && column.only_on.is_none_or(|only| only == call)
}

fn fault(column: &Column, value: &Value) -> Option<String> {
    // Null unsets.
    if value.is_null() {
        return None;
    }
    let expected = match column.kind {
        ColumnType::Text | ColumnType::Timestamptz => "string",
        ColumnType::Boolean => "boolean",
        ColumnType::Bigint => "integer",
        ColumnType::Double => "number",
        ColumnType::TextArray => "array",
        ColumnType::Jsonb => return None,
    };
    let found = type_name(value);
    if found != expected && !(expected == "number" && found == "integer") {
        return Some(format!("Expected type {expected} but found type {found}"));
    }
    match value {
        Value::String(text) => text_fault(column, text),
        Value::Number(number) => number_fault(column, number.as_f64()?),
        Value::Array(items) => {
            let strange = items.iter().find(|item| !item.is_string())?;
            Some(format!("Expected type string but found type {}", type_name(strange)))
        }
        _ => None,
    }
}

fn text_fault(column: &Column, text: &str) -> Option<String> {
    let length = text.chars().count();
    if !column.values.is_empty() && !column.values.iter().any(|value| value == text) {
        return Some(format!("No enum match for: {text}"));
    }
    if let Some(least) = column.min_length.filter(|least| length < *least as usize) {
        return Some(format!("String is too short ({length} chars), minimum {least}"));
    }
    if let Some(most) = column.max_length.filter(|most| length > *most as usize) {
        return Some(format!("String is too long ({length} chars), maximum {most}"));
    }
    let matches = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    if let Some(pattern) = column.pattern.as_deref().filter(|pattern| !matches(pattern)) {
        return Some(format!("String does not match pattern {pattern}: {text}"));
    }
    let format = column.format.filter(|format| !matches(format.pattern()))?;
    let name = match format {
        Format::Email => "email",
        Format::Uri => "uri",
        Format::UriOrEmpty => "absolute-uri-or-empty",
        Format::HttpsUriOrEmpty => "absolute-https-uri-or-empty",
    };
    Some(format!("Object didn't pass validation for format {name}: {text}"))
}

fn number_fault(column: &Column, number: f64) -> Option<String> {
    if let Some(least) = column.minimum.filter(|least| number < *least) {
        return Some(format!("Value {number} is less than minimum {least}"));
    }
    let most = column.maximum.filter(|most| number > *most)?;
    Some(format!("Value {number} is greater than maximum {most}"))
}

/// JSON Schema's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
