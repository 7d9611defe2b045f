//! What functions have to know of the catalogue that write a change again or take it back.

use serde_json::{Map, Value, json};

use super::{Access, Function, Site, by_table};
use crate::catalog::{Catalog, Class, NewKey, Resource, ResourceKind, WriteCall};

/// A function that returns, for each table, the columns that an INSERT may give (`insert`) and those
/// whose objects are captured key by key (`keys`), and its `kind`.
pub(super) fn columns_of(site: &Site<'_>, catalog: &Catalog) -> Function {
    let tables: Map<String, Value> = catalog
        .iter()
        .filter(|resource| resource.is_table())
        .map(|resource| (resource.table.clone(), columns(resource)))
        .collect();
    by_table(site, "_columns_of", tables, Access::Readers)
}

fn columns(resource: &Resource) -> Value {
    let made = |name: &String| {
        let ours = match resource.new_key {
            NewKey::Server => resource.made_column() == Some(name),
            // Every command is one of its own; other keys of ours come back as they were.
            NewKey::Client { .. } => resource.kind == ResourceKind::Command,
            NewKey::Fixed { .. } => true,
            NewKey::Given => false,
        };
        ours && resource.key.contains(name)
    };
    let given = resource.columns.iter().filter(|(name, column)| {
        matches!(column.class, Class::CreateOnly | Class::Writable)
            && column.only_on != Some(WriteCall::Update)
            && !made(name)
    });
    let keys = resource.columns.iter().filter(|(_, column)| column.merge.by_key());
    json!({
        "kind": resource.kind.as_str(),
        "insert": given.map(|(name, _)| name).collect::<Vec<_>>(),
        "keys": keys.map(|(name, _)| name).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_auth0_makes_is_never_given_and_one_of_ours_is() {
        let catalog = Catalog::bundled().unwrap();
        let columns = |table: &str| columns(catalog.resource(table).unwrap());
        let has = |of: &Value, list: &str, name: &str| of[list].as_array().unwrap().contains(&json!(name));
        assert!(has(&columns("user"), "insert", "user_id") && has(&columns("user"), "keys", "app_metadata"));
        assert!(!has(&columns("user"), "insert", "logins_count"));
        assert!(!has(&columns("role"), "insert", "id") && has(&columns("role"), "insert", "name"));
        assert!(!has(&columns("ticket"), "insert", "id"));
        let member = columns("organization_member");
        assert!(has(&member, "insert", "organization_id") && has(&member, "insert", "user_id"));
    }
}
