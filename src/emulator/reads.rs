//! Calls that read: lists, one row by its key or by other fields, rows that share a value.

use std::borrow::Cow;

use serde_json::Value;

use super::keys;
use super::logs;
use super::paging::{self, Items};
use super::problem::{Answer, Problem};
use super::quirks;
use super::rules::{Fields, Rules};
use super::search;
use super::select;
use super::show::{self, Shape};
use super::store::{Row, Store};
use super::template::Context;
use super::world::{Scene, World};
use super::writes::complete;
use crate::catalog::{List, Paging, Resource, ResourceKind, placeholder, placeholders};

/// One row by the key in the path; a singleton's row by its only key.
///
/// # Errors
/// A parent's 404, or the resource's.
pub(super) fn get(scene: Scene, shape: Shape, values: &Fields) -> Result<Answer, Problem> {
    let (resource, rules) = shape;
    parents(scene.world, scene.store, resource, values)?;
    let key = keys::path_key(resource, values);
    let row = row(scene, shape, values, &key)?;
    let known = super::writes::whole_row(resource, &key, &row);
    let context = Context { row: Some(&known), ..Context::of(scene.request, values) };
    let mut answer = one(scene, (resource, rules), &key, &row);
    if let Some(Value::Object(fields)) = &mut answer.body {
        super::rules::fill(fields, &context.fields(&rules.got));
    }
    Ok(answer)
}

fn one(scene: Scene, shape: Shape, key: &str, row: &Row) -> Answer {
    let fields = show::select(scene.request, &shape.1.always, show::read(scene, shape, key, row));
    Answer::new(200, show::face(shape.0, fields))
}

/// The row with a key, or the one that is there although nobody has written it.
///
/// # Errors
/// The resource's 404.
pub(super) fn row<'s>(
    scene: Scene<'s>,
    (resource, rules): Shape,
    values: &Fields,
    key: &str,
) -> Result<Cow<'s, Row>, Problem> {
    match scene.store.get(&resource.table, key) {
        Some(row) => Ok(Cow::Borrowed(row)),
        None if implied(resource, rules) => {
            let mut body = shown_keys(resource, rules, values);
            complete((resource, rules), &mut body, &Context::of(scene.request, values));
            Ok(Cow::Owned(Row { body, ..Row::default() }))
        }
        None => Err(scene.world.missing(&resource.table, key)),
    }
}

/// Whether rows are there that nobody has written.
pub(super) fn implied(resource: &Resource, rules: &Rules) -> bool {
    let settings = resource.kind == ResourceKind::Singleton && rules.missing.is_none();
    rules.implied || settings && resource.create.is_none()
}

/// The key columns of a path that a row shows, by their fields' names.
pub(super) fn shown_keys(resource: &Resource, rules: &Rules, values: &Fields) -> Fields {
    let shown = |column: &String| {
        let own = resource.columns.get(column).is_some_and(|column| column.references.is_none());
        (own || rules.shown_keys.contains(column)) && resource.whole.is_none()
    };
    let columns = resource.key.iter().filter(|column| shown(column));
    columns
        .filter_map(|column| Some((resource.field(column).to_owned(), values.get(column)?.clone())))
        .collect()
}

/// One row whose fields are those in the path.
///
/// # Errors
/// The resource's 404.
pub(super) fn by(scene: Scene, shape: Shape, values: &Fields) -> Result<Answer, Problem> {
    let (resource, _) = shape;
    let asked = values.values().find_map(Value::as_str).unwrap_or_default();
    let found = select::having(scene.store, resource, values).into_iter().next();
    let (key, row) = found.ok_or_else(|| scene.world.missing(&resource.table, asked))?;
    Ok(one(scene, shape, key, row))
}

