//! What Auth0 answers as a row of the mirror, under the key that it has here. Pure.

use serde_json::{Map, Value};

use super::request::{Content, is_templated};
use crate::catalog::{NewKey, Resource, RowKey};
use crate::pg::mirror::{Operation, Row, row_from_answer};

/// The row that an answer shows; where the body is the value of one column, that column. What the
/// answer leaves out of the key (the parent, mostly) is taken from `key`.
pub(super) fn row(resource: &Resource, answer: &Value, key: &Map<String, Value>) -> Row {
    let mut row = row_from_answer(resource, answer);
    under(resource, key, &mut row);
    row
}

/// Gives a row the parts of the key that are ours to know: all but the one that Auth0 makes.
pub(super) fn under(resource: &Resource, key: &Map<String, Value>, row: &mut Row) {
    let last = resource.key.len().saturating_sub(1);
    for (n, column) in resource.key.iter().enumerate() {
        let Some(value) = key.get(column) else { continue };
        if n < last || resource.new_key == NewKey::Given {
            row.insert(column.clone(), value.clone());
        } else {
            row.entry(column.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The row in the answer to a mutation's call, where it shows one whole.
pub(super) fn answered(resource: &Resource, content: &Content, answer: &Value) -> Option<Row> {
    match content.operation {
        Operation::Delete => None,
        // A list shows more than the answer to a change: the row is read again.
        Operation::Update if resource.get.is_none() => None,
        Operation::Insert | Operation::Update => {
            written(resource, answer, &content.key, is_templated(resource, content.operation))
        }
    }
}

/// The row in the answer to a write, where it shows one.
fn written(resource: &Resource, answer: &Value, key: &Map<String, Value>, templated: bool) -> Option<Row> {
    // One row may come as an array of one.
    let answer = match answer.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => answer,
    };
    if answer.as_object().is_none_or(Map::is_empty) {
        return None;
    }
    // A whole document is not always repeated: what was written is what is there.
    if resource.whole.is_some() {
        return None;
    }
    // A call with a body of its own answers about something else, unless it names the row.
    let named = || RowKey::of(resource, &row_from_answer(resource, answer));
    if templated && named() != RowKey::of(resource, key) {
        return None;
    }
    Some(row(resource, answer, key))
}
