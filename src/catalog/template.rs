//! `{column}` placeholders in paths and bodies.

use indexmap::IndexMap;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

/// What must be escaped in one path segment; `|` too, because user ids carry it.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The column that a text stands for, where it is a placeholder: `{column}`.
pub fn placeholder(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}')
}

/// Names of the placeholders of a path, in order.
pub fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(placeholder)
}

/// The path with every `{column}` replaced by the percent-encoded value; none where one is missing.
pub fn fill_path(path: &str, values: &Map<String, Value>) -> Option<String> {
    let mut filled = Vec::new();
    for segment in path.split('/') {
        match placeholder(segment) {
            Some(column) => {
                let value = values.get(column)?.as_str()?;
                filled.push(utf8_percent_encode(value, SEGMENT).to_string());
            }
            None => filled.push(segment.to_owned()),
        }
    }
    Some(filled.join("/"))
}

/// A body template with every `"{column}"` replaced by the row's JSON value. What the row lacks is left
/// out of objects and arrays; none where the template is nothing but that.
pub fn fill_body(template: &toml::Value, values: &Map<String, Value>) -> Option<Value> {
    Some(match template {
        toml::Value::String(text) => match placeholder(text) {
            Some(column) => values.get(column).filter(|value| !value.is_null())?.clone(),
            None => Value::String(text.clone()),
        },
        toml::Value::Array(items) => items.iter().filter_map(|item| fill_body(item, values)).collect(),
        toml::Value::Table(table) => Value::Object(
            table.iter().filter_map(|(key, item)| Some((key.clone(), fill_body(item, values)?))).collect(),
        ),
        toml::Value::Boolean(value) => Value::Bool(*value),
        toml::Value::Integer(value) => Value::from(*value),
        toml::Value::Float(value) => Value::from(*value),
        toml::Value::Datetime(value) => Value::String(value.to_string()),
    })
}

/// Query parameters with every `{column}` replaced by the row's value; those that it lacks are left out.
pub fn fill_query(query: &IndexMap<String, String>, values: &Map<String, Value>) -> Vec<(String, String)> {
    let filled = query.iter().filter_map(|(name, template)| {
        let value = match placeholder(template) {
            Some(column) => match values.get(column)? {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            None => template.clone(),
        };
        Some((name.clone(), value))
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_filled_and_encoded() {
        let values = json!({"user_id": "auth0|a/b"});
        let path = fill_path("/users/{user_id}/roles", values.as_object().unwrap());
        assert_eq!(path.as_deref(), Some("/users/auth0%7Ca%2Fb/roles"));
        assert_eq!(fill_path("/roles/{id}", values.as_object().unwrap()), None);
    }

    #[test]
    fn a_body_is_filled_inside_arrays() {
        let template: toml::Value = toml::from_str("roles = [\"{role_id}\"]").unwrap();
        let values = json!({"role_id": "rol_1"});
        assert_eq!(fill_body(&template, values.as_object().unwrap()), Some(json!({"roles": ["rol_1"]})));
    }
}
