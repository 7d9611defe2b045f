//! Checks a body against the catalogue's columns and what `inside` says of its parts, with refusals
//! worded as Auth0 words them. It never looks at the store.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

use super::problem::Problem;
use super::rules::{Fields, Inside, Rules};
use crate::catalog::{Class, Column, ColumnType, Format, JsonShape, Resource, WriteCall};

/// Checks the body of a create or an update; `known` are the values that the path gives.
///
/// # Errors
/// Auth0's refusal, for the first thing that is wrong.
pub(super) fn check(
    resource: &Resource,
    rules: &Rules,
    call: WriteCall,
    known: &Fields,
    body: &Fields,
) -> Result<(), Problem> {
    let in_path = |name: &str| known.contains_key(name);
    for name in body.keys() {
        let takes = columns(resource, name).any(|(column, shape)| !in_path(column) && takes(shape, call));
        if !takes && !rules.accepts.contains(name) && !rules.transient.contains(name) {
            return Err(Problem::payload(&format!("Additional properties not allowed: {name}"), None));
        }
    }
    if call == WriteCall::Create {
        for (name, column) in &resource.columns {
            let field = resource.write_field(name);
            if column.required && takes(column, call) && !in_path(name) && !body.contains_key(field) {
                return Err(Problem::payload(&format!("Missing required property: {field}"), None));
            }
        }
    }
    for (name, value) in body {
        if let Some((_, column)) = columns(resource, name).find(|(column, _)| !in_path(column))
            && let Some(what) = fault(column, value)
        {
            return Err(Problem::payload(&what, Some((name, &column.comment))));
        }
    }
    parts(rules, &Value::Object(body.clone()))
}

/// Checks a body that is the value of one column.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn check_whole(column: &Column, rules: &Rules, value: &Value) -> Result<(), Problem> {
    match fault(column, value) {
        Some(what) => Err(Problem::payload(&what, None)),
        None => parts(rules, value),
    }
}

/// Checks the parts of a body that `inside` describes.
///
/// # Errors
/// Auth0's refusal, for the first thing that is wrong.
pub(super) fn parts(rules: &Rules, body: &Value) -> Result<(), Problem> {
    for (place, inside) in &rules.inside {
        let steps: Vec<&str> = place.split('.').collect();
        walk(body, &steps, String::new(), inside)?;
    }
    Ok(())
}

fn walk(value: &Value, steps: &[&str], place: String, inside: &Inside) -> Result<(), Problem> {
    let Some((step, rest)) = steps.split_first() else {
        return match inside_fault(inside, value) {
            None => Ok(()),
            Some(what) => Err(placed(&what, &place, inside)),
        };
    };
    let (name, arrays) = step.split_once("[]").map_or((*step, false), |(name, _)| (name, true));
    let here = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let found = match name {
        "" => Some(value),
        _ => match value {
            Value::Object(fields) => match fields.get(name) {
                None if inside.required && rest.is_empty() => {
                    let what = format!("Missing required property: {name}");
                    return Err(placed(&what, &place, inside));
                }
                found => found,
            },
            _ => None,
        },
    };
    match found {
        None | Some(Value::Null) if !rest.is_empty() || found.is_none() || inside.nullable => Ok(()),
        Some(Value::Array(items)) if arrays => items
            .iter()
            .enumerate()
            .try_for_each(|(number, item)| walk(item, rest, format!("{here}[{number}]"), inside)),
        Some(value) if !arrays => walk(value, rest, here, inside),
        _ => Ok(()),
    }
}

fn placed(what: &str, place: &str, inside: &Inside) -> Problem {
    match place {
        "" => Problem::payload(what, None),
        _ => Problem::payload(what, Some((place, inside.comment.as_deref().unwrap_or_default()))),
    }
}

/// The columns that stand for a field of a body.
pub(super) fn columns<'a>(
    resource: &'a Resource,
    field: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Column)> {
    let columns = resource.columns.iter().map(|(name, column)| (name.as_str(), column));
    columns.filter(move |(name, _)| resource.write_field(name) == field)
}

