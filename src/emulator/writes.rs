//! Calls that create, change and delete a row: schema, exceptions of the resource, defaults,
//! uniqueness, then the store.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::deeds;
use super::ids;
use super::keys::{self, key_of, own_key, path_key};
use super::links;
use super::problem::{Answer, Problem};
use super::quirks::{self, Draft};
use super::reads::{self, implied, parents, shown_keys};
use super::rules::{Fields, Moment, Rules, fill, fill_at};
use super::schema;
use super::select;
use super::show::{self, Shape};
use super::store::{Row, Store};
use super::template::Context;
use super::world::{Request, Scene, World};
use crate::catalog::{Call, Class, Merge, NewKey, Resource, WriteCall};

/// The stamp that every write sets.
const UPDATED: &str = "updated_at";

/// An answer, and the row that the call was about: its key columns and what is stored of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) row: Option<Fields>,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Done {
        Done { answer, row: None }
    }
}

/// A row with its key columns, as templates name it.
pub(super) fn whole_row(resource: &Resource, key: &str, row: &Row) -> Fields {
    let mut fields = keys::columns(resource, key);
    fields.extend(row.body.clone());
    fields
}

/// The body's fields: those of the catalogue's template, or the body itself.
fn body_of(shape: Shape, request: &Request, call: &Call) -> Result<Fields, Problem> {
    match (&call.body, &request.body) {
        (_, Some(Value::String(text))) if shape.1.text.is_some() => {
            let name = shape.1.text.clone().unwrap_or_default();
            Ok(Fields::from_iter([(name, text.as_str().into())]))
        }
        (Some(template), Some(body)) => links::bound(shape, template, body),
        _ => request.object(),
    }
}

/// A new row.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn create(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    call: &Call,
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    if resource.whole.is_some() {
        return whole(world, store, request, shape, values, (call, true));
    }
    let body = body_of(shape, request, call)?;
    schema::check(resource, rules, WriteCall::Create, values, &body)?;
    parents(world, store, resource, values)?;
    let context = Context::of(request, values);
    deeds::forbid(rules, Moment::Create, &context)?;
    let mut draft =
        Draft { keys: values.clone(), body: shown_keys(resource, rules, values), ..Draft::default() };
    for (name, value) in body {
        change(resource, rules, &mut draft, &name, value);
    }
    let quirks = quirks::of(&resource.table);
    quirks.create(world, store, request, &mut draft)?;
    complete(shape, &mut draft.body, &context);
    stamp(rules, request, &mut draft.body, true);
    quirks.finish(world, store, request, &mut draft)?;
    let key = own_key(resource, values, &draft.body).unwrap_or_default();
    joins(world, store, resource, rules, &key, &draft.body)?;
    unique(store, shape, (values, &draft.body), None)?;
    deeds::limits(world, store, shape, values, &draft.body)?;
    store.put(&resource.table, &key, draft.body, draft.hidden);
    let row = world.row(store, &resource.table, &key)?;
    let fields = show::written(Scene { world, store, request }, shape, &key, row);
    // What only this answer shows comes before what the row shows.
    fill(&mut draft.once, &fields);
    Ok(done(resource, call, draft.once, &key, row))
}

fn done(resource: &Resource, call: &Call, fields: Fields, key: &str, row: &Row) -> Done {
    let row = Some(whole_row(resource, key, row));
    match status(call) {
        204 => Done { answer: Answer::empty(204), row },
        status => Done { answer: Answer::new(status, show::face(resource, fields)), row },
    }
}

/// Refuses a row that shows what is not there.
fn joins(
    world: &World,
    store: &Store,
    resource: &Resource,
    rules: &Rules,
    key: &str,
    body: &Fields,
) -> Result<(), Problem> {
    for join in &rules.join {
        let Some(refusal) = &join.refusal else { continue };
        let row = Row { body: body.clone(), ..Row::default() };
        if show::joined(world, store, resource, join, key, &row).is_none() {
            let mut values = keys::columns(resource, key);
            values.extend(body.clone());
            return Err(Problem::refusal(refusal, &values));
        }
    }
    Ok(())
}

/// Key, kind and defaults of a row that was just made.
pub(super) fn complete((resource, rules): Shape, body: &mut Fields, context: &Context) {
    if let Some(key) = resource.key.last()
        && matches!(resource.new_key, NewKey::Server | NewKey::Client { .. })
        && !body.contains_key(resource.field(key))
    {
        let prefix = match &resource.new_key {
            NewKey::Client { prefix, .. } => prefix,
            _ => "",
        };
        let shape = rules.id.as_deref().unwrap_or("{24}");
        body.insert(resource.field(key).to_owned(), format!("{prefix}{}", context.shaped(shape)).into());
    }
    for case in &rules.case {
        let same = case.when.iter().all(|(field, values)| {
            super::template::at(body, field).is_some_and(|value| values.contains(value))
        });
        if same && case.absent.iter().all(|field| !body.contains_key(field)) {
            fill_from(body, &case.set, context);
        }
    }
    if let Some(kind) = rules.kind_of(body).cloned() {
        fill(body, &kind.create);
        fill(body, &kind.always);
    }
    fill_from(body, &rules.defaults, context);
    for (path, defaults) in &rules.whenever {
        fill_at(body, path, defaults);
    }
}

