//! The catalogue as JSON, for programs.

use serde_json::{Map, Value, json};

use super::describe::{Abilities, mentions, operations, remarks, writers};
use crate::catalog::{Catalog, Column, JsonShape, Merge, Resource, WriteCall};

/// One table: `table`, `tag`, `kind`, `lifecycle`, `can`, `operations`, `remarks`, `columns`, and what
/// else is not empty.
pub(super) fn table(catalog: &Catalog, resource: &Resource) -> Value {
    let operations: Vec<Value> = operations(resource)
        .into_iter()
        .map(|o| {
            present([
                ("operation", json!(o.name)),
                ("method", json!(o.method)),
                ("path", json!(o.path)),
                ("any_scope", json!(o.scopes)),
                ("when", json!(o.when)),
            ])
        })
        .collect();
    let can = Abilities::of(catalog, resource);
    let columns = resource.columns.iter().map(|(name, c)| column(resource, can, name, c));
    let columns: Vec<Value> = columns.collect();
    let can = json!({"insert": can.insert, "read": can.read, "update": can.update, "delete": can.delete});
    let remarks = remarks(catalog, resource).into_iter();
    let remarks: Vec<_> =
        remarks.map(|remark| mentions(catalog, &remark, |table| format!("`{table}`"))).collect();
    present([
        ("table", json!(resource.table)),
        ("tag", json!(resource.tag)),
        ("kind", json!(resource.kind.as_str())),
        ("comment", json!(resource.comment)),
        ("lifecycle", json!(resource.lifecycle.as_str())),
        ("optional", json!(resource.optional)),
        ("refusal", json!(resource.refusal)),
        ("key", json!(resource.key)),
        ("view_of", json!(resource.view.as_ref().map(|view| &view.of))),
        ("can", can),
        ("operations", json!(operations)),
        ("remarks", json!(remarks)),
        ("columns", json!(columns)),
    ])
}

fn column(resource: &Resource, can: Abilities, name: &str, column: &Column) -> Value {
    let merge = match column.merge {
        Merge::Replace => None,
        Merge::Keys => Some("keys"),
        Merge::ReadKeys => Some("read_keys"),
    };
    let only_on = column.only_on.map(|call| match call {
        WriteCall::Create => "insert",
        WriteCall::Update => "update",
    });
    let shape = column.json.map(|json| match json {
        JsonShape::Object => "object",
        JsonShape::Array => "array",
    });
    let some = |values: &Vec<String>| if values.is_empty() { Value::Null } else { json!(values) };
    present([
        ("name", json!(name)),
        ("field", json!(resource.field(name))),
        ("type", json!(column.kind.sql())),
        ("class", json!(column.class.as_str())),
        ("written_by", json!(writers(can, column))),
        ("comment", json!(column.comment)),
        ("required", json!(column.required)),
        ("secret", json!(column.secret)),
        ("secret_keys", some(&column.secret_keys)),
        ("secret_paths", some(&column.secret_paths)),
        ("only_on", json!(only_on)),
        ("references", json!(column.references)),
        ("scope", json!(column.scope)),
        ("format", json!(column.format.map(|format| format.as_str()))),
        ("pattern", json!(column.pattern)),
        ("enum", some(&column.values)),
        ("min_length", json!(column.min_length)),
        ("max_length", json!(column.max_length)),
        ("minimum", json!(column.minimum)),
        ("maximum", json!(column.maximum)),
        ("min_items", json!(column.min_items)),
        ("max_items", json!(column.max_items)),
        ("max_properties", json!(column.max_properties)),
        ("json", json!(shape)),
        ("merge", json!(merge)),
    ])
}

fn present<const N: usize>(all: [(&str, Value); N]) -> Value {
    let present = all.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}
