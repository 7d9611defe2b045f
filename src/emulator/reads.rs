//! Calls that read: lists, one row by its key or by other fields, rows that share a value.

use serde_json::Value;

use super::paging;
use super::problem::{Answer, Problem};
use super::rules::{Fields, Rules};
use super::search;
use super::show;
use super::store::{Row, Store};
use super::world::{Request, World, key_in, key_of};
use crate::catalog::{List, Resource, ResourceKind, placeholders};

/// One row by the key in the path; a singleton's row by its only key.
///
/// # Errors
/// The resource's 404.
pub(super) fn get(
    world: &World,
    store: &Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    values: &Fields,
) -> Result<Answer, Problem> {
    let row = world.row(store, &resource.table, &path_key(resource, values))?;
    let fields = show::select(request, &rules.always, show::read(rules, request, row));
    Ok(Answer::new(200, Value::Object(fields)))
}

/// The store's key of the row that a path names.
pub(super) fn path_key(resource: &Resource, values: &Fields) -> String {
    key_of(resource.key.iter().map(|column| values.get(column).and_then(Value::as_str).unwrap_or(SINGLE)))
}

/// The key of a singleton's row in the store.
pub(super) const SINGLE: &str = "single";

/// One row whose fields are those in the path.
///
/// # Errors
/// The resource's 404.
pub(super) fn by(
    world: &World,
    store: &Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    values: &Fields,
) -> Result<Answer, Problem> {
    let same =
        |row: &&Row| values.iter().all(|(column, value)| row.body.get(resource.field(column)) == Some(value));
    let asked = values.values().find_map(Value::as_str).unwrap_or_default();
    let found = store.table(&resource.table).values().find(same);
    let row = found.ok_or_else(|| world.missing(&resource.table, asked))?;
    Ok(Answer::new(200, Value::Object(show::select(request, &rules.always, show::read(rules, request, row)))))
}

/// Every row whose field equals the parameter of the same name, as a bare array.
///
/// # Errors
/// Auth0's refusal where the parameter is missing.
pub(super) fn find(
    store: &Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    field: &str,
) -> Result<Answer, Problem> {
    let wanted = request.param(field).ok_or_else(|| {
        let what = format!("Query validation error: 'Missing required property: {field}'.");
        Problem::new(400, what, "invalid_query_string")
    })?;
    let rows = store.table(&resource.table).values().filter(|row| row.text(field) == Some(wanted));
    let rows =
        rows.map(|row| Value::Object(show::select(request, &rules.always, show::read(rules, request, row))));
    Ok(Answer::new(200, rows.collect()))
}

/// A list.
///
/// # Errors
/// A parent's 404, or Auth0's refusal of a parameter.
pub(super) fn list(
    world: &World,
    store: &Store,
    request: &Request,
    (resource, rules): (&Resource, &Rules),
    list: &List,
    values: &Fields,
) -> Result<Answer, Problem> {
    let linked = resource.kind == ResourceKind::Association;
    let mut items = if linked {
        links(world, store, request, resource, list, values)?
    } else {
        let query = request.param("q").filter(|text| !text.trim().is_empty()).map(search::parse);
        let query = query
            .transpose()
            .map_err(|()| Problem::new(400, "Failed to parse query", "invalid_query_string"))?;
        let wanted =
            |row: &&Row| filtered(rules, request, row) && query.as_ref().is_none_or(|q| q.matches(&row.body));
        let rows = store.table(&resource.table).values().filter(wanted);
        rows.map(|row| (row.number, show::read(rules, request, row))).collect()
    };
    search::sort(request.param("sort"), &mut items);
    let always: &[String] = if linked { &[] } else { &rules.always };
    let items =
        items.into_iter().map(|(number, item)| (number, show::select(request, always, item))).collect();
    paging::page(request, list, rules, world.result_cap, items)
}

/// Rows on the other side of an association.
fn links(
    world: &World,
    store: &Store,
    request: &Request,
    resource: &Resource,
    list: &List,
    values: &Fields,
) -> Result<Vec<(u64, Fields)>, Problem> {
    let near: Vec<&str> = placeholders(&list.path).collect();
    for column in &near {
        parent_exists(world, store, resource, column, values)?;
    }
    let far = resource.key.iter().find(|column| !near.contains(&column.as_str()));
    let table = far.and_then(|column| resource.columns.get(column)?.references.as_deref());
    let (Some(far), Some(table)) = (far, table) else { return Ok(Vec::new()) };
    let Some(rules) = world.rules.get(table) else { return Ok(Vec::new()) };
    let here = |row: &&Row| near.iter().all(|column| row.body.get(*column) == values.get(*column));
    let links = store.table(&resource.table).values().filter(here);
    let items = links.filter_map(|link| {
        let row = store.get(table, link.text(far)?)?;
        Some((link.number, show::as_item(rules, show::read(rules, request, row))))
    });
    Ok(items.collect())
}

/// Checks that the row exists that a column of an association names.
///
/// # Errors
/// That row's 404.
pub(super) fn parent_exists(
    world: &World,
    store: &Store,
    resource: &Resource,
    column: &str,
    values: &Fields,
) -> Result<(), Problem> {
    let table = resource.columns.get(column).and_then(|column| column.references.as_deref());
    let key = values.get(column).and_then(Value::as_str);
    match (table, key) {
        (Some(table), Some(key)) => world.row(store, table, key).map(|_| ()),
        _ => Ok(()),
    }
}

fn filtered(rules: &Rules, request: &Request, row: &Row) -> bool {
    rules.filter.iter().all(|(parameter, filter)| {
        let mut wanted =
            request.query.iter().filter(|(name, _)| name == parameter).map(|(_, value)| value).peekable();
        if wanted.peek().is_none() {
            return true;
        }
        let Some(value) = row.body.get(&filter.field).or(filter.absent.as_ref()) else { return false };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        wanted.any(|wanted| {
            if filter.contains {
                text.to_lowercase().contains(&wanted.to_lowercase())
            } else {
                *wanted == text || wanted.split(',').any(|part| part == text)
            }
        })
    })
}

/// Everything stored, by table, as reading each row by its key answers it.
pub(super) fn everything(world: &World, store: &Store, request: &Request) -> Value {
    let tables = world.catalog.iter().map(|resource| {
        let rules = world.rules.get(&resource.table);
        let rows = store.table(&resource.table).values().map(|row| match rules {
            Some(rules) => Value::Object(show::read(rules, request, row)),
            None => Value::Object(row.body.clone()),
        });
        (resource.table.clone(), rows.collect())
    });
    Value::Object(tables.collect())
}

/// The key of a row by its own fields, or the singleton's.
pub(super) fn own_key(resource: &Resource, body: &Fields) -> Option<String> {
    match resource.kind {
        ResourceKind::Singleton => Some(SINGLE.to_owned()),
        _ => key_in(resource, body),
    }
}
