//! Compares what Auth0 has with what a client had before it when it wrote, for mutations that are
//! refused where the two differ. Only columns that the client writes count: a login that changes
//! others is no conflict. Pure.

use serde_json::{Map, Value};

use super::call::holds;
use super::request::Content;
use crate::catalog::{Class, Resource};
use crate::pg::mirror::{Operation, Row};

/// The columns in which Auth0's row is not what the client wrote on.
pub(super) fn changed(resource: &Resource, base: &Row, content: &Content, there: &Row) -> Vec<String> {
    let counts = |name: &str| match content.operation {
        Operation::Update => true,
        // Of a row that goes, everything that anybody may write.
        Operation::Delete => resource.columns.get(name).is_some_and(|c| c.class == Class::Writable),
        Operation::Insert => false,
    };
    let differs = |name: &str, before: &Value| {
        let now = there.get(name).unwrap_or(&Value::Null);
        let merges = resource.columns.get(name).is_some_and(|column| column.merge.by_key());
        match content.operation {
            Operation::Update if merges => {
                let written = content.after.get(name).unwrap_or(&Value::Null);
                keys(before).chain(keys(written)).any(|key| !same(now.get(key), before.get(key)))
            }
            _ => !same(Some(now), Some(before)),
        }
    };
    let found = base.iter().filter(|(name, before)| counts(name) && differs(name, before));
    found.map(|(name, _)| name.clone()).collect()
}

fn keys(value: &Value) -> impl Iterator<Item = &String> {
    value.as_object().into_iter().flat_map(Map::keys)
}

/// Whether two values are the same; Auth0 leaves out what is empty.
fn same(now: Option<&Value>, before: Option<&Value>) -> bool {
    let (now, before) = (now.unwrap_or(&Value::Null), before.unwrap_or(&Value::Null));
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if empty(now) || empty(before) {
        return empty(now) && empty(before);
    }
    match (now.as_f64(), before.as_f64()) {
        (Some(now), Some(before)) => now == before,
        _ => holds(Some(now), before) && holds(Some(before), now),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn row(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    fn found(operation: Operation, base: Value, after: Value, there: Value) -> Vec<String> {
        let catalog = Catalog::bundled().unwrap();
        let content = Content {
            operation,
            key: row(json!({"user_id": "auth0|a"})),
            before: row(base.clone()),
            after: row(after),
            write_only: Row::new(),
        };
        changed(catalog.resource("user").unwrap(), &row(base), &content, &row(there))
    }

    #[test]
    fn only_what_the_client_writes_can_conflict() {
        let (base, after) = (json!({"nickname": "old"}), json!({"nickname": "new"}));
        let there = |nickname: &str| json!({"nickname": nickname, "given_name": "Other", "logins_count": 7});
        assert!(found(Operation::Update, base.clone(), after.clone(), there("old")).is_empty());
        assert_eq!(found(Operation::Update, base, after, there("newer")), ["nickname"]);
        let (base, after) = (json!({"nickname": null}), json!({"nickname": "new"}));
        assert!(found(Operation::Update, base.clone(), after.clone(), json!({})).is_empty());
        assert_eq!(found(Operation::Update, base, after, there("taken")), ["nickname"]);
    }

    #[test]
    fn objects_that_merge_are_compared_by_the_keys_that_are_written() {
        let (base, after) = (json!({"app_metadata": {"a": 1}}), json!({"app_metadata": {"a": 2, "new": 1}}));
        let there = |value: Value| json!({ "app_metadata": value });
        let update = |now: Value| found(Operation::Update, base.clone(), after.clone(), there(now));
        assert!(update(json!({"a": 1, "other": true})).is_empty());
        assert_eq!(update(json!({"a": 3})), ["app_metadata"]);
        assert_eq!(update(json!({"a": 1, "new": 9})), ["app_metadata"]);
        assert_eq!(update(json!(null)), ["app_metadata"]);
    }

    #[test]
    fn a_row_that_goes_is_compared_as_a_whole_but_for_what_auth0_alone_writes() {
        let base = json!({"user_id": "auth0|a", "nickname": "old", "logins_count": 3, "user_metadata": {"a": 1}, "mine": "x"});
        let delete = |there: Value| found(Operation::Delete, base.clone(), json!({}), there);
        assert!(delete(json!({"nickname": "old", "logins_count": 4, "user_metadata": {"a": 1}})).is_empty());
        let there = json!({"nickname": "old", "user_metadata": {"a": 1, "b": 2}});
        assert_eq!(delete(there), ["user_metadata"]);
    }
}
