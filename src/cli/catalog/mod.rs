//! `auth0-sync catalog`: what the tables are, what can be done with them, and what that needs.
//! It reads the catalogue alone: no configuration, no database, no network.

pub mod check;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use crate::{
    Error, Kind, Result,
    catalog::{Call, Catalog, Column, Merge, Resource, WriteCall},
};

/// Arguments of `auth0-sync catalog`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Compare with an OpenAPI document of Auth0's; exit code 1 where anything differs
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Tables to show with their columns; without any, all tables in short
    #[arg(value_name = "TABLE", value_parser = known_table)]
    tables: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// `catalog` for a fault of the build, `config` for a document that cannot be read, `io` where standard
/// output cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = Catalog::load()?;
    if let Some(file) = &args.check {
        let report = check::compare(&catalog, file, &args.tables)?;
        print(&if args.json { format!("{:#}\n", report.document()) } else { report.text() })?;
        return Ok(if report.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let chosen: Vec<&Resource> = match args.tables.as_slice() {
        [] => catalog.iter().collect(),
        names => names.iter().map(|name| catalog.resource(name)).collect::<Result<_>>()?,
    };
    let output = if args.json {
        format!("{:#}\n", json!({"tables": chosen.iter().map(|r| document(r)).collect::<Vec<_>>()}))
    } else {
        listing(&chosen, !args.tables.is_empty())
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

fn print(output: &str) -> Result<()> {
    match io::stdout().lock().write_all(output.as_bytes()) {
        // The reader has seen enough: `auth0-sync catalog | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| Error::with(Kind::Io, "cannot write to standard output", error)),
    }
}

fn known_table(name: &str) -> std::result::Result<String, String> {
    let catalog = Catalog::load().map_err(|error| error.to_string())?;
    match catalog.get(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err("no such table; `auth0-sync catalog` lists all".into()),
    }
}

/// One thing that can be done with a table: a call, and the scopes of which any one allows it.
struct Operation<'a> {
    name: &'static str,
    method: &'a str,
    path: &'a str,
    scopes: &'a [String],
}

impl<'a> Operation<'a> {
    fn of(name: &'static str, call: &'a Call) -> Operation<'a> {
        Operation { name, method: &call.method, path: &call.path, scopes: &call.scopes }
    }
}

fn operations(resource: &Resource) -> Vec<Operation<'_>> {
    let lists = resource.list.iter().map(|list| Operation {
        name: "read",
        method: "GET",
        path: &list.path,
        scopes: &list.scopes,
    });
    lists
        .chain(resource.get.iter().map(|get| Operation::of("read", get)))
        .chain(resource.create.iter().map(|create| Operation::of("insert", &create.call)))
        .chain(resource.update.iter().map(|update| Operation::of("update", update)))
        .chain(resource.delete.iter().map(|delete| Operation::of("delete", delete)))
        .collect()
}

/// What a client's value must be, in short phrases.
fn constraints(resource: &Resource, name: &str, column: &Column) -> Vec<String> {
    let mut found = Vec::new();
    if resource.key.iter().any(|key| key == name) {
        found.push("key".to_owned());
    }
    if column.required {
        found.push("required".to_owned());
    }
    match column.only_on {
        Some(WriteCall::Create) => found.push("on insert only".to_owned()),
        Some(WriteCall::Update) => found.push("on update only".to_owned()),
        None => {}
    }
    if column.secret {
        found.push("secret, never stored".to_owned());
    }
    found.extend(column.references.iter().map(|table| format!("references {table}")));
    found.extend(column.format.map(|format| format!("format {}", format.as_str())));
    found.extend(column.min_length.map(|length| format!("at least {length} long")));
    found.extend(column.max_length.map(|length| format!("at most {length} long")));
    found.extend(column.minimum.map(|number| format!("at least {number}")));
    found.extend(column.maximum.map(|number| format!("at most {number}")));
    found.extend(column.pattern.iter().map(|pattern| format!("matches {pattern}")));
    if !column.values.is_empty() {
        found.push(format!("one of {}", column.values.join(", ")));
    }
    found
}

