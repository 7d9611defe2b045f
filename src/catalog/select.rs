//! What of the catalogue is mirrored: the tables and columns that the configuration names.

use indexmap::{IndexMap, IndexSet};

use super::load::Catalog;
use super::model::{Lifecycle, Recognise, Resource};
use super::template::{placeholder, placeholders};
use crate::error::{Error, Kind, Result};

/// Every table but those that Auth0 has ended.
const ALL: &str = "*";
/// So many names are offered for one that does not exist.
const OFFERED: usize = 3;

/// The configuration's `objects` and `[columns]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `*`, `name` or `-name`. Without a name that is selected: every table that is not optional.
    pub objects: Vec<String>,
    /// Table → the only columns (`name`), or those that are left out (`-name`).
    pub columns: IndexMap<String, Vec<String>>,
}

/// A table that the configuration did not name, or did not leave out, and that still is or is not
/// selected because of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follows {
    /// The table.
    pub table: String,
    /// The table that is the cause.
    pub because_of: String,
    /// It is selected, because the other needs it; else it is left out, because it needs the other.
    pub selected: bool,
}

impl Catalog {
    /// The catalogue of what is selected, with the tables that something selected needs. Columns
    /// that are left out stand in [`Resource::hidden`]; references to tables that are not selected go.
    ///
    /// # Errors
    /// `config`, naming what does not exist with the nearest names, or what cannot be left out.
    pub fn selected(&self, selection: &Selection) -> Result<Catalog> {
        let (tables, follows) = self.tables(selection)?;
        if let Some(unknown) = selection.columns.keys().find(|table| self.get(table).is_none()) {
            return Err(no_table(self, unknown, "[columns]"));
        }
        let mut resources: IndexMap<String, Resource> = self
            .iter()
            .filter(|resource| tables.contains(&resource.table))
            .map(|resource| (resource.table.clone(), resource.clone()))
            .collect();
        for (table, names) in &selection.columns {
            if let (Some(resource), Some(full)) = (resources.get_mut(table), self.get(table)) {
                hide(resource, &left_out(self, full, &tables, names)?);
            }
        }
        let gone: Vec<(String, String)> = resources
            .values()
            .flat_map(|resource| {
                resource.hidden.keys().map(|column| (resource.table.clone(), column.clone()))
            })
            .collect();
        for resource in resources.values_mut() {
            let Some(of) = resource.view.as_ref().map(|view| view.of.clone()) else { continue };
            let base = |column: &String| (of.clone(), resource.field(column).to_owned());
            let lost: Vec<_> =
                resource.columns.keys().filter(|name| gone.contains(&base(name))).cloned().collect();
            hide(resource, &lost);
        }
        for resource in resources.values_mut() {
            let there = |table: &String| tables.contains(table);
            for column in resource.columns.values_mut() {
                column.references = column.references.take().filter(there);
            }
            resource.takes_along.retain(there);
            resource.changes.retain(there);
        }
        Ok(Catalog::of(resources, follows))
    }

