//! What a tenant log entry says to read again, pure. A `sapi` entry names a call of the Management
//! API; other types name a row by fields that the catalogue knows.

use serde_json::{Map, Value};

use super::target::Target;
use crate::catalog::{Catalog, Resource, RowKey, path_matches};
use crate::pg::mirror::row_from_auth0;

/// Targets of one log entry; empty for what the mirror does not show, and for our own writes.
pub(super) fn targets(catalog: &Catalog, entry: &Value, instance: &str) -> Vec<Target> {
    let kind = entry.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind != "sapi" {
        return catalog.iter().flat_map(|resource| hinted(catalog, resource, kind, entry)).collect();
    }
    let correlation = entry.pointer("/references/correlation_id").and_then(Value::as_str);
    if correlation.is_some_and(|id| id.starts_with(instance)) {
        return Vec::new();
    }
    let method = entry.pointer("/details/request/method").and_then(Value::as_str).unwrap_or_default();
    let path = entry.pointer("/details/request/path").and_then(Value::as_str).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let Some(path) = path.strip_prefix("/api/v2") else { return Vec::new() };
    let answer = entry.pointer("/details/response/body").and_then(Value::as_object);
    let exact: Vec<Target> =
        catalog.iter().flat_map(|resource| called(resource, method, path, answer)).collect();
    if exact.is_empty() {
        catalog.iter().filter_map(|resource| above(resource, path)).collect()
    } else {
        exact
    }
}

fn hinted(catalog: &Catalog, resource: &Resource, kind: &str, entry: &Value) -> Vec<Target> {
    let hints = resource.log.iter().filter(|hint| hint.types.iter().any(|t| t == kind));
    let target = |hint: &crate::catalog::LogHint| {
        let values = hint.key.iter().map(|(column, field)| {
            let pointer = format!("/{}", field.replace('.', "/"));
            let value = entry.pointer(&pointer)?.as_str().filter(|text| !text.is_empty())?;
            Some((column.clone(), Value::String(value.to_owned())))
        });
        let values: Map<String, Value> = values.collect::<Option<_>>()?;
        match RowKey::of(resource, &values) {
            Some(key) => Target::row(catalog, &resource.table, key),
            None => resource.list.iter().enumerate().find_map(|(n, _)| Target::set(resource, n, &values)),
        }
    };
    hints.filter_map(target).collect()
}

/// What a call of this resource changed.
fn called(resource: &Resource, method: &str, path: &str, answer: Option<&Map<String, Value>>) -> Vec<Target> {
    let table = || resource.table.clone();
    for call in
        [resource.update.as_ref(), resource.delete.as_ref(), resource.get.as_ref()].into_iter().flatten()
    {
        if let Some(key) = path_matches(&call.path, path).and_then(|values| RowKey::of(resource, &values)) {
            return vec![Target::Row { table: table(), key }];
        }
        if !call.path.contains('{')
            && call.path == path
            && let crate::catalog::NewKey::Fixed { value } = &resource.new_key
        {
            return vec![Target::Row { table: table(), key: RowKey::single(value.clone()) }];
        }
    }
    for (n, list) in resource.list.iter().enumerate().filter(|(_, list)| list.parent.is_some()) {
        if let Some(values) = path_matches(&list.path, path) {
            return Target::set(resource, n, &values).into_iter().collect();
        }
    }
    let creates = resource.create.as_ref().is_some_and(|create| create.call.path == path);
    if creates && method.eq_ignore_ascii_case("post") {
        let made = answer.map(|answer| row_from_auth0(resource, answer, |_| None));
        return vec![match made.and_then(|row| RowKey::of(resource, &row)) {
            Some(key) => Target::Row { table: table(), key },
            None => Target::Table { table: table() },
        }];
    }
    Vec::new()
}

/// The row whose path starts this one: a part of it that has no table of its own was changed.
fn above(resource: &Resource, path: &str) -> Option<Target> {
    let template = &resource.get.as_ref()?.path;
    let length = template.split('/').count();
    let segments: Vec<_> = path.split('/').collect();
    let start = segments.get(..length)?.join("/");
    if segments.len() == length {
        return None;
    }
    let key = RowKey::of(resource, &path_matches(template, &start)?)?;
    Some(Target::Row { table: resource.table.clone(), key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sapi(method: &str, path: &str, answer: Value) -> Value {
        json!({"type": "sapi", "details": {"request": {"method": method, "path": path}, "response": {"body": answer}},
               "references": {"correlation_id": "somebody"}})
    }

    fn found(entry: &Value) -> Vec<Target> {
        targets(&Catalog::bundled().unwrap(), entry, "mine")
    }

    fn row(table: &str, key: &str) -> Target {
        Target::Row { table: table.into(), key: RowKey::single(key) }
    }

    #[test]
    fn calls_name_rows_sets_and_parents() {
        assert_eq!(found(&sapi("patch", "/api/v2/users/auth0%7C1", json!({}))), [row("user", "auth0|1")]);
        assert_eq!(found(&sapi("post", "/api/v2/roles", json!({"id": "rol_1"}))), [row("role", "rol_1")]);
        assert_eq!(found(&sapi("patch", "/api/v2/tenants/settings", json!({}))), [row("tenant", "tenant")]);
        assert_eq!(
            found(&sapi("post", "/api/v2/users/auth0%7C1/identities", json!([]))),
            [row("user", "auth0|1")]
        );
        let roles = Target::Set { table: "user_role".into(), list: 1, parent: vec!["auth0|1".into()] };
        assert_eq!(found(&sapi("delete", "/api/v2/users/auth0%7C1/roles", Value::Null)), [roles]);
        assert_eq!(found(&sapi("post", "/api/v2/elsewhere", json!({}))), []);
    }

    #[test]
    fn our_own_writes_name_nothing() {
        let mut entry = sapi("patch", "/api/v2/users/auth0%7C1", json!({}));
        entry["references"]["correlation_id"] = json!("mine-1");
        assert_eq!(found(&entry), []);
    }

    #[test]
    fn a_login_names_the_user() {
        assert_eq!(found(&json!({"type": "s", "user_id": "auth0|1"})), [row("user", "auth0|1")]);
        assert_eq!(found(&json!({"type": "s"})), []);
    }
}