/// Every row whose field equals the parameter of the same name, as a bare array.
///
/// # Errors
/// Auth0's refusal where the parameter is missing.
pub(super) fn find(scene: Scene, shape: Shape, field: &str) -> Result<Answer, Problem> {
    let wanted = scene.request.param(field).ok_or_else(|| lacks(field))?;
    let rows = select::named(scene.store, &shape.0.table, field, wanted);
    let rows = rows.filter(|(_, row)| row.text(field) == Some(wanted));
    let rows = rows.map(|(key, row)| {
        let fields = show::read(scene, shape, key, row);
        Value::Object(show::select(scene.request, &shape.1.always, fields))
    });
    Ok(Answer::new(200, rows.collect()))
}

fn lacks(parameter: &str) -> Problem {
    let what = format!("Query validation error: 'Missing required property: {parameter}'.");
    Problem::new(400, what, "invalid_query_string")
}

/// A list.
///
/// # Errors
/// A parent's 404, or Auth0's refusal of a parameter.
pub(super) fn list(scene: Scene, shape: Shape, list: &List, values: &Fields) -> Result<Answer, Problem> {
    let (resource, rules) = shape;
    let Scene { world, store, request } = scene;
    searchable(scene, rules)?;
    parents(world, store, resource, values)?;
    listed_parent(world, store, list, values)?;
    let asked = |name: &&String| request.param(name).is_some() || values.contains_key(*name);
    if let Some(missing) = rules.query_required.iter().find(|name| !asked(name)) {
        return Err(lacks(missing));
    }
    if list.paging == Paging::Single {
        return single(scene, shape, values);
    }
    let mut wanted = values.clone();
    for (parameter, template) in &list.query {
        if let (Some(column), Some(value)) = (placeholder(template), request.param(parameter)) {
            wanted.insert(column.to_owned(), value.into());
        }
    }
    let near: Vec<&str> = placeholders(&list.path).collect();
    let built = |found: Found| match found {
        Found::Row(key, row) => item(scene, shape, list, &near, key, row),
        Found::Made(item) => item,
    };
    let items = match quirks::of(&resource.table).list(scene, &wanted) {
        Some(rows) => {
            let mut rows: Vec<(u64, Fields)> = (1..).zip(rows?).collect();
            if let Some(order) = request.param("sort") {
                rows = search::sort(order, rows, |(_, fields)| fields)?;
            }
            let rows: Vec<_> = rows.into_iter().map(|(number, item)| (number, Found::Made(item))).collect();
            Items { total: rows.len(), skipped: 0, rows }
        }
        None => {
            let Items { total, skipped, rows } = select::rows(scene, shape, list, &wanted)?;
            let rows = rows.into_iter().map(|(number, (key, row))| (number, Found::Row(key, row)));
            Items { total, skipped, rows: rows.collect() }
        }
    };
    let linked = resource.kind == ResourceKind::Association;
    let always: &[String] = if linked { &[] } else { &rules.always };
    let show = |found| {
        let mut item = built(found);
        match &list.item {
            Some(column) => item.shift_remove(resource.field(column)).unwrap_or(Value::Null),
            None => Value::Object(show::select(request, always, item)),
        }
    };
    paging::page(request, list, rules, world.result_cap, items, show)
}

/// Refuses a query string that is too long, and a search engine that is not there any more.
fn searchable(scene: Scene, rules: &Rules) -> Result<(), Problem> {
    let Some(search) = &rules.search else { return Ok(()) };
    let length: usize = scene.request.query.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if search.longest.is_some_and(|longest| length > longest) {
        return Err(Problem::plain(414, "Request-URI Too Large"));
    }
    let refused = scene.request.param("search_engine").and_then(|engine| search.engine.get(engine));
    refused.map_or(Ok(()), |what| Err(Problem::new(400, what, "invalid_query_string")))
}

/// An item of a list, which is built only where it is shown.
enum Found<'s> {
    Row(&'s str, &'s Row),
    Made(Fields),
}

fn item(scene: Scene, shape: Shape, list: &List, near: &[&str], key: &str, row: &Row) -> Fields {
    let (resource, rules) = shape;
    let mut item = match resource.kind {
        ResourceKind::Association => show::linked(scene, shape, near, Some(list), key, row),
        _ => {
            let mut item = show::read(scene, shape, key, row);
            show::rename(resource, list, &mut item);
            item
        }
    };
    if !rules.listed.is_empty() {
        item.retain(|name, _| rules.listed.contains(name));
    }
    item
}