    /// Names of the selected tables, and those that follow from others.
    fn tables(&self, selection: &Selection) -> Result<(IndexSet<String>, Vec<Follows>)> {
        let (mut named, mut out) = (IndexSet::new(), IndexSet::new());
        let mut all = false;
        for object in selection.objects.iter().map(|object| object.trim()).filter(|object| !object.is_empty())
        {
            let name = object.strip_prefix('-').unwrap_or(object);
            match object {
                ALL => all = true,
                _ if self.get(name).is_none() => return Err(no_table(self, name, "objects")),
                _ if name == object => drop(named.insert(name.to_owned())),
                _ => drop(out.insert(name.to_owned())),
            }
        }
        if let Some(both) = named.intersection(&out).next() {
            return Err(Error::new(Kind::Config, format!("objects names {both} and leaves it out")));
        }
        let by_default = |resource: &&Resource| match all {
            true => resource.lifecycle != Lifecycle::Ended,
            false => named.is_empty() && resource.optional.is_none(),
        };
        let mut tables: IndexSet<String> =
            self.iter().filter(by_default).map(|resource| resource.table.clone()).collect();
        tables.extend(named.iter().cloned());
        tables.retain(|table| !out.contains(table));
        let mut follows = Vec::new();
        // What needs a table that is left out goes with it, unless it is named.
        while let Some((table, because_of)) = self.first_need(&tables, |need| out.contains(need)) {
            if named.contains(&table) {
                let what = format!("objects leaves out {because_of}, and {table}, which it names, needs it");
                return Err(Error::new(Kind::Config, what));
            }
            tables.shift_remove(&table);
            out.insert(table.clone());
            follows.push(Follows { table, because_of, selected: false });
        }
        while let Some((because_of, table)) = self.first_need(&tables, |need| !tables.contains(need)) {
            tables.insert(table.clone());
            follows.push(Follows { table, because_of, selected: true });
        }
        Ok((tables, follows))
    }

    /// The first of these tables that needs another for which `is` holds, and that other.
    fn first_need(&self, tables: &IndexSet<String>, is: impl Fn(&str) -> bool) -> Option<(String, String)> {
        tables.iter().find_map(|table| {
            let need = self.get(table)?.needs().find(|need| *need != table && is(need))?;
            Some((table.clone(), need.to_owned()))
        })
    }
}

/// Moves columns to where they are known and not mirrored.
fn hide(resource: &mut Resource, names: &[String]) {
    for name in names {
        if let Some(column) = resource.columns.shift_remove(name) {
            resource.hidden.insert(name.clone(), column);
        }
    }
    let shown = |name: &String| resource.columns.contains_key(name);
    for group in &mut resource.apart {
        group.retain(shown);
    }
    resource.apart.retain(|group| !group.is_empty());
    resource.apart_with.retain(shown);
    if let Some(export) = &mut resource.export {
        export.columns.retain(|name| resource.columns.contains_key(name));
        export.born = export.born.take().filter(|name| resource.columns.contains_key(name));
    }
}

/// The columns of a table that its entry in `[columns]` leaves out.
fn left_out(
    catalog: &Catalog,
    resource: &Resource,
    tables: &IndexSet<String>,
    names: &[String],
) -> Result<Vec<String>> {
    let table = &resource.table;
    let bare: Vec<&str> = names.iter().map(|name| name.strip_prefix('-').unwrap_or(name)).collect();
    if let Some(unknown) = bare.iter().find(|name| !resource.columns.contains_key(**name)) {
        let near = nearest(unknown, resource.columns.keys().map(String::as_str));
        return Err(Error::new(Kind::Config, format!("[columns]: {table} has no column {unknown}{near}")));
    }
    let minus = names.iter().filter(|name| name.starts_with('-')).count();
    if minus != 0 && minus != names.len() {
        let what =
            format!("[columns]: {table} names columns and leaves out others; one of the two is enough");
        return Err(Error::new(Kind::Config, what));
    }
    let needed = needed(catalog, resource, tables);
    if minus > 0 {
        if let Some(name) = bare.iter().find(|name| needed.contains(**name)) {
            let what = format!("[columns]: {name} of {table} cannot be left out: auth0-sync needs it");
            return Err(Error::new(Kind::Config, what));
        }
        return Ok(bare.into_iter().map(str::to_owned).collect());
    }
    let left_out =
        resource.columns.keys().filter(|name| !bare.contains(&name.as_str()) && !needed.contains(*name));
    Ok(left_out.cloned().collect())
}

