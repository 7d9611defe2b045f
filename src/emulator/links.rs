//! Calls that make and undo links: the path names one row, the body names the others, as the
//! catalogue's template of the body says. And those that replace the whole list of a parent.

use serde_json::Value;

use super::deeds;
use super::keys::own_key;
use super::problem::{Answer, Problem};
use super::quirks;
use super::reads::{parent, parents};
use super::rules::{Fields, Moment};
use super::schema::{self, type_name};
use super::select;
use super::show::{self, Shape};
use super::store::Store;
use super::template::{Context, put_at};
use super::world::{Request, Scene, World};
use super::writes::{Done, complete, remove, stamp, status, whole_row};
use crate::catalog::{Call, Replace, Resource, placeholder};

/// Why a body does not fit a template.
enum Misfit {
    /// It means something else: a constant differs.
    Other,
    /// Auth0's refusal.
    Wrong(Problem),
}

/// The values of a body that carries one row.
///
/// # Errors
/// Auth0's refusal.
pub(super) fn bound(shape: Shape, template: &toml::Value, body: &Value) -> Result<Fields, Problem> {
    let mut values = Fields::new();
    match bind(shape, template, body, "", &mut values) {
        Ok(()) => Ok(values),
        Err(Misfit::Wrong(problem)) => Err(problem),
        Err(Misfit::Other) => Err(Problem::body("The body does not fit this call")),
    }
}

/// Makes or undoes the links between the row of the path and those in the body.
///
/// # Errors
/// A 404 of either side, or Auth0's refusal of the body.
pub(super) fn change(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    (make, undo): (Option<&Call>, Option<&Call>),
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    let body = request.body.clone().unwrap_or(Value::Null);
    let mut changes: Vec<(bool, Fields)> = Vec::new();
    let calls = [make.map(|call| (true, call)), undo.map(|call| (false, call))];
    let calls: Vec<(bool, &Call)> = calls.into_iter().flatten().collect();
    parents(world, store, resource, values)?;
    for (place, items) in lists(resource, &calls, &body)? {
        for (number, item) in items.iter().enumerate() {
            let name = format!("{place}[{number}]");
            changes.push(one(shape, &calls, item, &name)?);
        }
    }
    if changes.is_empty() && (body.is_object() || body.is_null()) {
        let Some((make, template)) =
            calls.first().and_then(|(make, call)| Some((*make, call.body.as_ref()?)))
        else {
            return Ok(Answer::empty(calls.first().map_or(204, |(_, call)| status(call))).into());
        };
        changes.push((make, bound(shape, template, &request.object()?.into())?));
    }
    schema::parts(rules, &body)?;
    let moment = if make.is_some() { Moment::Create } else { Moment::Delete };
    let context = Context::of(request, values);
    deeds::forbid(rules, moment, &context)?;
    let mut links = Vec::new();
    for (make, found) in changes {
        let mut link = values.clone();
        link.extend(found);
        if make {
            for column in link.keys().filter(|column| !values.contains_key(*column)) {
                parent(world, store, resource, column, &link)?;
            }
        }
        links.push((make, link));
    }
    let single = links.len() == 1 && make.is_some_and(|call| !has_list(call));
    let mut last = None;
    let mut made = Vec::new();
    for (make, link) in links {
        let (columns, rest): (Fields, Fields) =
            link.into_iter().partition(|(column, _)| resource.key.contains(column));
        let Some(key) = own_key(resource, &columns, &rest) else { continue };
        if !make {
            remove(world, store, &resource.table, &key);
            continue;
        }
        put(world, store, request, shape, (&key, &columns), rest)?;
        made.extend(store.get(&resource.table, &key).map(|row| whole_row(resource, &key, row)));
        last = Some(key);
    }
    let status = calls.first().map_or(204, |(_, call)| status(call));
    let row = last.as_ref().and_then(|key| Some(whole_row(resource, key, store.get(&resource.table, key)?)));
    let answer = match (status, &last) {
        (204, _) => Answer::empty(status),
        (_, Some(key)) if single => match store.get(&resource.table, key) {
            Some(row) => {
                let scene = Scene { world, store, request };
                Answer::new(status, Value::Object(show::written(scene, shape, key, row)))
            }
            None => Answer::empty(status),
        },
        _ => Answer::new(status, Value::Object(Fields::new())),
    };
    // Templates name all that one call has made `$row.links`.
    let row = row.map(|mut row| {
        row.insert("links".to_owned(), made.into_iter().map(Value::Object).collect());
        row
    });
    Ok(Done { answer, row })
}