/// The column that a field of a body stands for.
pub(super) fn column<'a>(resource: &'a Resource, field: &'a str) -> Option<&'a Column> {
    columns(resource, field).next().map(|(_, column)| column)
}

fn takes(column: &Column, call: WriteCall) -> bool {
    let class = match column.class {
        Class::ReadOnly => false,
        Class::CreateOnly => call == WriteCall::Create,
        Class::Writable | Class::WriteOnly => true,
    };
    class && column.only_on.is_none_or(|only| only == call)
}

/// What is wrong with a value of a column.
pub(super) fn fault(column: &Column, value: &Value) -> Option<String> {
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
        ColumnType::Jsonb => match column.json {
            Some(JsonShape::Array) => "array",
            Some(JsonShape::Object) => "object",
            None => return json_fault(column, value),
        },
    };
    let found = type_name(value);
    if found != expected && !(expected == "number" && found == "integer") {
        return Some(format!("Expected type {expected} but found type {found}"));
    }
    match value {
        Value::String(text) => text_fault(column, text),
        Value::Number(number) => number_fault(column.minimum, column.maximum, number.as_f64()?),
        Value::Array(_) | Value::Object(_) => json_fault(column, value),
        _ => None,
    }
}

fn json_fault(column: &Column, value: &Value) -> Option<String> {
    let size = |limit: Option<u32>| limit.map(|limit| limit as usize);
    match value {
        Value::Array(items) => {
            if column.kind == ColumnType::TextArray {
                if let Some(strange) = items.iter().find(|item| !item.is_string()) {
                    return Some(format!("Expected type string but found type {}", type_name(strange)));
                }
                if let Some(fault) =
                    items.iter().filter_map(Value::as_str).find_map(|i| enum_fault(&column.values, i))
                {
                    return Some(fault);
                }
            }
            items_fault(size(column.min_items), size(column.max_items), items)
        }
        Value::Object(fields) => {
            let most = size(column.max_properties).filter(|most| fields.len() > *most)?;
            Some(format!("Too many properties defined ({}), maximum {most}", fields.len()))
        }
        _ => None,
    }
}

fn enum_fault(values: &[String], text: &str) -> Option<String> {
    let known = values.is_empty() || values.iter().any(|value| value == text);
    (!known).then(|| format!("No enum match for: {text}"))
}

fn items_fault(least: Option<usize>, most: Option<usize>, items: &[Value]) -> Option<String> {
    let length = items.len();
    if let Some(least) = least.filter(|least| length < *least) {
        return Some(format!("Array is too short ({length}), minimum {least}"));
    }
    let most = most.filter(|most| length > *most)?;
    Some(format!("Array is too long ({length}), maximum {most}"))
}

fn length_fault(least: Option<usize>, most: Option<usize>, text: &str) -> Option<String> {
    let length = text.chars().count();
    if let Some(least) = least.filter(|least| length < *least) {
        return Some(format!("String is too short ({length} chars), minimum {least}"));
    }
    let most = most.filter(|most| length > *most)?;
    Some(format!("String is too long ({length} chars), maximum {most}"))
}

