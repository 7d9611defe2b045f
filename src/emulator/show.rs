//! What a row looks like in an answer: fields that reading adds or hides, what it shows of other
//! rows, and the selection of fields. It never changes the store.

use serde_json::Value;

use super::keys;
use super::rules::{Fields, Join, Rules, fill};
use super::select;
use super::store::{Row, Store};
use super::template::{at, put_at, remove_at};
use super::world::{Request, Scene, World};
use crate::catalog::{List, Resource, ResourceKind};

/// Resource and rules of a table.
pub(super) type Shape<'a> = (&'a Resource, &'a Rules);

/// A row as reading it answers.
pub(super) fn read(scene: Scene, shape: Shape, key: &str, row: &Row) -> Fields {
    let (resource, rules) = shape;
    if resource.kind == ResourceKind::Association {
        let (_, near) = resource.key.split_last().map_or((None, &[][..]), |(last, near)| (Some(last), near));
        let near: Vec<&str> = near.iter().map(String::as_str).collect();
        return linked(scene, shape, &near, None, key, row);
    }
    let mut fields = visible(scene, shape, key, row);
    fill(&mut fields, &rules.read);
    for path in rules.kind_of(&row.body).into_iter().flat_map(|kind| &kind.unread) {
        remove_at(&mut fields, path);
    }
    fields
}

/// A row as the answer to a write.
pub(super) fn written(scene: Scene, shape: Shape, key: &str, row: &Row) -> Fields {
    let mut fields = match shape.0.kind {
        ResourceKind::Association => read(scene, shape, key, row),
        _ => visible(scene, shape, key, row),
    };
    fill(&mut fields, &shape.1.written);
    fields
}

/// The JSON that answers a row: its fields, or the one column that is the whole answer.
pub(super) fn face(resource: &Resource, mut fields: Fields) -> Value {
    match &resource.whole {
        Some(column) => fields.shift_remove(resource.field(column)).unwrap_or(Value::Null),
        None => Value::Object(fields),
    }
}

/// A link as an item of a list: the row on its other side, and what the link itself has. `near` are
/// the key columns that the list's path names.
pub(super) fn linked(
    scene: Scene,
    shape: Shape,
    near: &[&str],
    list: Option<&List>,
    key: &str,
    row: &Row,
) -> Fields {
    let (resource, rules) = shape;
    let mut fields = Fields::new();
    let apart = |column: &&String| !near.contains(&column.as_str()) || rules.shown_keys.contains(column);
    for column in resource.key.iter().filter(apart) {
        if near.contains(&column.as_str()) {
            let value = keys::part(resource, key, column).unwrap_or_default();
            fields.insert(resource.field(column).to_owned(), value.into());
            continue;
        }
        let value = keys::part(resource, key, column).unwrap_or_default();
        let renamed = list.and_then(|list| list.fields.get(column)).map(String::as_str);
        let place = renamed.unwrap_or_else(|| resource.field(column));
        let table = resource.columns.get(column).and_then(|column| column.references.as_deref());
        let far = table.and_then(|table| Some((scene.world.shape(table)?, scene.store.get(table, value)?)));
        match far.filter(|_| rules.far.get(column).is_none_or(|fields| !fields.is_empty())) {
            Some((other, far)) => {
                let mut item = as_item(other.1, read(scene, other, value, far));
                if let Some(only) = rules.far.get(column) {
                    item = read(scene, other, value, far);
                    item.retain(|name, _| only.contains(name));
                }
                match place.rsplit_once('.') {
                    Some((inside, _)) => put_at(&mut fields, inside, Value::Object(item)),
                    None => fields.extend(item),
                }
            }
            None => put_at(&mut fields, place, value.into()),
        }
    }
    let own = row.body.iter().filter(|(name, _)| !resource.key.contains(name));
    fields.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    finish(scene, shape, key, row, &mut fields);
    fields
}

fn visible(scene: Scene, shape: Shape, key: &str, row: &Row) -> Fields {
    let mut fields = row.body.clone();
    finish(scene, shape, key, row, &mut fields);
    fields
}

fn finish(scene: Scene, (resource, rules): Shape, key: &str, row: &Row, fields: &mut Fields) {
    for join in &rules.join {
        let Some(found) = joined(scene.world, scene.store, resource, join, key, row) else { continue };
        for (ours, theirs) in &join.show {
            let value = match theirs.as_str() {
                "*" => Some(Value::Object(match scene.world.shape(&join.table) {
                    Some((_, rules)) => as_item(rules, found.clone()),
                    None => found.clone(),
                })),
                _ => at(&found, theirs).cloned(),
            };
            if let Some(value) = value {
                put_at(fields, ours, value);
            }
        }
    }
    for name in &rules.hidden_when_empty {
        if fields.get(name).and_then(Value::as_object).is_some_and(|object| object.is_empty()) {
            fields.shift_remove(name);
        }
    }
    for (name, scope) in &rules.scoped {
        if !scene.request.claims.allow(&[scope]) {
            fields.shift_remove(name);
        }
    }
    rules.hides.iter().for_each(|path| remove_at(fields, path));
}

/// The row, or the item inside it, that a join means.
pub(super) fn joined(
    world: &World,
    store: &Store,
    resource: &Resource,
    join: &Join,
    key: &str,
    row: &Row,
) -> Option<Fields> {
    let (other, _) = world.shape(&join.table)?;
    let ours = |on: &indexmap::IndexMap<String, String>| -> Option<Fields> {
        on.iter().map(|(field, own)| Some((field.clone(), keys::value(resource, key, row, own)?))).collect()
    };
    let wanted = ours(&join.on)?;
    let found = find(store, other, &wanted)?;
    let Some(within) = &join.within else { return Some(found.body.clone()) };
    let wanted = ours(&join.within_on)?;
    let items = at(&found.body, within)?.as_array()?;
    let same = |item: &&Value| wanted.iter().all(|(field, value)| item.get(field) == Some(value));
    items.iter().find(same)?.as_object().cloned()
}

/// The first row that has these values.
fn find<'s>(store: &'s Store, resource: &Resource, wanted: &Fields) -> Option<&'s Row> {
    let by_key = wanted.len() == resource.key.len();
    let key = keys::own_key(resource, &Fields::new(), wanted).filter(|_| by_key);
    match key {
        Some(key) => store.get(&resource.table, &key),
        None => select::having(store, resource, wanted).into_iter().next().map(|(_, row)| row),
    }
}

/// Gives columns the names that a list has for them.
pub(super) fn rename(resource: &Resource, list: &List, fields: &mut Fields) {
    for (column, place) in &list.fields {
        if let Some(value) = fields.shift_remove(resource.field(column)) {
            put_at(fields, place, value);
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