/// Stores a link with what it has beyond its key.
fn put(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    (key, columns): (&str, &Fields),
    rest: Fields,
) -> Result<(), Problem> {
    let (resource, rules) = shape;
    let known = store.get(&resource.table, key).cloned();
    let mut body = known.as_ref().map(|row| row.body.clone()).unwrap_or_default();
    for (column, value) in rest {
        put_at(&mut body, resource.field(&column), value);
    }
    if known.is_none() {
        let row = super::store::Row { body: body.clone(), ..super::store::Row::default() };
        for join in &rules.join {
            if let Some(refusal) = &join.refusal
                && show::joined(world, store, resource, join, key, &row).is_none()
            {
                return Err(Problem::refusal(refusal, columns));
            }
        }
        deeds::limits(world, store, shape, columns, &body)?;
        complete(shape, &mut body, &Context::of(request, columns));
        stamp(rules, request, &mut body, true);
    }
    store.put(&resource.table, key, body, Fields::new());
    Ok(())
}

/// Replaces all rows below the path by those of the body.
///
/// # Errors
/// A 404 of the parent or of a row that the body names, or Auth0's refusal of the body.
pub(super) fn replace(
    world: &World,
    store: &mut Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    replace: &Replace,
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    let body = request.body.clone().unwrap_or(Value::Null);
    schema::parts(rules, &body)?;
    parents(world, store, resource, values)?;
    let sent = match &replace.array {
        Some(name) => body.get(name).ok_or_else(|| lacks(name))?,
        None => &body,
    };
    let place = replace.array.as_deref().unwrap_or("");
    let sent = sent.as_array().ok_or_else(|| typed("array", sent, place))?.clone();
    deeds::forbid(rules, Moment::Set, &Context::of(request, values))?;
    let mut rows = Vec::new();
    for (number, item) in sent.iter().enumerate() {
        let mut found = Fields::new();
        match bind(shape, &replace.item, item, &format!("{place}[{number}]"), &mut found) {
            Err(Misfit::Wrong(problem)) => return Err(problem),
            Ok(()) | Err(Misfit::Other) => {}
        }
        let mut link = values.clone();
        link.extend(found);
        for column in link.keys().filter(|column| !values.contains_key(*column)) {
            parent(world, store, resource, column, &link)?;
        }
        if let Some(order) = &replace.order {
            link.insert(order.clone(), number.into());
        }
        rows.push(link);
    }
    let old = select::having(store, resource, values).into_iter();
    let old: Vec<_> = old.map(|(key, row)| (key.clone(), row.clone())).collect();
    for (key, _) in &old {
        store.remove(&resource.table, key);
    }
    for link in rows {
        let (columns, rest): (Fields, Fields) =
            link.into_iter().partition(|(column, _)| resource.key.contains(column));
        let Some(key) = own_key(resource, &columns, &rest) else { continue };
        // What stays in the list stays the same row.
        if let Some((_, row)) = old.iter().find(|(other, _)| *other == key) {
            store.put(&resource.table, &key, row.body.clone(), row.hidden.clone());
        }
        put(world, store, request, shape, (&key, &columns), rest)?;
    }
    let scene = Scene { world, store, request };
    let status = status(&replace.call);
    if status == 204 {
        return Ok(Answer::empty(status).into());
    }
    let near: Vec<&str> = values.keys().map(String::as_str).collect();
    let listed = quirks::of(&resource.table).list(scene, values).transpose()?;
    let items: Value = match listed {
        Some(rows) => rows.into_iter().map(Value::Object).collect(),
        None => select::having(store, resource, values)
            .into_iter()
            .map(|(key, row)| {
                Value::Object(show::linked(scene, shape, &near, resource.list.first(), key, row))
            })
            .collect(),
    };
    let array = resource.list.first().and_then(|list| list.array.clone());
    Ok(Answer::new(status, array.map_or_else(|| items.clone(), |array| serde_json::json!({array: items})))
        .into())
}

/// Whether the template of a body has a list of links in it.
fn has_list(call: &Call) -> bool {
    match &call.body {
        Some(toml::Value::Array(_)) => true,
        Some(toml::Value::Table(fields)) => fields.values().any(toml::Value::is_array),
        _ => false,
    }
}

