//! Contradictions that the type system cannot see, found when the catalogue is read.

use indexmap::IndexMap;

use super::model::{Class, ColumnType, Each, JsonShape, List, Merge, NewKey, Resource, ResourceKind};
use super::template::placeholders;
use crate::error::{Error, Kind, Result};

/// Postgres cuts longer names, and then nothing is found under them.
const MAX_NAME: usize = 63;

/// What the names of a table's functions add to its own.
const FUNCTION: usize = "__capture".len();

/// Checks one resource by itself; the message names what is wrong.
pub(super) fn resource(resource: &Resource) -> std::result::Result<(), String> {
    for name in resource.columns.keys().chain([&resource.table]) {
        let ordinary = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !ordinary || name.len() > MAX_NAME || name == "extra" {
            return Err(format!("{name} cannot be the name of a table or column"));
        }
    }
    if resource.table.len() + FUNCTION > MAX_NAME {
        return Err(format!("{} is too long: its functions are named after it", resource.table));
    }
    for key in &resource.key {
        match resource.columns.get(key) {
            None => return Err(format!("key column {key} is not described")),
            Some(column) if column.kind != ColumnType::Text => {
                return Err(format!("key column {key} is not text"));
            }
            Some(_) => {}
        }
    }
    if resource.key.is_empty() {
        return Err("has no key".into());
    }
    if resource.reread && resource.get.is_none() {
        return Err("it says reread and has no call to read a row".to_owned());
    }
    if let Some(version) = &resource.version
        && resource.columns.get(version).map(|c| c.kind) != Some(ColumnType::Timestamptz)
    {
        return Err(format!("version column {version} is not a timestamptz"));
    }
    match (&resource.new_key, resource.kind) {
        (
            NewKey::Given,
            ResourceKind::Association | ResourceKind::Watch | ResourceKind::View | ResourceKind::Retired,
        ) => {}
        (NewKey::Fixed { .. }, ResourceKind::Singleton) => {}
        (NewKey::Client { .. } | NewKey::Server | NewKey::Given, ResourceKind::Collection) => {}
        (NewKey::Client { .. }, ResourceKind::Command) => {}
        _ => return Err("new_key does not fit the kind".into()),
    }
    if matches!(resource.new_key, NewKey::Client { .. }) && resource.key.len() != 1 {
        return Err("a key that the trigger makes has one column".into());
    }
    kind(resource)?;
    let single = resource.whole.iter().chain(&resource.absent_when_empty);
    for name in single.chain(resource.settling.iter().map(|settling| &settling.column)) {
        if !resource.columns.contains_key(name) {
            return Err(format!("column {name} is named and not described"));
        }
    }
    let protected = resource.protected.iter().flat_map(|it| it.columns.iter().chain([&it.column]));
    if let Some(missing) = protected.into_iter().find(|name| !resource.columns.contains_key(*name)) {
        return Err(format!("column {missing} is protected and not described"));
    }
    let lasting = resource.lasting.iter().flat_map(|it| it.given.iter().chain(it.unless.keys()));
    if let Some(missing) = lasting.into_iter().find(|name| !resource.columns.contains_key(*name)) {
        return Err(format!("column {missing} decides what lasts and is not described"));
    }
    let groups = resource.apart.iter().flatten().chain(&resource.apart_with);
    if let Some(missing) =
        groups.chain(resource.depends.values().flatten()).find(|name| !resource.columns.contains_key(*name))
    {
        return Err(format!("column {missing} is named and not described"));
    }
    for (name, column) in &resource.columns {
        if column.secret && column.class != Class::WriteOnly {
            return Err(format!("secret column {name} must be write_only"));
        }
        if column.merge != Merge::Replace && column.kind != ColumnType::Jsonb {
            return Err(format!("column {name} merges but is not jsonb"));
        }
        // A replaced object would lose at Auth0 the keys that the mirror does not show.
        if column.resend && column.secret_keys.is_empty() {
            return Err(format!("column {name} is sent again with secrets and has none"));
        }
        if !column.secret_keys.is_empty() && !column.merge.by_key() {
            return Err(format!("column {name} has secret_keys but does not merge"));
        }
        // What is set aside is the whole value; the items of an array are looked through.
        if !column.secret_paths.is_empty() && column.merge != Merge::Replace {
            return Err(format!("column {name} has secret_paths and merges"));
        }
        let items = column.secret_paths.iter().any(|path| path.starts_with("[]."));
        if items && column.json != Some(JsonShape::Array) {
            return Err(format!("column {name} has secrets in items and is no array"));
        }
        if let Some(pattern) = &column.pattern {
            regex::Regex::new(pattern).map_err(|error| format!("column {name}: {error}"))?;
        }
    }
    let told = resource.report.iter().flat_map(|report| report.key.keys());
    if let Some(missing) = told.into_iter().find(|name| !resource.columns.contains_key(*name)) {
        return Err(format!("column {missing} of a report is not described"));
    }
    if let Some(bulk) = &resource.bulk {
        let named = bulk.columns.iter().chain(&bulk.required).chain([&bulk.home.column]);
        let named = named.chain(bulk.same_where.iter().flat_map(|held| held.keys()));
        if let Some(missing) = named.into_iter().find(|name| !resource.columns.contains_key(*name)) {
            return Err(format!("column {missing} of the import is not described"));
        }
        if resource.create.is_none()
            || resource.list.is_empty()
            || !matches!(resource.new_key, NewKey::Client { .. })
        {
            return Err("rows are imported that are not created by keys of ours, or not listed".to_owned());
        }
    }
    if let Some(export) = &resource.export {
        let named = export.columns.iter().chain(&export.born);
        if let Some(strange) = named
            .chain(&resource.key)
            .find(|name| !resource.columns.contains_key(*name) || !export.columns.contains(name))
        {
            return Err(format!("column {strange} of the export is not described or not exported"));
        }
        if resource.get.is_none() {
            return Err("it is exported and has no call to read a row".to_owned());
        }
    }
    let calls = [resource.get.as_ref(), resource.update.as_ref(), resource.delete.as_ref()];
    for call in calls.into_iter().flatten() {
        if let Some(strange) =
            placeholders(&call.path).find(|name| !resource.key.iter().any(|key| key == name))
        {
            return Err(format!("{{{strange}}} in {} is not a key column", call.path));
        }
    }
    if let Some(event) = &resource.event {
        if let Some(strange) = event.shows.iter().find(|name| !resource.columns.contains_key(*name)) {
            return Err(format!("column {strange} of its events is not described"));
        }
        if !resource.key.iter().all(|column| event.key.contains_key(column)) {
            return Err("its events do not name the whole key".into());
        }
        if event.reading && resource.version.as_ref().is_none_or(|version| !event.shows.contains(version)) {
            return Err("its events are readings and do not show the version".into());
        }
    }
    for command in &resource.command {
        let named = placeholders(&command.call.path).chain(command.when.keys().map(String::as_str));
        if let Some(strange) =
            named.chain(command.multipart.as_deref()).find(|name| !resource.columns.contains_key(*name))
        {
            return Err(format!("{strange} of {} is not a column", command.call.path));
        }
    }
    for list in &resource.list {
        if let Some(column) = &list.slice_by
            && resource.columns.get(column).map(|c| c.kind) != Some(ColumnType::Timestamptz)
        {
            return Err(format!("list {} is sliced by {column}, which is not a timestamptz", list.path));
        }
        let parented = list.placeholders().filter(|name| !list.each.contains_key(*name)).count();
        if list.parent.is_some() != (parented > 0) {
            return Err(format!("list {} must name its parent exactly if it has a placeholder", list.path));
        }
        if let Some(strange) =
            list.placeholders().chain(list.item.as_deref()).find(|name| !resource.columns.contains_key(*name))
        {
            return Err(format!("{strange} of list {} is not a column", list.path));
        }
    }
    Ok(())
}

