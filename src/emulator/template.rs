//! Templates of the catalogue's `[emulator]` tables: JSON whose texts may name values of the call.
//!
//! A text that begins with `$` is an expression and gives a value of any type:
//! `$now` (a time; `$now+3600`, `$now-60` in seconds), `$unix` (seconds), `$host`, `$tenant`,
//! `$caller` (the client's id), `$path.<column>`, `$body.<field>`, `$query.<parameter>`,
//! `$row.<field>` (the row written, deleted, or named by the path), `$answer.<field>` (what the call
//! answers), `$null`, each with a dotted way into it, or alone for the whole. `|` gives what stands
//! in for nothing: `$body.ttl_sec|432000`. Without a value the field is left out.
//!
//! In other texts `{16}` becomes 16 letters or digits, `{24x}` hexadecimal digits, `{uuid}` one, `{host}` and
//! `{tenant}` what they say, and `{name}` the value in the path, the body or the row; other braces stay.

use std::cell::RefCell;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use serde_json::Value;

use super::ids;
use super::options::Credentials;
use super::rules::Fields;
use super::world::Request;

/// What a template may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Context<'a> {
    /// Host of the tenant.
    pub(super) host: &'a str,
    /// Name of the tenant.
    pub(super) tenant: &'a str,
    /// Id of the client that asks.
    pub(super) caller: &'a str,
    /// When it asks.
    pub(super) now: DateTime<Utc>,
    /// Values of the path's placeholders.
    pub(super) path: Option<&'a Fields>,
    /// Query parameters.
    pub(super) query: &'a [(String, String)],
    /// The request's body.
    pub(super) body: Option<&'a Value>,
    /// The row that the call is about.
    pub(super) row: Option<&'a Fields>,
    /// The answer so far.
    pub(super) answer: Option<&'a Value>,
    /// The machine-to-machine client of a tenant in the making: `$client_id`, `$client_secret`.
    pub(super) client: Option<&'a Credentials>,
    /// Where ids come from, where they are the same every time.
    pub(super) rng: Option<&'a RefCell<StdRng>>,
}

impl<'a> Context<'a> {
    /// The context of a request.
    pub(super) fn of(request: &'a Request, path: &'a Fields) -> Context<'a> {
        Context {
            host: &request.host,
            tenant: &request.tenant,
            caller: &request.claims.client_id,
            now: request.now,
            path: Some(path),
            query: &request.query,
            body: request.body.as_ref(),
            ..Context::default()
        }
    }

    /// What a template gives; none where it is one expression without a value.
    pub(super) fn value(&self, template: &Value) -> Option<Value> {
        Some(match template {
            Value::String(text) if text.starts_with('$') => self.expression(text)?,
            Value::String(text) if text.contains('{') => Value::String(self.text(text)),
            Value::Array(items) => items.iter().filter_map(|item| self.value(item)).collect(),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            other => other.clone(),
        })
    }

    /// The same of an object's fields.
    pub(super) fn fields(&self, template: &Fields) -> Fields {
        template.iter().filter_map(|(name, value)| Some((name.clone(), self.value(value)?))).collect()
    }

    /// The value of an expression.
    pub(super) fn expression(&self, text: &str) -> Option<Value> {
        let (expression, otherwise) = text.split_once('|').map_or((text, None), |(e, o)| (e, Some(o)));
        let found = self.named(expression).filter(|value| expression == "$null" || !value.is_null());
        found.or_else(|| {
            let otherwise = otherwise?;
            if otherwise.starts_with('$') {
                return self.expression(otherwise);
            }
            Some(serde_json::from_str(otherwise).unwrap_or_else(|_| Value::String(self.text(otherwise))))
        })
    }

    /// An id of a shape.
    pub(super) fn shaped(&self, shape: &str) -> String {
        match self.rng {
            Some(rng) => ids::shaped_by(&mut *rng.borrow_mut(), shape),
            None => ids::shaped(shape),
        }
    }

    fn named(&self, expression: &str) -> Option<Value> {
        let (name, way) = expression.split_once('.').unwrap_or((expression, ""));
        let inside = |fields: Option<&Fields>| match way {
            "" => fields.cloned().map(Value::Object),
            _ => fields.and_then(|fields| at(fields, way)).cloned(),
        };
        let within = |value: Option<&Value>| match way {
            "" => value.cloned(),
            _ => value.and_then(Value::as_object).and_then(|fields| at(fields, way)).cloned(),
        };
        match name {
            "$null" => Some(Value::Null),
            "$host" => Some(self.host.into()),
            "$tenant" => Some(self.tenant.into()),
            "$caller" => Some(self.caller.into()),
            "$client_id" => Some(self.client?.id.as_str().into()),
            "$client_secret" => Some(self.client?.secret.as_str().into()),
            "$unix" => Some(self.now.timestamp().into()),
            "$path" => inside(self.path),
            "$row" => inside(self.row),
            "$body" => within(self.body),
            "$answer" => within(self.answer),
            "$query" => {
                self.query.iter().find(|(name, _)| name == way).map(|(_, value)| value.as_str().into())
            }
            _ => {
                let seconds = expression.strip_prefix("$now")?;
                let seconds: i64 = if seconds.is_empty() { 0 } else { seconds.parse().ok()? };
                Some(ids::time(self.now + TimeDelta::seconds(seconds)).into())
            }
        }
    }

    /// A text with its braces filled.
    fn text(&self, template: &str) -> String {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                text.push('{');
                rest = after;
                continue;
            };
            match self.brace(name) {
                Some(value) => {
                    text.push_str(&value);
                    rest = tail;
                }
                None => {
                    text.push('{');
                    rest = after;
                }
            }
        }
        text + rest
    }

    fn brace(&self, name: &str) -> Option<String> {
        let digits = name.strip_suffix('x').unwrap_or(name);
        if name == "uuid" || !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(self.shaped(&format!("{{{name}}}")));
        }
        if let Some(Value::String(text)) = self.named(&format!("${name}")) {
            return Some(text);
        }
        let body = self.body.and_then(Value::as_object);
        let value = [self.path, body, self.row].into_iter().flatten().find_map(|fields| at(fields, name))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// The value at a dotted way into an object; numbers count the items of arrays.
