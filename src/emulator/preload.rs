//! Fills a tenant from a document of what existed before a recorded session: rows by the path
//! that lists them. Paths of resources that the catalogue does not have are passed over.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::keys::{self, own_key};
use super::routes::Action;
use super::rules::Fields;
use super::show::Shape;
use super::store::Store;
use super::template::{Context, at, remove_at};
use super::world::World;
use super::writes::{complete, remove};
use crate::catalog::{Class, Paging, ResourceKind, placeholders};
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
        taken += usize::from(single(world, store, path, row));
    }
    for reference in document["unseen_refs"].as_array().into_iter().flatten() {
        taken += usize::from(referred(world, store, reference).is_some());
    }
    taken
}

/// A row of which nothing is known but that a call has named it.
fn referred(world: &World, store: &mut Store, reference: &Value) -> Option<()> {
    let id = reference["id"].as_str()?;
    let (method, path) = reference["op"].as_str()?.split_once(' ')?;
    let (route, _) = world.routes.find(method, path)?;
    let shape = world.shape(&route.table)?;
    let column = placeholders(&route.path).next()?.to_owned();
    let parent = shape.0.columns.get(&column).and_then(|column| column.references.as_deref());
    let shape = match parent {
        Some(table) => world.shape(table)?,
        None => shape,
    };
    let ([key], ResourceKind::Collection) = (shape.0.key.as_slice(), shape.0.kind) else { return None };
    // What a server makes has the shape that it makes; anything else is another name of a known row.
    let known = shape.1.alias.iter().any(|_| id.contains("://") || id.contains("%2F"));
    if known || store.get(&shape.0.table, id).is_some() {
        return None;
    }
    let mut body = Fields::from_iter([(shape.0.field(key).to_owned(), id.into())]);
    complete(shape, &mut body, &Context::default());
    store.put(&shape.0.table, id, body, Fields::new());
    Some(())
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

/// A row that a path lists: a row of its own, the far side of a link, or one that the path names
/// with a key of its own behind it.
fn listed(world: &World, store: &mut Store, path: &str, row: &Fields) -> bool {
    if world.routes.find("GET", path).is_some_and(|(route, _)| matches!(route.action, Action::Logs)) {
        store.log(Value::Object(row.clone()));
        return true;
    }
    let found = world.routes.find("GET", path).filter(|(route, _)| {
        matches!(route.action, Action::List(_) | Action::Find(_)) && world.shape(&route.table).is_some()
    });
    let Some((route, values)) = found else {
        let below = world.routes.find("GET", &format!("{path}/-"));
        let below = below.filter(|(route, _)| matches!(route.action, Action::Get));
        let Some((shape, mut values)) =
            below.and_then(|(route, values)| Some((world.shape(&route.table)?, values)))
        else {
            return false;
        };
        values.retain(|_, value| value.as_str() != Some("-"));
        return put(world, store, shape, &values, row);
    };
    let Some(shape) = world.shape(&route.table) else { return false };
    let Action::List(list) = &route.action else { return put(world, store, shape, &values, row) };
    let (resource, rules) = shape;
    let mut row = row.clone();
    for (column, place) in &list.fields {
        if let Some(value) = at(&row, place).cloned() {
            row.insert(resource.field(column).to_owned(), value);
        }
    }
    if resource.kind != ResourceKind::Association {
        return put(world, store, shape, &values, &row);
    }
    let near: Vec<&str> = placeholders(&list.path).collect();
    let mut link = values.clone();
    for column in resource.key.iter().filter(|column| !near.contains(&column.as_str())) {
        let table = resource.columns.get(column).and_then(|column| column.references.as_deref());
        let far = table.and_then(|table| world.shape(table));
        // The row on the other side is known by what the list shows of it.
        let far = far.and_then(|(other, rules)| Some((other, rules, own_key(other, &Fields::new(), &row)?)));
        // It may stand in a part of its own.
        let part = list.fields.get(column).and_then(|place| at(&row, place.rsplit_once('.')?.0)?.as_object());
        if let (Some(shape), Some(part)) = (table.and_then(|table| world.shape(table)), part.cloned())
            && own_key(shape.0, &Fields::new(), &part)
                .is_some_and(|key| store.get(&shape.0.table, &key).is_none())
        {
            put(world, store, shape, &Fields::new(), &part);
        }
        match far {
            Some((other, rules, key)) if !row.contains_key(column) || other.key.contains(column) => {
                if store.get(&other.table, &key).is_none() {
                    put(world, store, (other, rules), &Fields::new(), &row);
                }
                link.insert(column.clone(), key.into());
            }
            _ => {
                let Some(value) = row.get(resource.field(column)) else { return false };
                link.insert(column.clone(), value.clone());
            }
        }
    }
    let Some(key) = own_key(resource, &link, &Fields::new()) else { return false };
    let own = resource.columns.iter().filter(|(column, _)| !resource.key.contains(column));
    let own = own.filter_map(|(column, _)| {
        let field = resource.field(column);
        Some((field.to_owned(), row.get(field)?.clone()))
    });
    let mut own: Fields = own.collect();
    let joined = rules.join.iter().flat_map(|join| join.show.keys());
    joined.for_each(|field| remove_at(&mut own, field));
    store.put(&resource.table, &key, own, Fields::new());
    true
}

/// What a path answers alone: a row, or a list in its envelope.
fn single(world: &World, store: &mut Store, path: &str, answer: &Value) -> bool {
    let Some((route, values)) = world.routes.find("GET", path) else { return false };
    let Some(shape) = world.shape(&route.table) else { return false };
    let (resource, _) = shape;
    if let (Some(column), Action::Get | Action::List(_)) = (&resource.whole, &route.action) {
        let body = Fields::from_iter([(resource.field(column).to_owned(), answer.clone())]);
        let Some(key) = own_key(resource, &values, &body) else { return false };
        store.put(&resource.table, &key, body, Fields::new());
        return true;
    }
    match (&route.action, answer) {
        (Action::List(list), _) if list.paging != Paging::Single => {
            let items = list.array.as_ref().and_then(|array| answer.get(array)).unwrap_or(answer);
            let rows = items.as_array().into_iter().flatten().filter_map(Value::as_object);
            rows.filter(|row| listed(world, store, path, row)).count() > 0
        }
        (Action::Get | Action::List(_), Value::Object(row)) => put(world, store, shape, &values, row),
        _ => false,
    }
}

fn put(world: &World, store: &mut Store, shape: Shape, values: &Fields, row: &Fields) -> bool {
    let (resource, rules) = shape;
    let Some(key) = own_key(resource, values, row) else { return false };
    // A row of the fresh tenant gives way to the recorded one of the same name.
    for rule in &rules.unique {
        let Some(wanted) = rule.value(resource, &key, row) else { continue };
        let twins = store.table(&resource.table).iter();
        let twins = twins.filter(|(other, twin)| {
            **other != key && rule.value(resource, other, &twin.body).as_ref() == Some(&wanted)
        });
        let twins: Vec<String> = twins.map(|(other, _)| other.clone()).collect();
        twins.iter().for_each(|twin| remove(world, store, &resource.table, twin));
    }
    if !rules.fresh_by.is_empty() && rules.fresh_by.iter().all(|field| row.contains_key(field)) {
        let wanted: Fields = rules.fresh_by.iter().map(|field| (field.clone(), row[field].clone())).collect();
        let twins = store.table(&resource.table).iter();
        let twins = twins.filter(|(other, twin)| **other != key && keys::has(resource, other, twin, &wanted));
        let twins: Vec<String> = twins.map(|(other, _)| other.clone()).collect();
        twins.iter().for_each(|twin| remove(world, store, &resource.table, twin));
    }
    let mut body = store.get(&resource.table, &key).map(|row| row.body.clone()).unwrap_or_default();
    body.extend(row.clone());
    // A row that was listed with a selection of fields lacks the rest.
    let part = resource.kind == ResourceKind::Collection
        && resource.columns.iter().any(|(column, shape)| {
            shape.required
                && shape.class != Class::WriteOnly
                && !values.contains_key(column)
                && !resource.key.contains(column)
                && !body.contains_key(resource.field(column))
        });
    if part {
        complete(shape, &mut body, &Context::default());
    }
    store.put(&resource.table, &key, body, Fields::new());
    true
}
