//! `auth0-sync catalog --check`: the catalogue against an OpenAPI document, so that what Auth0 adds
//! or changes is found by a routine and not by an accident.

mod calls;
mod column;
mod document;
mod fields;
mod left_out;
mod report;
mod shape;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::Path};

use calls::{Calls, Lookup};
use document::{Document, Index, Operation};
use fields::Known;
use left_out::LeftOut;

use crate::{
    Result,
    catalog::{Call, Catalog, List, NewKey, Resource, ResourceKind, placeholders},
};

pub use report::Report;

/// One thing in which a table differs from the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The column or, where it has none, Auth0's field; none for the table as a whole.
    pub column: Option<String>,
    /// What differs, as a phrase.
    pub what: String,
}

/// An operation that no table uses and nobody has left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Auth0's tag.
    pub tag: String,
    /// In capitals.
    pub method: String,
    /// As the document writes it.
    pub path: String,
    /// What it does, in Auth0's words.
    pub summary: String,
}

#[derive(Default)]
struct Findings {
    differences: Vec<Difference>,
    used: BTreeSet<usize>,
}

/// Compares the catalogue with a document; with `tables`, these tables alone.
///
/// # Errors
/// `config` where a file cannot be read, `catalog` where the list of what is left out is wrong.
pub fn compare(catalog: &Catalog, file: &Path, tables: &[String]) -> Result<Report> {
    let document = Document::read(file)?;
    let left_out = LeftOut::load()?;
    Ok(against(catalog, &document, &left_out, tables))
}

fn against(catalog: &Catalog, document: &Document, left_out: &LeftOut, tables: &[String]) -> Report {
    let operations = document.operations();
    let index = Index::new(&operations);
    let mut findings = Findings::default();
    let wanted = |resource: &Resource| tables.is_empty() || tables.contains(&resource.table);
    let mut compared = 0;
    for resource in catalog.iter().filter(|resource| wanted(resource)) {
        compared += 1;
        let lookup = Lookup { document, operations: &operations, index: &index, resource };
        table(&lookup, &mut findings);
    }
    let mut report = Report {
        tables: compared,
        operations: operations.len(),
        differences: findings.differences,
        ..Report::default()
    };
    if tables.is_empty() {
        report.unused = unused(&operations, &findings.used, left_out);
        report.needless = left_out.needless(&operations, &findings.used);
    }
    report
}

fn table(lookup: &Lookup<'_>, findings: &mut Findings) {
    let resource = lookup.resource;
    let begun = findings.differences.len();
    let calls = lookup.examine(findings);
    if resource.whole.is_none() && (resource.kind.is_read() || resource.kind == ResourceKind::Command) {
        columns(resource, &calls, findings);
    }
    findings.excuse(resource, None, resource.differs.as_ref(), begun);
}

fn columns(resource: &Resource, calls: &Calls, findings: &mut Findings) {
    let mut fields = fields::gather(resource, calls);
    for fault in std::mem::take(&mut fields.faults) {
        findings.push(resource, None, fault);
    }
    for (name, column) in resource.columns.iter().filter(|(name, _)| !is_of_commands(resource, name)) {
        let known = fields.known.get(resource.field(name));
        let found = match known {
            Some(known) => column::differences(resource, name, column, known),
            None if is_ours(resource, name) => Vec::new(),
            None => vec![format!("Auth0 has no field {}", resource.field(name))],
        };
        let begun = findings.differences.len();
        found.into_iter().for_each(|what| findings.push(resource, Some(name), what));
        findings.excuse(resource, Some(name), column.differs.as_ref(), begun);
    }
    // A link is listed as the thing on its other side, whose fields stand in that thing's table.
    let elsewhere = |known: &Known| {
        resource.kind == ResourceKind::Association && known.create.is_none() && known.update.is_none()
    };
    for (field, known) in &fields.known {
        let has = resource.columns.keys().any(|column| resource.field(column) == field);
        match (has, resource.lacks.contains_key(field)) {
            (false, false) if !elsewhere(known) => {
                let (class, _) = fields::class(resource, known);
                findings.push(
                    resource,
                    Some(field),
                    format!("has no column; at Auth0 it is {}", class.as_str()),
                );
            }
            (true, true) => findings.push(resource, Some(field), "has a column: `lacks` can go".to_owned()),
            _ => {}
        }
    }
    for field in resource.lacks.keys().filter(|field| !fields.known.contains_key(*field)) {
        findings.push(resource, Some(field), "Auth0 has no such field: `lacks` can go".to_owned());
    }
}

/// Whether a column is one that every command table has, or goes as a file, which documents describe as bytes.
fn is_of_commands(resource: &Resource, name: &str) -> bool {
    let is_file = resource.command.iter().any(|command| command.multipart.as_deref() == Some(name));
    resource.kind == ResourceKind::Command
        && (is_file || ["id", "state", "error", "requested_at", "answered_at"].contains(&name))
}

/// Whether a column has its value from somewhere else than a field of Auth0's.
fn is_ours(resource: &Resource, name: &str) -> bool {
    let in_list = |list: &List| {
        list.placeholders().any(|placeholder| placeholder == name) || list.item.as_deref() == Some(name)
    };
    let wanted = format!("{{{name}}}");
    let in_call = |call: &Call| {
        placeholders(&call.path).any(|placeholder| placeholder == name)
            || call.query.values().any(|value| *value == wanted)
    };
    let fixed = matches!(resource.new_key, NewKey::Fixed { .. }) && resource.key == [name];
    let chosen = resource.command.iter().any(|command| command.when.contains_key(name));
    fixed
        || chosen
        || resource.list.iter().any(in_list)
        || resource.calls().any(in_call)
        || resource.replace.as_ref().is_some_and(|replace| replace.order.as_deref() == Some(name))
        || in_template(resource, name)
}

/// Whether a column is named by the template of a body.
fn in_template(resource: &Resource, name: &str) -> bool {
    let wanted = format!("{{{name}}}");
    let items = resource.replace.iter().map(|replace| &replace.item);
    resource.calls().filter_map(|call| call.body.as_ref()).chain(items).any(|body| holds(body, &wanted))
}

fn holds(template: &toml::Value, wanted: &str) -> bool {
    match template {
        toml::Value::String(text) => text == wanted,
        toml::Value::Array(items) => items.iter().any(|item| holds(item, wanted)),
        toml::Value::Table(table) => table.values().any(|item| holds(item, wanted)),
        _ => false,
    }
}

fn unused(operations: &[Operation<'_>], used: &BTreeSet<usize>, left_out: &LeftOut) -> Vec<Unused> {
    let rest = operations.iter().enumerate().filter(|(place, _)| !used.contains(place));
    rest.filter(|(_, o)| !left_out.has(&o.method, o.path))
        .map(|(_, o)| Unused {
            tag: o.tag.to_owned(),
            method: o.method.clone(),
            path: o.path.to_owned(),
            summary: o.summary.to_owned(),
        })
        .collect()
}