/// Fills what a template gives; it may name the row itself.
fn fill_from(body: &mut Fields, template: &Fields, context: &Context) {
    let row = body.clone();
    let context = Context { row: Some(&row), ..context.clone() };
    fill(body, &context.fields(template));
}

/// Changes a row, or makes the one that is always there.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn update(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    call: &Call,
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    if resource.whole.is_some() {
        return whole(world, store, request, shape, values, (call, false));
    }
    let key = path_key(resource, values);
    let patch = body_of(shape, request, call)?;
    schema::check(resource, rules, WriteCall::Update, values, &patch)?;
    parents(world, store, resource, values)?;
    let context = Context::of(request, values);
    let row = reads::row(Scene { world, store, request }, shape, values, &key)?.into_owned();
    let known = whole_row(resource, &key, &row);
    deeds::forbid(rules, Moment::Update, &Context { row: Some(&known), ..context.clone() })?;
    let quirks = quirks::of(&resource.table);
    quirks.judge(world, store, &row, &patch)?;
    let mut draft = Draft {
        keys: values.clone(),
        body: row.body.clone(),
        hidden: row.hidden.clone(),
        once: Fields::new(),
    };
    if call.replaces() {
        let replaced = |column: &&String| resource.columns[*column].class == Class::Writable;
        for column in resource.columns.keys().filter(replaced) {
            draft.body.shift_remove(resource.field(column));
        }
    }
    for (name, value) in &patch {
        change(resource, rules, &mut draft, name, value.clone());
    }
    quirks.update(store, request, &row, &patch, &mut draft)?;
    if call.replaces() {
        complete(shape, &mut draft.body, &context);
    }
    if let Some(kind) = rules.kind_of(&draft.body).cloned() {
        fill(&mut draft.body, &kind.always);
    }
    for (path, defaults) in &rules.whenever {
        fill_at(&mut draft.body, path, defaults);
    }
    stamp(rules, request, &mut draft.body, false);
    quirks.finish(world, store, request, &mut draft)?;
    unique(store, shape, (values, &draft.body), Some(&key))?;
    store.put(&resource.table, &key, draft.body, draft.hidden);
    let row = world.row(store, &resource.table, &key)?;
    let fields = show::written(Scene { world, store, request }, shape, &key, row);
    fill(&mut draft.once, &fields);
    Ok(done(resource, call, draft.once, &key, row))
}

/// Makes a row or replaces it, whichever fits.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn put(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    (new, old): (&Call, &Call),
) -> Result<Done, Problem> {
    match store.get(&shape.0.table, &path_key(shape.0, values)) {
        Some(_) if new.status == old.status => {
            // One call with several successes: the first says that it made a row.
            let status = old.status.last().copied().into_iter().collect();
            update(world, store, request, shape, values, &Call { status, ..old.clone() })
        }
        Some(_) => update(world, store, request, shape, values, old),
        None => create(world, store, request, shape, values, new),
    }
}

/// Writes a row whose only value is the body.
fn whole(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    (call, new): (&Call, bool),
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    let column = resource.whole.as_deref().unwrap_or_default();
    let field = resource.field(column).to_owned();
    let mut value = request.body.clone().unwrap_or_else(|| json!({}));
    if let Some(column) = resource.columns.get(column) {
        schema::check_whole(column, rules, &value)?;
    }
    parents(world, store, resource, values)?;
    let key = path_key(resource, values);
    let old = store.get(&resource.table, &key).cloned();
    if old.is_none() && !new && !implied(resource, rules) {
        return Err(world.missing(&resource.table, &key));
    }
    let mut body = old.map(|row| row.body).unwrap_or_default();
    // A PATCH changes the keys that it names.
    if let (false, Some(Value::Object(known)), Value::Object(sent)) =
        (call.replaces() || new, body.get(&field), &value)
    {
        let mut known = known.clone();
        for (name, value) in sent {
            match value {
                Value::Null => drop(known.shift_remove(name)),
                _ => drop(known.insert(name.clone(), value.clone())),
            }
        }
        value = Value::Object(known);
    }
    body.insert(field, value);
    let mut draft = Draft { keys: values.clone(), body, ..Draft::default() };
    quirks::of(&resource.table).finish(world, store, request, &mut draft)?;
    store.put(&resource.table, &key, draft.body, draft.hidden);
    let row = world.row(store, &resource.table, &key)?;
    let fields = show::written(Scene { world, store, request }, shape, &key, row);
    Ok(done(resource, call, fields, &key, row))
}