/// Columns that always stay: without them a row could not be found, made, or listed.
fn needed(catalog: &Catalog, resource: &Resource, tables: &IndexSet<String>) -> IndexSet<String> {
    let mut needed: IndexSet<String> = resource.key.iter().cloned().collect();
    let required = resource.columns.iter().filter(|(_, column)| column.required);
    needed.extend(required.map(|(name, _)| name.clone()));
    needed.extend(resource.version.clone());
    needed.extend(resource.whole.clone());
    needed.extend(resource.settling.iter().map(|settling| settling.column.clone()));
    needed.extend(resource.depends.values().flatten().cloned());
    needed.extend(resource.log.iter().flat_map(|hint| hint.key.keys().cloned()));
    needed.extend(resource.report.iter().flat_map(|report| report.key.keys().cloned()));
    for call in resource.calls() {
        needed.extend(placeholders(&call.path).map(str::to_owned));
        needed.extend(call.query.values().filter_map(|value| placeholder(value)).map(str::to_owned));
        call.body.iter().for_each(|body| in_template(body, &mut needed));
    }
    match resource.create.as_ref().map(|create| &create.recognise) {
        Some(Recognise::Path { path }) => needed.extend(placeholders(path).map(str::to_owned)),
        Some(Recognise::List { query, columns }) => {
            needed.extend(query.values().filter_map(|value| placeholder(value)).map(str::to_owned));
            needed.extend(columns.iter().cloned());
        }
        Some(Recognise::Key | Recognise::Repeat) | None => {}
    }
    if let Some(set) = &resource.replace {
        in_template(&set.item, &mut needed);
        needed.extend(set.order.clone());
    }
    for command in &resource.command {
        needed.extend(command.when.keys().chain(&command.multipart).cloned());
    }
    if resource.kind == super::ResourceKind::Command {
        needed.extend(["state", "error", "requested_at", "answered_at"].map(str::to_owned));
    }
    for list in &resource.list {
        needed.extend(list.placeholders().map(str::to_owned));
        needed.extend(list.slice_by.iter().chain(&list.item).cloned());
    }
    for other in catalog.iter().filter(|other| tables.contains(&other.table)) {
        needed.extend(for_another(resource, other));
    }
    needed.retain(|name| resource.columns.contains_key(name));
    needed
}

/// Columns of a table by which another one is listed, or shown.
fn for_another(resource: &Resource, other: &Resource) -> Vec<String> {
    let mut needed = Vec::new();
    for list in &other.list {
        if list.parent.as_ref() == Some(&resource.table) {
            needed.extend(list.from.values().chain(list.only.keys()).cloned());
        }
        needed.extend(list.each.values().filter_map(|each| match each {
            super::Each::Of { table, column } if *table == resource.table => Some(column.clone()),
            _ => None,
        }));
    }
    if let Some(view) = other.view.as_ref().filter(|view| view.of == resource.table) {
        needed.extend(view.has.clone());
        needed.extend(other.key.iter().map(|name| other.field(name).to_owned()));
    }
    needed
}

fn in_template(template: &toml::Value, found: &mut IndexSet<String>) {
    match template {
        toml::Value::String(text) => found.extend(placeholder(text).map(str::to_owned)),
        toml::Value::Array(items) => items.iter().for_each(|item| in_template(item, found)),
        toml::Value::Table(table) => table.values().for_each(|item| in_template(item, found)),
        _ => {}
    }
}

fn no_table(catalog: &Catalog, name: &str, key: &str) -> Error {
    let near = nearest(name, catalog.iter().map(|resource| resource.table.as_str()));
    Error::new(Kind::Config, format!("{key}: there is no table {name}{near}"))
}

/// `; near it: user, user_role` of the names that differ least.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut near: Vec<(usize, &str)> = known
        .map(|other| (distance(name, other), other))
        .filter(|(distance, other)| {
            *distance <= 1 + name.len() / 3
                || (name.len() > 2 && (other.contains(name) || name.contains(other)))
        })
        .collect();
    near.sort();
    let names: Vec<_> = near.into_iter().take(OFFERED).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; near it: {}", names.join(", ")) }
}

/// How many characters have to be added, taken away or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(diagonal + 1).min(row[m] + 1);
        }
    }
    row[other.len()]
}
