//! What a row looks like in an answer: fields that reading adds or hides, and the selection of
//! fields. It never changes the store.

use serde_json::Value;

use super::rules::{Fields, Rules, fill};
use super::store::Row;
use super::world::Request;

/// A row as reading it answers.
pub(super) fn read(rules: &Rules, request: &Request, row: &Row) -> Fields {
    let mut fields = visible(rules, request, row);
    fill(&mut fields, &rules.read);
    for path in rules.kind_of(&row.body).into_iter().flat_map(|kind| &kind.unread) {
        remove(&mut fields, path);
    }
    fields
}

/// A row as the answer to a write.
pub(super) fn written(rules: &Rules, request: &Request, row: &Row) -> Fields {
    let mut fields = visible(rules, request, row);
    fill(&mut fields, &rules.written);
    fields
}

fn visible(rules: &Rules, request: &Request, row: &Row) -> Fields {
    let mut fields = row.body.clone();
    for name in &rules.hidden_when_empty {
        if fields.get(name).and_then(Value::as_object).is_some_and(|object| object.is_empty()) {
            fields.shift_remove(name);
        }
    }
    for (name, scope) in &rules.scoped {
        if !request.claims.allow(&[scope]) {
            fields.shift_remove(name);
        }
    }
    fields
}

fn remove(fields: &mut Fields, path: &str) {
    match path.split_once('.') {
        None => {
            fields.shift_remove(path);
        }
        Some((first, rest)) => {
            if let Some(Value::Object(inner)) = fields.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// Keeps what `fields` and `include_fields` ask for; `always` remains under any selection.
pub(super) fn select(request: &Request, always: &[String], mut fields: Fields) -> Fields {
    let Some(names) = request.param("fields").filter(|names| !names.is_empty()) else { return fields };
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let include = request.param("include_fields") != Some("false");
    fields.retain(|name, _| names.contains(&name.as_str()) == include || always.contains(name));
    fields
}

/// Keeps the fields that items of this resource have in another resource's lists.
pub(super) fn as_item(rules: &Rules, mut fields: Fields) -> Fields {
    if !rules.item.is_empty() {
        fields.retain(|name, _| rules.item.contains(name));
    }
    fields
}
