//! Contradictions that the type system cannot see, found when the catalogue is read.

use indexmap::IndexMap;

use super::model::{Class, ColumnType, Merge, NewKey, Resource, ResourceKind};
use super::template::placeholders;
use crate::error::{Error, Kind, Result};

/// Postgres cuts longer names, and then nothing is found under them.
const MAX_NAME: usize = 63;

impl Resource {
    /// Tables that this one references, lists' parents included.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.values().filter_map(|column| column.references.as_deref());
        columns.chain(self.list.iter().filter_map(|list| list.parent.as_deref()))
    }

    /// Columns whose value a client may give but that never stand in the mirror.
    pub fn write_only(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|(_, c)| c.class == Class::WriteOnly).map(|(name, _)| name.as_str())
    }

    /// Whether values of clients are set aside for some column.
    pub fn sets_aside(&self) -> bool {
        self.write_only().next().is_some()
            || self.columns.values().any(|column| !column.secret_keys.is_empty())
    }

    /// Auth0's name of a column's field.
    pub fn field<'a>(&'a self, column: &'a str) -> &'a str {
        self.columns.get(column).and_then(|c| c.field.as_deref()).unwrap_or(column)
    }
}

/// Checks one resource by itself; the message names what is wrong.
pub(super) fn resource(resource: &Resource) -> std::result::Result<(), String> {
    for name in resource.columns.keys().chain([&resource.table]) {
        let ordinary = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !ordinary || name.len() > MAX_NAME || name == "extra" {
            return Err(format!("{name} cannot be the name of a table or column"));
        }
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
        (NewKey::Given, ResourceKind::Association) | (NewKey::Fixed { .. }, ResourceKind::Singleton) => {}
        (NewKey::Client { .. } | NewKey::Server | NewKey::Given, ResourceKind::Collection) => {}
        _ => return Err("new_key does not fit the kind".into()),
    }
    if matches!(resource.new_key, NewKey::Client { .. } | NewKey::Server) && resource.key.len() != 1 {
        return Err("a generated key has one column".into());
    }
    for (name, column) in &resource.columns {
        if column.secret && column.class != Class::WriteOnly {
            return Err(format!("secret column {name} must be write_only"));
        }
        if column.merge != Merge::Replace && column.kind != ColumnType::Jsonb {
            return Err(format!("column {name} merges but is not jsonb"));
        }
        // A replaced object would lose at Auth0 the keys that the mirror does not show.
        if !column.secret_keys.is_empty() && !column.merge.by_key() {
            return Err(format!("column {name} has secret_keys but does not merge"));
        }
        if let Some(pattern) = &column.pattern {
            regex::Regex::new(pattern).map_err(|error| format!("column {name}: {error}"))?;
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
    for list in &resource.list {
        if let Some(column) = &list.slice_by
            && resource.columns.get(column).map(|c| c.kind) != Some(ColumnType::Timestamptz)
        {
            return Err(format!("list {} is sliced by {column}, which is not a timestamptz", list.path));
        }
        if list.parent.is_some() != (placeholders(&list.path).count() > 0) {
            return Err(format!("list {} must name its parent exactly if it has a placeholder", list.path));
        }
    }
    Ok(())
}

/// Checks what holds between resources.
pub(super) fn catalog(resources: &IndexMap<String, Resource>) -> Result<()> {
    for resource in resources.values() {
        if let Some(missing) = resource.parents().find(|parent| !resources.contains_key(*parent)) {
            let what = format!(
                "{}/{}.toml: references {missing}, which is not described",
                resource.tag, resource.table
            );
            return Err(Error::new(Kind::Catalog, what));
        }
        if let Some(missing) = resource.takes_along.iter().find(|table| !resources.contains_key(*table)) {
            let what = format!(
                "{}/{}.toml: takes along {missing}, which is not described",
                resource.tag, resource.table
            );
            return Err(Error::new(Kind::Catalog, what));
        }
    }
    Ok(())
}