pub(super) fn at<'v>(fields: &'v Fields, way: &str) -> Option<&'v Value> {
    let mut parts = way.split('.');
    let first = fields.get(parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Sets the value at a dotted way; objects on the way are made where they lack.
pub(super) fn put_at(fields: &mut Fields, way: &str, value: Value) {
    match way.split_once('.') {
        None => drop(fields.insert(way.to_owned(), value)),
        Some((first, rest)) => {
            let inner = fields.entry(first.to_owned()).or_insert_with(|| Value::Object(Fields::new()));
            if !inner.is_object() {
                *inner = Value::Object(Fields::new());
            }
            if let Value::Object(inner) = inner {
                put_at(inner, rest, value);
            }
        }
    }
}

/// Removes the value at a dotted way; `secrets[].value` means it in every item.
pub(super) fn remove_at(fields: &mut Fields, way: &str) {
    let Some((first, rest)) = way.split_once('.') else {
        fields.shift_remove(way);
        return;
    };
    match fields.get_mut(first.trim_end_matches("[]")) {
        Some(Value::Object(inner)) => remove_at(inner, rest),
        Some(Value::Array(items)) if first.ends_with("[]") => {
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| remove_at(item, rest));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_and_expressions_are_filled() {
        let (body, path) = (json!({"ttl": 5, "email": "a@b.example"}), json!({"id": "rol_1"}));
        let context =
            Context { host: "t.example", path: path.as_object(), body: Some(&body), ..Context::default() };
        let template = json!({
            "a": "$path.id", "b": "$body.ttl|9", "c": "$body.none|9", "d": "$body.none",
            "e": "https://{host}/{id}?e={email}#{other}", "f": "$null", "g": [{"h": "$body.ttl"}],
        });
        let filled = context.value(&template).unwrap();
        assert_eq!(
            filled,
            json!({
                "a": "rol_1", "b": 5, "c": 9, "e": "https://t.example/rol_1?e=a@b.example#{other}",
                "f": null, "g": [{"h": 5}],
            })
        );
        assert_eq!(context.value(&json!("x{4}y")).unwrap().as_str().map(str::len), Some(6));
    }
}