/// What each kind has and has not.
fn kind(resource: &Resource) -> std::result::Result<(), String> {
    let is = |kind| resource.kind == kind;
    let rules = [
        (
            is(ResourceKind::Command) == resource.command.is_empty(),
            "a command has calls, and nothing else has",
        ),
        (
            is(ResourceKind::View) != resource.view.is_some(),
            "a view says what it shows, and nothing else does",
        ),
        (is(ResourceKind::Retired) && resource.refusal.is_none(), "what is retired says what to use instead"),
        (
            !resource.kind.is_read() && (resource.get.is_some() || !resource.list.is_empty()),
            "only what Auth0 has is read from it",
        ),
        (
            !resource.kind.is_read() && (resource.create.is_some() || resource.update.is_some()),
            "only what Auth0 has is written to it",
        ),
        (resource.replace.is_some() && resource.create.is_some(), "links are set one by one or all together"),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, what)| Err(what.to_owned()))
}

/// Checks what holds between resources.
pub(super) fn catalog(resources: &IndexMap<String, Resource>) -> Result<()> {
    for resource in resources.values() {
        let wrong = |what: String| {
            Error::new(Kind::Catalog, format!("{}/{}.toml: {what}", resource.tag, resource.table))
        };
        if let Some(missing) = resource.parents().find(|parent| !resources.contains_key(*parent)) {
            return Err(wrong(format!("references {missing}, which is not described")));
        }
        let along = resource.takes_along.iter().chain(&resource.changes);
        if let Some(missing) = along.into_iter().find(|table| !resources.contains_key(*table)) {
            return Err(wrong(format!("takes along {missing}, which is not described")));
        }
        for touch in &resource.touches {
            let known = resources.get(&touch.table).is_some_and(|other| touch.key.keys().eq(&other.key));
            if !known {
                return Err(wrong(format!("touches {}, whose key this is not", touch.table)));
            }
        }
        for list in &resource.list {
            source(resources, list).map_err(wrong)?;
        }
        if let Some(view) = &resource.view
            && let Some(of) = resources.get(&view.of)
            && let Some(strange) = resource
                .columns
                .keys()
                .map(|name| resource.field(name))
                .chain(view.has.as_deref())
                .find(|name| !of.columns.contains_key(*name))
        {
            return Err(wrong(format!("{} has no column {strange}", view.of)));
        }
    }
    Ok(())
}

/// Checks that the tables which say what to list have what they are asked for.
fn source(resources: &IndexMap<String, Resource>, list: &List) -> std::result::Result<(), String> {
    let has = |table: &str, column: &str| {
        resources.get(table).is_some_and(|resource| resource.columns.contains_key(column))
    };
    if let Some(parent) = &list.parent {
        let named = list.from.values().chain(list.only.keys());
        if let Some(strange) = named.into_iter().find(|column| !has(parent, column)) {
            return Err(format!("{parent} has no column {strange}"));
        }
        let free = list
            .placeholders()
            .filter(|name| !list.each.contains_key(*name) && !list.from.contains_key(*name));
        let keys = resources.get(parent).map_or(0, |parent| parent.key.len());
        let free = free.count();
        if free > 0 && free != keys {
            return Err(format!("list {} does not take the whole key of {parent}", list.path));
        }
    }
    for each in list.each.values() {
        if let Each::Of { table, column } = each
            && !has(table, column)
        {
            return Err(format!("{table} has no column {column}"));
        }
    }
    Ok(())
}
