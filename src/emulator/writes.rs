//! Calls that create, change and delete a row: schema, exceptions of the resource, defaults,
//! uniqueness, then the store.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ids;
use super::problem::{Answer, Problem};
use super::quirks::{self, Draft};
use super::reads::{own_key, path_key};
use super::rules::{Fields, Rules, fill, fill_at};
use super::schema;
use super::show;
use super::store::{Row, Store};
use super::world::{Request, World, key_of};
use crate::catalog::{Call, Class, Merge, NewKey, Resource, WriteCall};

/// The stamp that every write sets.
const UPDATED: &str = "updated_at";

/// A new row.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn create(
    world: &World,
    store: &mut Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    call: &Call,
) -> Result<Answer, Problem> {
    let body = request.object()?;
    schema::check(resource, rules, WriteCall::Create, &body)?;
    let mut draft = Draft::default();
    for (name, value) in body {
        change(resource, rules, &mut draft, &name, value);
    }
    let quirks = quirks::of(&resource.table);
    quirks.create(world, store, request, &mut draft)?;
    complete(resource, rules, &mut draft.body);
    stamp(rules, request, &mut draft.body, true);
    quirks.finish(world, store, request, &mut draft)?;
    let key = own_key(resource, &draft.body).unwrap_or_default();
    unique(store, resource, rules, &draft.body, None)?;
    store.put(&resource.table, &key, draft.body, draft.hidden);
    let fields = show::written(rules, request, world.row(store, &resource.table, &key)?);
    // What only this answer shows comes before what the row shows.
    fill(&mut draft.once, &fields);
    Ok(Answer::new(status(call), Value::Object(draft.once)))
}

/// Key, kind and defaults of a row that was just made.
pub(super) fn complete(resource: &Resource, rules: &Rules, body: &mut Fields) {
    if let ([key], Some(shape)) = (resource.key.as_slice(), &rules.id)
        && !body.contains_key(resource.field(key))
    {
        let prefix = match &resource.new_key {
            NewKey::Client { prefix, .. } => prefix,
            _ => "",
        };
        body.insert(resource.field(key).to_owned(), format!("{prefix}{}", ids::shaped(shape)).into());
    }
    for case in &rules.case {
        let same = case
            .when
            .iter()
            .all(|(field, values)| body.get(field).is_some_and(|value| values.contains(value)));
        if same && case.absent.iter().all(|field| !body.contains_key(field)) {
            fill(body, &case.set);
        }
    }
    if let Some(kind) = rules.kind_of(body).cloned() {
        fill(body, &kind.create);
        fill(body, &kind.always);
    }
    fill(body, &rules.defaults);
    for (path, defaults) in &rules.whenever {
        fill_at(body, path, defaults);
    }
}

/// Changes a row.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn update(
    world: &World,
    store: &mut Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    values: &Fields,
    call: &Call,
) -> Result<Answer, Problem> {
    let key = path_key(resource, values);
    let patch = request.object()?;
    schema::check(resource, rules, WriteCall::Update, &patch)?;
    let row = world.row(store, &resource.table, &key)?;
    let quirks = quirks::of(&resource.table);
    quirks.judge(world, store, row, &patch)?;
    let mut draft = Draft { body: row.body.clone(), hidden: row.hidden.clone(), once: Fields::new() };
    for (name, value) in &patch {
        change(resource, rules, &mut draft, name, value.clone());
    }
    quirks.update(store, request, row, &patch, &mut draft)?;
    if let Some(kind) = rules.kind_of(&draft.body).cloned() {
        fill(&mut draft.body, &kind.always);
    }
    for (path, defaults) in &rules.whenever {
        fill_at(&mut draft.body, path, defaults);
    }
    stamp(rules, request, &mut draft.body, false);
    quirks.finish(world, store, request, &mut draft)?;
    unique(store, resource, rules, &draft.body, Some(&key))?;
    store.put(&resource.table, &key, draft.body, draft.hidden);
    let row = world.row(store, &resource.table, &key)?;
    Ok(Answer::new(status(call), Value::Object(show::written(rules, request, row))))
}