fn listing(resources: &[&Resource], with_columns: bool) -> String {
    let mut text = String::new();
    for (index, resource) in resources.iter().enumerate() {
        let gap = if index > 0 { "\n" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{gap}{}: {}", resource.table, resource.comment);
        let mut said = Vec::new();
        for operation in operations(resource) {
            let line = format!("  {:<8}{}", operation.name, operation.scopes.join(" or "));
            if !said.contains(&line) {
                let _ = writeln!(text, "{line}");
                said.push(line);
            }
        }
        if with_columns {
            let width = resource.columns.keys().map(String::len).max().unwrap_or_default();
            for (name, column) in &resource.columns {
                let (kind, class) = (column.kind.sql(), column.class.as_str());
                let limits = constraints(resource, name, column).join("; ");
                let line = format!("  {name:<width$}  {kind:<16}  {class:<11}  {limits}");
                let _ = writeln!(text, "{}\n      {}", line.trim_end(), column.comment);
            }
        }
    }
    text
}

fn document(resource: &Resource) -> Value {
    let kind = resource.kind.as_str();
    let operations: Vec<Value> = operations(resource)
        .iter()
        .map(|o| json!({"operation": o.name, "method": o.method, "path": o.path, "any_scope": o.scopes}))
        .collect();
    let columns: Vec<Value> =
        resource.columns.iter().map(|(name, c)| column_document(resource, name, c)).collect();
    json!({
        "table": resource.table, "tag": resource.tag, "kind": kind, "comment": resource.comment,
        "key": resource.key, "operations": operations, "columns": columns,
    })
}

fn column_document(resource: &Resource, name: &str, column: &Column) -> Value {
    let merge = match column.merge {
        Merge::Replace => None,
        Merge::Keys => Some("keys"),
        Merge::ReadKeys => Some("read_keys"),
    };
    let only_on = column.only_on.map(|call| match call {
        WriteCall::Create => "insert",
        WriteCall::Update => "update",
    });
    let values = Some(&column.values).filter(|values| !values.is_empty());
    let all = [
        ("name", json!(name)),
        ("field", json!(resource.field(name))),
        ("type", json!(column.kind.sql())),
        ("class", json!(column.class.as_str())),
        ("comment", json!(column.comment)),
        ("required", json!(column.required)),
        ("secret", json!(column.secret)),
        ("only_on", json!(only_on)),
        ("references", json!(column.references)),
        ("format", json!(column.format.map(|format| format.as_str()))),
        ("pattern", json!(column.pattern)),
        ("enum", json!(values)),
        ("min_length", json!(column.min_length)),
        ("max_length", json!(column.max_length)),
        ("minimum", json!(column.minimum)),
        ("maximum", json!(column.maximum)),
        ("merge", json!(merge)),
    ];
    let present = all.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_tells_operations_scopes_and_constraints() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let short = listing(&[user], false);
        assert!(short.contains("  update  update:users or update:users_app_metadata\n"), "{short}");
        assert_eq!(short.matches("  read ").count(), 1, "equal lines stand once: {short}");
        let long = listing(&[user], true);
        assert!(long.contains("format email"), "{long}");
        assert!(long.contains("secret, never stored"), "{long}");
    }

    #[test]
    fn the_document_has_every_column_and_only_the_constraints_that_stand() {
        let catalog = Catalog::bundled().unwrap();
        for resource in catalog.iter() {
            let document = document(resource);
            assert_eq!(document["columns"].as_array().unwrap().len(), resource.columns.len());
        }
        let user = document(catalog.resource("user").unwrap());
        assert_eq!(user["columns"][0]["name"], "user_id");
        assert_eq!(user["columns"][0]["max_length"], 255);
        assert!(user["columns"][0].get("merge").is_none());
    }

    #[test]
    fn a_table_that_is_not_described_is_refused_as_an_argument() {
        assert!(known_table("user").is_ok());
        assert!(known_table("users").unwrap_err().contains("no such table"));
    }
}