fn matches(pattern: &str, text: &str) -> bool {
    static READ: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let known = read.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    known.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn pattern_fault(pattern: Option<&str>, format: Option<&str>, text: &str) -> Option<String> {
    let pattern = pattern.filter(|pattern| !matches(pattern, text))?;
    Some(match format {
        Some(format) => format!("Object didn't pass validation for format {format}: {text}"),
        None => format!("String does not match pattern {pattern}: {text}"),
    })
}

fn text_fault(column: &Column, text: &str) -> Option<String> {
    if let Some(fault) = enum_fault(&column.values, text) {
        return Some(fault);
    }
    let size = |limit: Option<u32>| limit.map(|limit| limit as usize);
    if let Some(fault) = length_fault(size(column.min_length), size(column.max_length), text) {
        return Some(fault);
    }
    if let Some(fault) = pattern_fault(column.pattern.as_deref(), None, text) {
        return Some(fault);
    }
    let format = column.format?;
    let name = match format {
        Format::Email | Format::Uri => format.as_str(),
        Format::UriOrEmpty => "absolute-uri-or-empty",
        Format::HttpsUriOrEmpty => "absolute-https-uri-or-empty",
    };
    pattern_fault(Some(format.pattern()), Some(name), text)
}

fn number_fault(least: Option<f64>, most: Option<f64>, number: f64) -> Option<String> {
    if let Some(least) = least.filter(|least| number < *least) {
        return Some(format!("Value {number} is less than minimum {least}"));
    }
    let most = most.filter(|most| number > *most)?;
    Some(format!("Value {number} is greater than maximum {most}"))
}

fn inside_fault(inside: &Inside, value: &Value) -> Option<String> {
    if value.is_null() && inside.nullable {
        return None;
    }
    let found = type_name(value);
    if let Some(expected) = inside.kind.as_deref()
        && found != expected
        && !(expected == "number" && found == "integer")
    {
        return Some(format!("Expected type {expected} but found type {found}"));
    }
    match value {
        Value::String(text) => enum_fault(&inside.values, text)
            .or_else(|| length_fault(inside.min_length, inside.max_length, text))
            .or_else(|| {
                let known = inside.format.as_deref().filter(|format| *format == Format::Email.as_str());
                let pattern = inside.pattern.as_deref().or(known.map(|_| Format::Email.pattern()));
                pattern_fault(pattern, inside.format.as_deref(), text)
            }),
        Value::Number(number) => number_fault(inside.minimum, inside.maximum, number.as_f64()?),
        Value::Array(items) => {
            if let Some(fault) = items_fault(inside.min_items, inside.max_items, items) {
                return Some(fault);
            }
            if !inside.unique {
                return None;
            }
            let twin = items.iter().enumerate().find_map(|(second, item)| {
                let first = items[..second].iter().position(|other| other == item)?;
                Some((first, second))
            });
            let (first, second) = twin?;
            Some(format!("Array items are not unique (indexes {first} and {second})"))
        }
        Value::Object(fields) => {
            let strange =
                fields.keys().find(|name| !inside.only.is_empty() && !inside.only.contains(name))?;
            Some(format!("Additional properties not allowed: {strange}"))
        }
        _ => None,
    }
}

/// Checks the values in a path.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn path(resource: &Resource, rules: &Rules, values: &Fields) -> Result<(), Problem> {
    for (name, value) in values {
        let Some(text) = value.as_str() else { continue };
        let column = resource.columns.get(name);
        if let Some(shape) = rules.path.get(name) {
            let made = rules.id.as_deref().map(id_pattern);
            let pattern = shape.pattern.clone().or(made);
            if let Some(what) = pattern_fault(pattern.as_deref(), Some(&shape.format), text) {
                let property = shape.name.as_deref().unwrap_or(name);
                return Err(Problem::path(&what, (property, shape.comment.as_deref().unwrap_or_default())));
            }
        } else if let Some(column) = column.filter(|column| !column.values.is_empty())
            && let Some(what) = enum_fault(&column.values, text)
        {
            return Err(Problem::path(&what, (name, &column.comment)));
        }
    }
    Ok(())
}

/// What fits the shape of an id: `est_{16}` is a prefix and 16 letters or digits.
fn id_pattern(shape: &str) -> String {
    let mut pattern = String::from("^");
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('{') {
        let (count, tail) = after.split_once('}').unwrap_or((after, ""));
        pattern.push_str(&regex::escape(before));
        match count.strip_suffix('x') {
            Some(count) => pattern.push_str(&format!("[0-9a-f]{{{count}}}")),
            None if count == "uuid" => pattern.push_str("[0-9a-f-]{36}"),
            None => pattern.push_str(&format!("[A-Za-z0-9]{{{count}}}")),
        }
        rest = tail;
    }
    pattern + &regex::escape(rest) + "$"
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