/// One field of a body, put where it belongs: null unsets, some objects are merged.
fn change(resource: &Resource, rules: &Rules, draft: &mut Draft, name: &str, value: Value) {
    if rules.transient.iter().any(|transient| transient == name) {
        return;
    }
    let found = schema::columns(resource, name).find(|(column, _)| !draft.keys.contains_key(*column));
    let (name, column) = match found {
        Some((column, shape)) => (resource.field(column), Some(shape)),
        None => (name, None),
    };
    let fields = match column.map(|column| column.class) {
        Some(Class::WriteOnly) if !rules.shows.iter().any(|shown| shown == name) => &mut draft.hidden,
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

/// Deletes a row and every link to it, or all rows that have the values of the path.
///
/// # Errors
/// The resource's 404, where it has one for this.
pub(super) fn delete(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    call: &Call,
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    parents(world, store, resource, values)?;
    if !keys::names_row(resource, values) {
        let meant = select::having(store, resource, values).into_iter();
        let meant: Vec<String> = meant.map(|(key, _)| key.clone()).collect();
        meant.iter().for_each(|key| remove(world, store, &resource.table, key));
        return Ok(Done { answer: Answer::empty(status(call)), row: Some(values.clone()) });
    }
    let key = path_key(resource, values);
    let Some(row) = store.get(&resource.table, &key) else {
        let absent = if implied(resource, rules) { Some(status(call)) } else { rules.delete.absent };
        let absent = absent.map(|status| Answer::empty(status).into());
        return absent.ok_or_else(|| match &rules.delete.missing {
            Some(refusal) => Problem::refusal(refusal, values),
            None => world.missing(&resource.table, &key),
        });
    };
    let known = whole_row(resource, &key, row);
    let context = Context { row: Some(&known), ..Context::of(request, values) };
    deeds::forbid(rules, Moment::Delete, &context)?;
    quirks::of(&resource.table).delete(row)?;
    let body = rules.delete.answer.as_ref().map(|fields| Value::Object(context.fields(fields)));
    remove(world, store, &resource.table, &key);
    Ok(Done { answer: Answer { body, ..Answer::empty(status(call)) }, row: Some(known) })
}

/// Removes a row, what links to it, and what cannot be without it.
pub(super) fn remove(world: &World, store: &mut Store, table: &str, key: &str) {
    let by_column =
        world.catalog.children(table).filter(|(child, column)| child.key.iter().any(|key| key == column));
    let by_column = by_column.flat_map(|(child, column)| {
        let rows = select::keys_with(store, child, column, key);
        rows.map(|key| (child.table.clone(), key.clone())).collect::<Vec<_>>()
    });
    let depends = world.catalog.iter().filter_map(|child| Some((child, child.depends.get(table)?)));
    let by_several = depends.flat_map(|(child, columns)| {
        let rows = store.table(&child.table).keys().filter(move |row| {
            let parts = columns.iter().map(|column| keys::part(child, row, column));
            parts.collect::<Option<Vec<_>>>().map(key_of).as_deref() == Some(key)
        });
        rows.map(|key| (child.table.clone(), key.clone())).collect::<Vec<_>>()
    });
    let linked: Vec<(String, String)> =
        by_column.chain(by_several).chain(quirks::of(table).dependents(store, key)).collect();
    store.remove(table, key);
    for (table, key) in linked {
        remove(world, store, &table, &key);
    }
}

/// Refuses a row that shares what rows of its table do not share.
fn unique(
    store: &Store,
    (resource, rules): Shape,
    (values, body): (&Fields, &Fields),
    own: Option<&str>,
) -> Result<(), Problem> {
    let key = own_key(resource, values, body).unwrap_or_default();
    for rule in &rules.unique {
        let Some(wanted) = rule.value(resource, &key, body) else { continue };
        let taken = |(other, row): (&String, &Row)| {
            own != Some(other) && rule.value(resource, other, &row.body).as_ref() == Some(&wanted)
        };
        if store.table(&resource.table).iter().any(taken) {
            return Err(Problem::refusal(&rule.refusal, body));
        }
    }
    if own.is_some() || store.get(&resource.table, &key).is_none() {
        return Ok(());
    }
    let mut known = keys::columns(resource, &key);
    known.extend(body.clone());
    Err(match &rules.exists {
        Some(refusal) => Problem::refusal(refusal, &known),
        None => Problem::new(409, "The resource already exists.", "conflict"),
    })
}

impl super::rules::Unique {
    /// What a row may not share with another; none where it lacks a part of it.
    pub(super) fn value(&self, resource: &Resource, key: &str, body: &Fields) -> Option<String> {
        let parts = self.fields.iter().map(|field| {
            keys::part(resource, key, field).or_else(|| super::template::at(body, field)?.as_str())
        });
        let text = parts.collect::<Option<Vec<_>>>().map(key_of)?;
        Some(if self.fold { text.to_lowercase() } else { text })
    }
}

/// Sets the times of a write. Two writes of a row never have the same time: at Auth0 a call takes
/// longer than the millisecond that the times are given in.
pub(super) fn stamp(rules: &Rules, request: &Request, body: &mut Fields, new: bool) {
    for name in &rules.stamps {
        if new || name == rules.moved.as_deref().unwrap_or(UPDATED) {
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
