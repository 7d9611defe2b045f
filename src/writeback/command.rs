//! Commands: the call that a row runs once, what of the answer the row keeps, and what is to be read
//! after it. Pure.

use serde_json::{Map, Value, json};

use super::call::Verdict;
use super::request::{Content, request, values};
use super::{body, settlement, shown};
use crate::auth0::{Request, Upload};
use crate::catalog::{Catalog, Class, Command, Resource, RowKey, Target, fill_body};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::Row;

/// Columns that the service keeps about every command; an answer never fills them.
const OWN: [&str; 5] = ["id", "state", "error", "requested_at", "answered_at"];

/// The call that a row runs.
///
/// # Errors
/// `internal` where none fits the row, or a value of the path is missing.
pub(super) fn build(resource: &Resource, content: &Content, correlation_id: &str) -> Result<Request> {
    let values = values(content);
    let command = fitting(resource, &values)?;
    let mut upload = None;
    let body = match &command.call.body {
        Some(template) => fill_body(template, &values),
        None => {
            let mut inputs = resource.columns.iter().filter(|(name, column)| {
                column.class != Class::ReadOnly
                    && !resource.key.contains(name)
                    && !command.when.contains_key(*name)
                    && !body::is_outside_body(&command.call, name)
            });
            let mut fields = Map::new();
            let mut takes = false;
            for (name, _) in &mut inputs {
                takes = true;
                let Some(value) = values.get(name).filter(|value| !value.is_null()) else { continue };
                let field = resource.write_field(name).to_owned();
                if command.multipart.as_ref() == Some(name) {
                    let content = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    upload = Some(Upload { field, content });
                } else {
                    fields.insert(field, value.clone());
                }
            }
            takes.then_some(Value::Object(fields))
        }
    };
    let mut request = request(&command.call, &values, body, correlation_id)?;
    request.upload = upload;
    Ok(request)
}

fn fitting<'a>(resource: &'a Resource, row: &Row) -> Result<&'a Command> {
    let fits = |command: &&Command| {
        command.when.iter().all(|(column, wanted)| row.get(column).and_then(Value::as_str) == Some(wanted))
    };
    resource.command.iter().find(fits).ok_or_else(|| {
        Error::new(Kind::Internal, format!("no call of {} fits the values of the row", resource.table))
    })
}

/// What a row keeps of the answer: its read-only columns.
pub(super) fn result(resource: &Resource, answer: &Value) -> Row {
    let mut row = shown::row(resource, answer, &Map::new());
    row.retain(|name, _| {
        let filled = resource.columns.get(name).is_some_and(|column| column.class == Class::ReadOnly);
        filled && !OWN.contains(&name.as_str())
    });
    row
}

/// What a row becomes by a verdict: state, error, time, and what the answer brought.
pub(super) fn ended(verdict: &Verdict, now: String) -> Row {
    let state = match verdict {
        Verdict::Applied(_) | Verdict::Gone => "done",
        Verdict::Lost => "unknown",
        Verdict::Refused(_) | Verdict::PartlyRefused(_) | Verdict::Unfit { .. } => "failed",
    };
    let mut row = match verdict {
        Verdict::Applied(Some(result)) => result.clone(),
        _ => Row::new(),
    };
    row.insert("state".to_owned(), json!(state));
    row.insert("answered_at".to_owned(), json!(now));
    if let Some(error) = settlement::error_of(verdict) {
        row.insert("error".to_owned(), error);
    }
    row
}

/// What is to be read once the command in row `key` has run.
pub(super) fn to_read(
    catalog: &Catalog,
    resource: &Resource,
    key: &RowKey,
    content: &Content,
) -> Vec<Target> {
    let mut rows = about(catalog, resource, content);
    // What is listed by what the answer brought, such as a job.
    rows.push((resource.table.clone(), key.clone()));
    let rows = rows.into_iter().filter_map(|(table, key)| Target::suspected(catalog, &table, key));
    let changed = |table: &String| Target::changed(catalog, resource, &content.after, table);
    rows.chain(resource.changes.iter().filter_map(changed)).collect()
}

/// The rows that the path of the row's call starts with: the call was about them.
fn about(catalog: &Catalog, resource: &Resource, content: &Content) -> Vec<(String, RowKey)> {
    let values = values(content);
    let Ok(command) = fitting(resource, &values) else { return Vec::new() };
    let path: Vec<&str> = command.call.path.split('/').collect();
    let placeholder = |segment: &str| segment.starts_with('{');
    let rows = catalog.iter().filter_map(|other| {
        let own: Vec<&str> = other.get.as_ref()?.path.split('/').collect();
        let starts = own.len() <= path.len()
            && own
                .iter()
                .zip(&path)
                .all(|(own, there)| own == there || (placeholder(own) && placeholder(there)));
        if !starts {
            return None;
        }
        let mut row = Map::new();
        for (own, there) in own.iter().zip(&path).filter(|(own, _)| placeholder(own)) {
            row.insert(
                own.trim_matches(['{', '}']).to_owned(),
                values.get(there.trim_matches(['{', '}']))?.clone(),
            );
        }
        Some((other.table.clone(), RowKey::of(other, &row)?))
    });
    rows.collect()
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