/// The lists of links in a body, with their names.
fn lists<'b>(
    resource: &Resource,
    calls: &[(bool, &Call)],
    body: &'b Value,
) -> Result<Vec<(String, &'b Vec<Value>)>, Problem> {
    let Some(template) = calls.iter().find_map(|(_, call)| call.body.as_ref()) else { return Ok(Vec::new()) };
    let list = |name: &str, found: &'b Value| -> Result<(String, &'b Vec<Value>), Problem> {
        let items =
            found.as_array().ok_or_else(|| refuse(resource, template, name, &expected("array", found)))?;
        if items.is_empty() {
            return Err(refuse(resource, template, name, "Array is too short (0), minimum 1"));
        }
        Ok((name.to_owned(), items))
    };
    match template {
        toml::Value::Array(_) => Ok(vec![list("", body)?]),
        toml::Value::Table(fields) if fields.values().any(toml::Value::is_array) => {
            let empty = Value::Object(Fields::new());
            let sent = match body {
                Value::Null => &empty,
                other => other,
            };
            let sent_fields = sent.as_object().ok_or_else(|| typed("object", sent, ""))?;
            if let Some(strange) = sent_fields.keys().find(|name| !fields.contains_key(*name)) {
                return Err(Problem::payload(&format!("Additional properties not allowed: {strange}"), None));
            }
            let named = fields.iter().filter(|(_, template)| template.is_array());
            named.map(|(name, _)| list(name, body.get(name).ok_or_else(|| lacks(name))?)).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// What one item of a list means.
fn one(shape: Shape, calls: &[(bool, &Call)], item: &Value, place: &str) -> Result<(bool, Fields), Problem> {
    let mut refusal = None;
    for (make, call) in calls {
        let template = call.body.as_ref().and_then(|template| match template {
            toml::Value::Array(items) => items.first(),
            toml::Value::Table(fields) => fields.values().find_map(|field| field.as_array()?.first()),
            _ => None,
        });
        let Some(template) = template else { continue };
        let mut values = Fields::new();
        match bind(shape, template, item, place, &mut values) {
            Ok(()) => return Ok((*make, values)),
            Err(Misfit::Wrong(problem)) => refusal = refusal.or(Some(problem)),
            Err(Misfit::Other) => {}
        }
    }
    Err(refusal.unwrap_or_else(|| Problem::body("The body does not fit this call")))
}

/// Takes the values of columns out of a body as the template says.
fn bind(
    shape: Shape,
    template: &toml::Value,
    value: &Value,
    place: &str,
    values: &mut Fields,
) -> Result<(), Misfit> {
    let (resource, rules) = shape;
    match template {
        toml::Value::Table(fields) => {
            let sent = value.as_object().ok_or_else(|| Misfit::Wrong(typed("object", value, place)))?;
            for (name, template) in fields {
                let here = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                match sent.get(name) {
                    Some(value) => bind(shape, template, value, &here, values)?,
                    None if optional(resource, template) => {}
                    None => return Err(Misfit::Wrong(lacks(name))),
                }
            }
            // What the template does not name goes along under its own name.
            for (name, value) in sent.iter().filter(|(name, _)| !fields.contains_key(*name)) {
                if rules.transient.contains(name) {
                    continue;
                }
                let known = rules.accepts.contains(name).then_some(());
                match schema::column(resource, name).map(drop).or(known) {
                    Some(()) => drop(values.insert(name.clone(), value.clone())),
                    None => {
                        let what = format!("Additional properties not allowed: {name}");
                        return Err(Misfit::Wrong(Problem::payload(&what, None)));
                    }
                }
            }
            Ok(())
        }
        toml::Value::String(text) => match placeholder(text) {
            Some(column) => {
                let what = match resource.columns.get(column) {
                    Some(_) if value.is_null() => Some(expected("string", value)),
                    Some(column) => schema::fault(column, value),
                    None => None,
                };
                if let Some(what) = what {
                    let comment = resource.columns.get(column).map_or("", |column| column.comment.as_str());
                    return Err(Misfit::Wrong(Problem::payload(&what, Some((place, comment)))));
                }
                values.insert(column.to_owned(), value.clone());
                Ok(())
            }
            None if value.as_str() == Some(text) => Ok(()),
            None => Err(Misfit::Other),
        },
        toml::Value::Boolean(_) if !value.is_boolean() => Err(Misfit::Wrong(typed("boolean", value, place))),
        toml::Value::Boolean(wanted) if value.as_bool() == Some(*wanted) => Ok(()),
        toml::Value::Integer(wanted) if value.as_i64() == Some(*wanted) => Ok(()),
        toml::Value::Array(items) => match (items.first(), value.as_array()) {
            (Some(template), Some(sent)) => {
                sent.iter().try_for_each(|item| bind(shape, template, item, place, values))
            }
            _ => Err(Misfit::Other),
        },
        _ => Err(Misfit::Other),
    }
}

/// Whether a part of a body may be left out: it carries a column that need not be given.
fn optional(resource: &Resource, template: &toml::Value) -> bool {
    let column = template.as_str().and_then(placeholder);
    let column = column.filter(|column| !resource.key.iter().any(|key| key == column));
    column.and_then(|column| resource.columns.get(column)).is_some_and(|column| !column.required)
}

fn expected(kind: &str, value: &Value) -> String {
    format!("Expected type {kind} but found type {}", type_name(value))
}

fn lacks(name: &str) -> Problem {
    Problem::payload(&format!("Missing required property: {name}"), None)
}

fn typed(kind: &str, value: &Value, place: &str) -> Problem {
    let what = expected(kind, value);
    if place.is_empty() { Problem::payload(&what, None) } else { Problem::payload(&what, Some((place, ""))) }
}

/// A refusal of a list, with the comment of the column that its items are of.
fn refuse(resource: &Resource, template: &toml::Value, name: &str, what: &str) -> Problem {
    if name.is_empty() {
        return Problem::payload(what, None);
    }
    let item = template.get(name).and_then(|list| list.as_array()?.first()?.as_str());
    let column = item.and_then(placeholder);
    let comment = column.and_then(|column| resource.columns.get(column)).map_or("", |c| c.comment.as_str());
    Problem::payload(what, Some((name, comment)))
}
