//! Fills a tenant from a document of what existed before a recorded session: rows by the path
//! that lists them. Paths of resources that the catalogue does not have are passed over.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::reads::{SINGLE, own_key};
use super::routes::Action;
use super::rules::{Fields, Rules};
use super::store::Store;
use super::world::{World, key_in, key_of};
use super::writes::{complete, remove};
use crate::catalog::{Resource, ResourceKind, placeholders};
use crate::error::{Error, Kind, Result};

/// Puts the rows of one document into the tenant; says how many rows it took.
pub(super) fn apply(world: &World, store: &mut Store, document: &Value) -> usize {
    let mut taken = 0;
    for part in ["collections", "system_collections"] {
        for (path, rows) in document[part].as_object().into_iter().flatten() {
            let rows = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
            taken += rows.filter(|row| listed(world, store, path, row)).count();
        }
    }
    for (path, row) in document["singletons"].as_object().into_iter().flatten() {
        taken += usize::from(row.as_object().is_some_and(|row| single(world, store, path, row)));
    }
    taken
}

/// The documents of a file: one JSON document, or one a line; `.gz` goes through gzip.
///
/// # Errors
/// `io`, naming the file.
pub(super) fn read(path: &Path) -> Result<Vec<Value>> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::with(Kind::Io, path.display().to_string(), error)
    };
    let text = if path.extension().is_some_and(|extension| extension == "gz") {
        let output =
            Command::new("gzip").arg("-dc").arg(path).output().map_err(|error| failed(error.into()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into()));
        }
        output.stdout
    } else {
        std::fs::read(path).map_err(|error| failed(error.into()))?
    };
    let documents = serde_json::Deserializer::from_slice(&text).into_iter();
    documents.collect::<std::result::Result<_, _>>().map_err(|error| failed(error.into()))
}

/// A row that a path lists: a row of its own, or the far side of a link.
fn listed(world: &World, store: &mut Store, path: &str, row: &Fields) -> bool {
    let Some((route, list, values)) = world.routes.list(path) else { return false };
    let Ok((resource, rules)) = world.table(&route.table) else { return false };
    if resource.kind != ResourceKind::Association {
        return put(world, store, resource, rules, row);
    }
    let near: Vec<&str> = placeholders(&list.path).collect();
    let far = resource.key.iter().find(|column| !near.contains(&column.as_str()));
    let table = far.and_then(|column| resource.columns.get(column)?.references.as_deref());
    let (Some(far), Some(Ok((other, other_rules)))) = (far, table.map(|table| world.table(table))) else {
        return false;
    };
    let Some(key) = key_in(other, row) else { return false };
    if store.get(&other.table, &key).is_none() {
        put(world, store, other, other_rules, row);
    }
    let mut link = values.clone();
    link.insert(far.clone(), key.into());
    let link: Fields =
        resource.key.iter().filter_map(|column| Some((column.clone(), link.get(column)?.clone()))).collect();
    let Some(key) = key_in(resource, &link) else { return false };
    store.put(&resource.table, &key, link, Fields::new());
    true
}

/// A row that a path answers alone.
fn single(world: &World, store: &mut Store, path: &str, row: &Fields) -> bool {
    let Some((route, _)) = world.routes.find("GET", path) else { return false };
    let Ok((resource, rules)) = world.table(&route.table) else { return false };
    match (&route.action, resource.kind) {
        (Action::Get, ResourceKind::Singleton) => {
            store.put(&resource.table, SINGLE, row.clone(), Fields::new());
            true
        }
        (Action::Get, ResourceKind::Collection) => put(world, store, resource, rules, row),
        _ => false,
    }
}

fn put(world: &World, store: &mut Store, resource: &Resource, rules: &Rules, row: &Fields) -> bool {
    let Some(key) = own_key(resource, row) else { return false };
    // A row of the fresh tenant gives way to the recorded one of the same name.
    for rule in &rules.unique {
        let value = |fields: &Fields| -> Option<String> {
            let parts = rule.fields.iter().map(|field| fields.get(field).and_then(Value::as_str));
            parts.collect::<Option<Vec<_>>>().map(key_of)
        };
        let Some(wanted) = value(row) else { continue };
        let twins = store.table(&resource.table).iter();
        let twins =
            twins.filter(|(other, twin)| **other != key && value(&twin.body).as_ref() == Some(&wanted));
        let twins: Vec<String> = twins.map(|(other, _)| other.clone()).collect();
        twins.iter().for_each(|twin| remove(world, store, &resource.table, twin));
    }
    let mut body = store.get(&resource.table, &key).map(|row| row.body.clone()).unwrap_or_default();
    body.extend(row.clone());
    // A row that was listed with a selection of fields lacks the rest.
    let part = resource.columns.iter().any(|(column, shape)| {
        shape.required
            && shape.class != crate::catalog::Class::WriteOnly
            && !body.contains_key(resource.field(column))
    });
    if part {
        complete(resource, rules, &mut body);
    }
    store.put(&resource.table, &key, body, Fields::new());
    true
}