/// One field of a body, put where it belongs: null unsets, some objects are merged.
fn change(resource: &Resource, rules: &Rules, draft: &mut Draft, name: &str, value: Value) {
    if rules.transient.iter().any(|transient| transient == name) {
        return;
    }
    let column = schema::column(resource, name);
    let fields = match column.map(|column| column.class) {
        Some(Class::WriteOnly) => &mut draft.hidden,
        _ => &mut draft.body,
    };
    let merges = column.is_some_and(|column| column.merge == Merge::Keys);
    match value {
        Value::Null => match rules.unset.get(name) {
            Some(default) => drop(fields.insert(name.to_owned(), default.clone())),
            None => drop(fields.shift_remove(name)),
        },
        Value::Object(keys)
            if merges && keys.is_empty() && rules.cleared_by_empty.iter().any(|n| n == name) =>
        {
            fields.insert(name.to_owned(), json!({}));
        }
        Value::Object(keys) if merges && fields.get(name).is_none_or(Value::is_object) => {
            let old = fields.entry(name.to_owned()).or_insert_with(|| json!({}));
            for (key, value) in keys {
                match old.as_object_mut() {
                    Some(old) if value.is_null() => drop(old.shift_remove(&key)),
                    Some(old) => drop(old.insert(key, value)),
                    None => {}
                }
            }
        }
        value => {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// Deletes a row and every link to it.
///
/// # Errors
/// The resource's 404, where it has one for this.
pub(super) fn delete(
    world: &World,
    store: &mut Store,
    (resource, rules): (&Resource, &Rules),
    values: &Fields,
    call: &Call,
) -> Result<Answer, Problem> {
    let key = path_key(resource, values);
    let Some(row) = store.get(&resource.table, &key) else {
        return rules.delete.absent.map(Answer::empty).ok_or_else(|| world.missing(&resource.table, &key));
    };
    quirks::of(&resource.table).delete(row)?;
    remove(world, store, &resource.table, &key);
    let body = rules.delete.answer.clone().map(|mut fields| {
        for value in fields.values_mut().filter(|value| value.as_str() == Some("$now")) {
            *value = ids::time(Utc::now()).into();
        }
        Value::Object(fields)
    });
    Ok(Answer { body, ..Answer::empty(status(call)) })
}

/// Removes a row, what links to it, and what cannot be without it.
pub(super) fn remove(world: &World, store: &mut Store, table: &str, key: &str) {
    let linked: Vec<(String, String)> = world
        .catalog
        .children(table)
        .filter(|(child, column)| child.key.iter().any(|key| key == column))
        .flat_map(|(child, column)| {
            let rows = store.table(&child.table).iter();
            let rows = rows.filter(move |(_, row)| row.text(column) == Some(key));
            rows.map(|(key, _)| (child.table.clone(), key.clone())).collect::<Vec<_>>()
        })
        .chain(quirks::of(table).dependents(store, key))
        .collect();
    store.remove(table, key);
    for (table, key) in linked {
        remove(world, store, &table, &key);
    }
}

/// Refuses a row that shares what rows of its table do not share.
fn unique(
    store: &Store,
    resource: &Resource,
    rules: &Rules,
    body: &Fields,
    own: Option<&str>,
) -> Result<(), Problem> {
    let key = own_key(resource, body).unwrap_or_default();
    for rule in &rules.unique {
        let value = |fields: &Fields| -> Option<String> {
            let parts = rule.fields.iter().map(|field| fields.get(field).and_then(Value::as_str));
            let text = parts.collect::<Option<Vec<_>>>().map(key_of)?;
            Some(if rule.fold { text.to_lowercase() } else { text })
        };
        let Some(wanted) = value(body) else { continue };
        let taken =
            |(other, row): (&String, &Row)| own != Some(other) && value(&row.body).as_ref() == Some(&wanted);
        if store.table(&resource.table).iter().any(taken) {
            return Err(Problem::refusal(&rule.refusal, body));
        }
    }
    let taken = own.is_none() && store.get(&resource.table, &key).is_some();
    if taken { Err(Problem::new(409, "The resource already exists.", "conflict")) } else { Ok(()) }
}

/// Sets the times of a write. Two writes of a row never have the same time: at Auth0 a call takes
/// longer than the millisecond that the times are given in.
fn stamp(rules: &Rules, request: &Request, body: &mut Fields, new: bool) {
    for name in &rules.stamps {
        if new || name == UPDATED {
            let last =
                body.get(name).and_then(Value::as_str).and_then(|text| text.parse::<DateTime<Utc>>().ok());
            let next = last.map_or(request.now, |last| request.now.max(last + TimeDelta::milliseconds(1)));
            body.insert(name.clone(), ids::time(next).into());
        }
    }
}

/// The usual status of success.
pub(super) fn status(call: &Call) -> u16 {
    call.status.first().copied().unwrap_or(200)
}
