//! The catalogue as text for a terminal.

use std::fmt::Write as _;

use indexmap::IndexSet;

use super::describe::{self, Abilities, constraints, mentions, operations, remarks};
use crate::catalog::{Catalog, Lifecycle, Resource, ResourceKind};

/// Every table in one line, by tag.
pub(super) fn overview(catalog: &Catalog) -> String {
    let tables: Vec<&Resource> = by_tag(catalog);
    let width = tables.iter().map(|resource| resource.table.len()).max().unwrap_or_default();
    let mut text = format!(
        "{} tables. C insert, R filled from Auth0, U update, D delete.\n\
         `auth0-sync catalog TABLE` shows one with its columns.\n",
        tables.len()
    );
    let mut tag = "";
    // Writing to a String cannot fail.
    for resource in tables {
        if resource.tag != tag {
            tag = &resource.tag;
            let _ = writeln!(text, "\n{tag}");
        }
        let (table, letters) = (&resource.table, Abilities::of(catalog, resource).letters());
        let _ = writeln!(text, "  {table:<width$}  {letters}  {}{}", resource.comment, note(resource));
    }
    text
}

/// Resources by tag, in each tag in the order of their names.
pub(super) fn by_tag(catalog: &Catalog) -> Vec<&Resource> {
    let mut tables: Vec<&Resource> = catalog.iter().collect();
    tables.sort_by_key(|resource| (&resource.tag, &resource.table));
    tables
}

/// What kind of table it is, where that is not plain, and how far Auth0 has released it.
pub(super) fn note(resource: &Resource) -> String {
    let kind = match resource.kind {
        ResourceKind::Command | ResourceKind::Watch | ResourceKind::View | ResourceKind::Retired => {
            Some(resource.kind.as_str())
        }
        _ => None,
    };
    let lifecycle = match resource.lifecycle {
        Lifecycle::Available => None,
        Lifecycle::EarlyAccess => Some("early access"),
        Lifecycle::Beta => Some("beta"),
        Lifecycle::Ended => Some("ended"),
    };
    let optional = resource.optional.as_ref().map(|_| "only by name");
    let notes: Vec<_> = [kind, lifecycle, optional].into_iter().flatten().collect();
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) }
}

/// Tables with everything that is known of them.
pub(super) fn details(catalog: &Catalog, resources: &[&Resource]) -> String {
    let mut text = String::new();
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        one(catalog, resource, &mut text);
    }
    text
}

fn one(catalog: &Catalog, resource: &Resource, text: &mut String) {
    // Writing to a String cannot fail.
    let (table, kind, tag) = (&resource.table, resource.kind.as_str(), &resource.tag);
    let _ = writeln!(
        text,
        "{table}: {}\n  {kind}, {tag}, {}",
        resource.comment,
        Abilities::of(catalog, resource).letters()
    );
    let operations = operations(resource);
    let scopes: Vec<_> = operations.iter().map(|operation| operation.scopes.join(" or ")).collect();
    let width = scopes.iter().map(String::len).max().unwrap_or_default();
    let lines = operations.iter().zip(&scopes).map(|(operation, scopes)| {
        let when = operation.when.as_ref().map(|when| format!("  where {when}")).unwrap_or_default();
        let call = format!("{} {}", operation.method, operation.path);
        format!("  {:<8}{scopes:<width$}  {call}{when}\n", operation.name)
    });
    // A table may be read by one call in two ways.
    text.extend(lines.collect::<IndexSet<_>>());
    for remark in remarks(catalog, resource) {
        let remark = mentions(catalog, &remark, |table| format!("`{table}`"));
        let _ = writeln!(text, "  - {remark}");
    }
    if matches!(resource.kind, ResourceKind::Command | ResourceKind::Watch) {
        let _ = writeln!(text, "  {}", describe::example(resource));
    }
    let width = resource.columns.keys().map(String::len).max().unwrap_or_default();
    for (name, column) in &resource.columns {
        let (kind, class) = (column.kind.sql(), column.class.as_str());
        let limits = constraints(resource, name, column, true).join("; ");
        let line = format!("  {name:<width$}  {kind:<16}  {class:<11}  {limits}");
        let _ = writeln!(text, "{}\n      {}", line.trim_end(), column.comment);
    }
}
