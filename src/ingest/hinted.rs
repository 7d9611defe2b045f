//! What a tenant log entry that is no call of the Management API says to read again, pure: fields of it
//! that the catalogue knows name a row, or a part of a table that is exported by itself.

use serde_json::{Map, Value};

use super::hints::row_or_set;
use crate::catalog::{Catalog, LogHint, PathHint, Resource, Target, placeholder};
use crate::pg::mirror::Row;

/// What the entry says of one table.
pub(super) fn hinted(catalog: &Catalog, resource: &Resource, kind: &str, entry: &Value) -> Vec<Target> {
    let hints = resource.log.iter().filter(|hint| hint.types.iter().any(|t| t == kind));
    hints.filter_map(|hint| target(catalog, resource, hint, entry)).collect()
}

fn target(catalog: &Catalog, resource: &Resource, hint: &LogHint, entry: &Value) -> Option<Target> {
    let mut values: Row = hint
        .key
        .iter()
        .filter_map(|(column, field)| Some((column.clone(), Value::String(text(entry, field)?))))
        .collect();
    if let Some(path) = &hint.path {
        values.extend(named(path, &text(entry, &path.field)?)?);
    }
    let row = row_or_set(catalog, resource, &values);
    if row.is_some() || !hint.key.is_empty() || !resource.is_read() {
        return row;
    }
    let table = resource.table.clone();
    let part = hint.part.iter().map(|(name, field)| Some((name.clone(), text(entry, field)?)));
    match part.collect::<Option<Vec<_>>>() {
        Some(values) if !values.is_empty() => Some(Target::Part { table, values }),
        _ => Some(Target::Table { table }),
    }
}

/// A field of the entry; none where it says nothing.
fn text(entry: &Value, field: &str) -> Option<String> {
    match entry.pointer(&format!("/{}", field.replace('.', "/")))? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a path names; none where it is not of this kind.
fn named(hint: &PathHint, path: &str) -> Option<Row> {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut wanted = hint.ends.split('/').filter(|part| !part.is_empty());
    let place = wanted.next().and_then(|first| parts.iter().rposition(|part| *part == first))?;
    let mut values = Map::new();
    for (template, part) in wanted.zip(&parts[place + 1..]) {
        match placeholder(template) {
            Some(column) => {
                let value = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
                if hint.whole.as_ref().is_none_or(|mark| value.contains(mark.as_str())) {
                    values.insert(column.to_owned(), value.into());
                }
            }
            None if template == *part => {}
            None => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RowKey;
    use serde_json::json;

    fn found(entry: &Value) -> Vec<Target> {
        let (catalog, kind) = (Catalog::bundled().unwrap(), entry["type"].as_str().unwrap());
        catalog.iter().flat_map(|resource| hinted(&catalog, resource, kind, entry)).collect()
    }

    fn part(connection: &str) -> Target {
        let values = vec![("connection_id".to_owned(), connection.to_owned())];
        Target::Part { table: "user".into(), values }
    }

    fn scim(path: &str) -> Vec<Target> {
        found(&json!({"type": "sscim", "details": {"connection_id": "con_1", "request": {"path": path}}}))
    }

    #[test]
    fn an_import_names_the_users_of_its_connection_and_without_one_all() {
        for kind in ["sui", "fui"] {
            assert_eq!(found(&json!({"type": kind, "connection_id": "con_1"})), [part("con_1")]);
            assert_eq!(found(&json!({"type": kind})), [Target::Table { table: "user".into() }]);
        }
    }

    #[test]
    fn scim_names_the_user_that_its_path_names_else_those_of_the_connection() {
        let user = Target::Row { table: "user".into(), key: RowKey::single("samlp|one|ada") };
        assert_eq!(scim("/scim/v2/connections/con_1/Users/samlp%7Cone%7Cada"), [user]);
        assert_eq!(scim("/scim/v2/connections/con_1/Users"), [part("con_1")], "a new one has no id yet");
        assert_eq!(scim("/scim/v2/connections/con_1/Users/ada?x=y"), [part("con_1")], "an id of theirs");
        let groups = [Target::Table { table: "group".into() }];
        assert_eq!(scim("/scim/v2/connections/con_1/Groups/g"), groups);
        assert_eq!(scim("/scim/v2/connections/con_1/Schemas"), []);
    }
}
