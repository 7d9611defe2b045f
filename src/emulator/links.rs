//! Calls that make and undo links: the path names one row, the body names the others.

use serde_json::Value;

use super::problem::{Answer, Problem};
use super::reads::parent_exists;
use super::rules::Fields;
use super::store::Store;
use super::world::{Request, World, key_in};
use super::writes::status;
use crate::catalog::{Call, Resource, placeholders};

/// Makes (`make`) or undoes the links between the row of the path and those in the body.
///
/// # Errors
/// A 404 of either side, or Auth0's refusal of the body.
pub(super) fn change(
    world: &World,
    store: &mut Store,
    request: &Request,
    resource: &Resource,
    values: &Fields,
    call: &Call,
    make: bool,
) -> Result<Answer, Problem> {
    for column in placeholders(&call.path) {
        parent_exists(world, store, resource, column, values)?;
    }
    let Some((property, column)) = listed(call) else { return Ok(Answer::empty(status(call))) };
    let body = request.object()?;
    if let Some(strange) = body.keys().find(|name| *name != property) {
        return Err(Problem::payload(&format!("Additional properties not allowed: {strange}"), None));
    }
    let missing = || Problem::payload(&format!("Missing required property: {property}"), None);
    let comment = resource.columns.get(column).map_or("", |column| column.comment.as_str());
    let wrong = |what: &str| Problem::payload(what, Some((property, comment)));
    let keys = body.get(property).ok_or_else(missing)?;
    let keys = keys.as_array().ok_or_else(|| {
        wrong(&format!("Expected type array but found type {}", super::schema::type_name(keys)))
    })?;
    if keys.is_empty() {
        return Err(wrong("Array is too short (0), minimum 1"));
    }
    let mut links = Vec::new();
    for key in keys {
        if !key.is_string() {
            return Err(wrong(&format!(
                "Expected type string but found type {}",
                super::schema::type_name(key)
            )));
        }
        let mut link = values.clone();
        link.insert(column.to_owned(), key.clone());
        if make {
            parent_exists(world, store, resource, column, &link)?;
        }
        links.push(link);
    }
    for link in links {
        let link: Fields = resource
            .key
            .iter()
            .filter_map(|column| Some((column.clone(), link.get(column)?.clone())))
            .collect();
        let Some(key) = key_in(resource, &link) else { continue };
        if !make {
            store.remove(&resource.table, &key);
        } else if store.get(&resource.table, &key).is_none() {
            store.put(&resource.table, &key, link, Fields::new());
        }
    }
    let status = status(call);
    Ok(if status == 204 { Answer::empty(status) } else { Answer::new(status, Value::Object(Fields::new())) })
}

/// The property of the body that lists keys, and the column that they are of.
fn listed(call: &Call) -> Option<(&str, &str)> {
    call.body.as_ref()?.as_table()?.iter().find_map(|(property, template)| {
        let text = template.as_array()?.first()?.as_str()?;
        Some((property.as_str(), text.strip_prefix('{')?.strip_suffix('}')?))
    })
}
