//! The reference page of all tables, `catalog/REFERENCE.md`.

use std::fmt::Write as _;

use indexmap::IndexSet;

use super::describe::{Abilities, constraints, example, mentions, operations, remarks, writers};
use super::listing::{by_tag, note};
use crate::catalog::{Catalog, Column, Resource, ResourceKind};

const HEAD: &str = "\
# Tables

<!-- Made by `auth0-sync catalog --markdown`; the files below catalog/ are where to change it. -->

Every table that `auth0-sync` can keep, by the tag of Auth0's Management API. `auth0-sync catalog TABLE`
tells the same in a terminal, `--json` tells it to programs.

- **C** rows can be inserted, **R** rows come from Auth0, **U** they can be updated, **D** they can be deleted.
  `select` works on every table.
- *Scopes*: any one of those named allows the operation; `auth0-sync setup` says which of them are missing.
- *Written by*: `INSERT` and `UPDATE` are yours; what `Auth0` writes is refused from anybody else.
- Every table has a column `extra` (jsonb) too, with fields of Auth0's that are not described here.
- A **command** is a table whose INSERT runs something once. Its rows keep the outcome.
";

/// The whole page.
pub fn page(catalog: &Catalog) -> String {
    let mut text = HEAD.to_owned();
    let tables = by_tag(catalog);
    contents(catalog, &tables, &mut text);
    let mut tag = "";
    for resource in tables {
        if resource.tag != tag {
            tag = &resource.tag;
            let _ = writeln!(text, "\n## Tag {tag}");
        }
        table(catalog, resource, &mut text);
    }
    text
}

/// One line a table.
fn contents(catalog: &Catalog, tables: &[&Resource], text: &mut String) {
    text.push_str("\n## Contents\n");
    let mut tag = "";
    // Writing to a String cannot fail.
    for resource in tables {
        if resource.tag != tag {
            tag = &resource.tag;
            let _ = writeln!(text, "\n**{tag}**\n\n| table | | a row is |\n|---|---|---|");
        }
        let (name, letters) = (&resource.table, Abilities::of(catalog, resource).letters());
        let comment = cell(&resource.comment);
        let _ = writeln!(text, "| [{name}](#{name}) | `{letters}` | {comment}{} |", note(resource));
    }
}

fn table(catalog: &Catalog, resource: &Resource, text: &mut String) {
    let name = &resource.table;
    let _ = writeln!(
        text,
        "\n### {name}\n\n{} *{}{}*",
        resource.comment,
        resource.kind.as_str(),
        note_of(resource)
    );
    let remarks = remarks(catalog, resource);
    if !remarks.is_empty() {
        text.push('\n');
    }
    for remark in remarks {
        let _ = writeln!(text, "- {}", mentions(catalog, &remark, |table| format!("[{table}](#{table})")));
    }
    if matches!(resource.kind, ResourceKind::Command | ResourceKind::Watch) {
        let _ = writeln!(text, "\n```sql\n{}\n```", example(resource));
    }
    let rows: IndexSet<String> = operations(resource)
        .iter()
        .map(|operation| {
            let scopes: Vec<_> = operation.scopes.iter().map(|scope| format!("`{scope}`")).collect();
            let when = operation.when.as_ref().map(|when| format!(" where `{when}`")).unwrap_or_default();
            let call = format!("{} {}", operation.method, operation.path);
            format!("| {}{when} | {} | `{call}` |", operation.name, scopes.join(" or "))
        })
        .collect();
    if !rows.is_empty() {
        let _ = writeln!(
            text,
            "\n| | scopes | at Auth0 |\n|---|---|---|\n{}",
            rows.into_iter().collect::<Vec<_>>().join("\n")
        );
    }
    if resource.columns.is_empty() {
        return;
    }
    let can = Abilities::of(catalog, resource);
    text.push_str("\n| column | type | written by | |\n|---|---|---|---|\n");
    for (name, column) in &resource.columns {
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            column.kind.sql(),
            writers(can, column),
            notes(catalog, resource, name, column)
        );
    }
}

/// The kind stands before it, so it is not said twice.
fn note_of(resource: &Resource) -> String {
    let note = note(resource);
    let inner = note.trim_start_matches(" (").trim_end_matches(')');
    let rest: Vec<_> =
        inner.split(", ").filter(|part| !part.is_empty() && *part != resource.kind.as_str()).collect();
    if rest.is_empty() { String::new() } else { format!(", {}", rest.join(", ")) }
}

/// What a column holds, and what a value must be.
fn notes(catalog: &Catalog, resource: &Resource, name: &str, column: &Column) -> String {
    let mut notes = cell(&column.comment);
    let limits: Vec<String> = constraints(resource, name, column, false)
        .iter()
        .map(|limit| match limit.split_once(' ') {
            Some(("matches", pattern)) => format!("matches `{}`", cell(pattern)),
            Some(("references", table)) if catalog.get(table).is_some() => {
                format!("references [{table}](#{table})")
            }
            _ => cell(limit),
        })
        .collect();
    if !limits.is_empty() {
        let _ = write!(notes, " *{}*", limits.join("; "));
    }
    notes
}

/// Text that keeps to its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