/// A list that is one row: the one of the path, or the only one.
fn single(scene: Scene, shape: Shape, values: &Fields) -> Result<Answer, Problem> {
    let (resource, _) = shape;
    if keys::names_row(resource, values) {
        return get(scene, shape, values);
    }
    let found = select::having(scene.store, resource, values).into_iter().next();
    let (key, row) = found.ok_or_else(|| scene.world.missing(&resource.table, ""))?;
    Ok(one(scene, shape, key, row))
}

/// Checks that the rows are there that key columns in the path name.
///
/// # Errors
/// The first one's 404.
pub(super) fn parents(
    world: &World,
    store: &Store,
    resource: &Resource,
    values: &Fields,
) -> Result<(), Problem> {
    for column in values.keys() {
        parent(world, store, resource, column, values)?;
    }
    for (table, columns) in &resource.depends {
        let parts: Option<Vec<&str>> = columns.iter().map(|column| values.get(column)?.as_str()).collect();
        let known = world.rules.get(table).is_some_and(|rules| rules.missing.is_some());
        if let Some(key) = parts.map(keys::key_of).filter(|_| known) {
            world.row(store, table, &key)?;
        }
    }
    Ok(())
}

/// Checks that the row is there that one column names.
///
/// # Errors
/// That row's 404.
pub(super) fn parent(
    world: &World,
    store: &Store,
    resource: &Resource,
    column: &str,
    values: &Fields,
) -> Result<(), Problem> {
    let table = resource.columns.get(column).and_then(|column| column.references.as_deref());
    let key = values.get(column).and_then(Value::as_str);
    match (table, key) {
        (Some(table), Some(key)) if table != resource.table => world.row(store, table, key).map(|_| ()),
        _ => Ok(()),
    }
}

/// The same of the rows by which the service lists, where they have a refusal of their own.
fn listed_parent(world: &World, store: &Store, list: &List, values: &Fields) -> Result<(), Problem> {
    let Some((parent, rules)) = list.parent.as_deref().and_then(|table| world.shape(table)) else {
        return Ok(());
    };
    if rules.missing.is_none() || !parent.kind.is_read() {
        return Ok(());
    }
    let free = list.placeholders().filter(|name| !list.each.contains_key(*name));
    let free: Vec<&str> = free.filter(|name| !list.from.contains_key(*name)).collect();
    let from =
        list.from.iter().filter_map(|(ours, theirs)| Some((theirs.clone(), values.get(ours)?.clone())));
    let mut key: Fields = from.collect();
    for (column, ours) in parent.key.iter().zip(free) {
        key.extend(values.get(ours).map(|value| (column.clone(), value.clone())));
    }
    match parent.key.iter().all(|column| key.contains_key(column)) {
        true => world.row(store, &parent.table, &keys::path_key(parent, &key)).map(|_| ()),
        false => Ok(()),
    }
}

/// Everything stored, by table: key columns, and what reading each row answers.
pub(super) fn everything(scene: Scene) -> Value {
    let tables = scene.world.catalog.iter().filter(|resource| resource.is_table()).map(|resource| {
        if resource.table == logs::TABLE {
            return (resource.table.clone(), Value::Array(scene.store.logs().to_vec()));
        }
        let rows = scene.store.table(&resource.table).iter().map(|(key, row)| {
            let mut shown = Fields::new();
            for (column, value) in keys::columns(resource, key) {
                shown.insert(resource.field(&column).to_owned(), value);
            }
            shown.extend(match scene.world.shape(&resource.table) {
                Some(shape) if resource.kind != ResourceKind::Association => {
                    show::read(scene, shape, key, row)
                }
                _ => row.body.clone(),
            });
            Value::Object(shown)
        });
        let embedded = quirks::of(&resource.table).embedded(scene.store);
        (resource.table.clone(), rows.chain(embedded.into_iter().map(Value::Object)).collect())
    });
    Value::Object(tables.collect())
}
