//! The rebase rule, pure: visible = base + unsettled mutations in order, always.
//!
//! It undoes the unsettled mutations to find the base, changes the base by the news, and does the
//! mutations again, so that each `before` is what lies under it. Column by column (key by key where
//! the API merges) this gives: a value from Auth0 goes into the earliest `before` that touches the
//! column, else into the row; a revert hands its `before` to the next that touches the column.

use std::borrow::Borrow;

use serde_json::{Map, Value};

use crate::catalog::Resource;

/// A row by column names. NULL columns are absent; images of mutations say `null` instead.
pub type Row = Map<String, Value>;

/// What a mutation does to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new row.
    Insert,
    /// Some columns changed.
    Update,
    /// The row is gone.
    Delete,
}

impl Operation {
    /// As `_sync_cdc.operation` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Insert => "INSERT",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }

    /// The inverse of [`Operation::as_str`].
    pub fn parse(text: &str) -> Option<Operation> {
        [Operation::Insert, Operation::Update, Operation::Delete].into_iter().find(|o| o.as_str() == text)
    }
}

/// An unsettled mutation as the rule sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsettled {
    /// `_sync_cdc.id`.
    pub id: i64,
    /// What it does.
    pub operation: Operation,
    /// What lies under it: changed columns, or the whole row for a delete.
    pub before: Option<Row>,
    /// What it writes: changed columns, or the whole row for an insert.
    pub after: Option<Row>,
}

/// What became known of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Auth0 has this row.
    Present(Row),
    /// Auth0 has no such row.
    Absent,
    /// These mutations were applied; the answer, where there was one, is the whole row.
    Applied {
        /// Ids, the earliest of the row's.
        ids: Vec<i64>,
        /// The row as Auth0 answered it.
        answer: Option<Row>,
    },
    /// These mutations were not applied, or what they wrote has been overtaken at Auth0.
    Dropped {
        /// Ids, anywhere in the row's order.
        ids: Vec<i64>,
    },
}

/// What follows from the news.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebased {
    /// The row as clients shall see it.
    pub visible: Option<Row>,
    /// The row as Auth0 has it.
    pub base: Option<Row>,
    /// Mutations whose `before` changes.
    pub befores: Vec<(i64, Row)>,
    /// Mutations that have nothing to stand on any more.
    pub cancelled: Vec<i64>,
}

/// The base of a row: what is visible without its unsettled mutations.
pub fn base_of<M: Borrow<Unsettled>>(
    resource: &Resource,
    visible: Option<&Row>,
    unsettled: &[M],
) -> Option<Row> {
    let mut row = visible.cloned();
    for mutation in unsettled.iter().rev().map(Borrow::borrow) {
        match (mutation.operation, &mutation.before) {
            (Operation::Insert, _) => row = None,
            (Operation::Delete, before) => {
                // NULL in a column that a user added is to be NULL again, not its default.
                row = before.clone().map(|mut row| {
                    row.retain(|column, value| !value.is_null() || !is_described(resource, column));
                    row
                });
            }
            (Operation::Update, Some(before)) => {
                if let Some(row) = &mut row {
                    write(resource, row, before, mutation.after.as_ref());
                }
            }
            (Operation::Update, None) => {}
        }
    }
    row
}

/// Applies news to a row with unsettled mutations, in id order.
pub fn rebase<M: Borrow<Unsettled>>(
    resource: &Resource,
    visible: Option<&Row>,
    unsettled: &[M],
    news: News,
) -> Rebased {
    rebase_from(resource, base_of(resource, visible, unsettled), unsettled, news)
}

/// The same where the base is known already.
pub fn rebase_from<M: Borrow<Unsettled>>(
    resource: &Resource,
    mut base: Option<Row>,
    unsettled: &[M],
    news: News,
) -> Rebased {
    let mut rest: Vec<&Unsettled> = unsettled.iter().map(Borrow::borrow).collect();
    match news {
        News::Present(row) => base = Some(replace_described(resource, base, row)),
        News::Absent => base = None,
        News::Applied { ids, answer } => {
            for mutation in rest.iter().filter(|m| ids.contains(&m.id)) {
                base = redo(resource, base, mutation).unwrap_or(None);
            }
            if let Some(answer) = answer {
                base = Some(replace_described(resource, base, answer));
            }
            rest.retain(|m| !ids.contains(&m.id));
        }
        News::Dropped { ids } => rest.retain(|m| !ids.contains(&m.id)),
    }
    let mut visible = base.clone();
    let (mut befores, mut cancelled) = (Vec::new(), Vec::new());
    for mutation in rest {
        let before = image_under(resource, visible.as_ref(), mutation);
        match redo(resource, visible.clone(), mutation) {
            Ok(row) => visible = row,
            Err(NothingToStandOn) => {
                cancelled.push(mutation.id);
                continue;
            }
        }
        if let Some(before) = before
            && mutation.before.as_ref() != Some(&before)
        {
            befores.push((mutation.id, before));
        }
    }
    Rebased { visible, base, befores, cancelled }
}

struct NothingToStandOn;

fn redo(
    resource: &Resource,
    row: Option<Row>,
    mutation: &Unsettled,
) -> Result<Option<Row>, NothingToStandOn> {
    match (mutation.operation, row) {
        (Operation::Insert, None) => Ok(mutation.after.clone().map(without_nulls)),
        (Operation::Update, Some(mut row)) => {
            if let Some(after) = &mutation.after {
                write(resource, &mut row, after, mutation.before.as_ref());
            }
            Ok(Some(row))
        }
        (Operation::Delete, Some(_)) => Ok(None),
        (Operation::Insert, Some(_)) | (Operation::Update | Operation::Delete, None) => Err(NothingToStandOn),
    }
}

/// The `before` that a mutation has on top of `row`.
fn image_under(resource: &Resource, row: Option<&Row>, mutation: &Unsettled) -> Option<Row> {
    let (before, row) = (mutation.before.as_ref()?, row?);
    match mutation.operation {
        Operation::Insert => None,
        // Columns that users added are not of Auth0: they stay as the delete found them.
        Operation::Delete => {
            let mut whole = before.clone();
            for column in described(resource) {
                whole.insert(column.to_owned(), row.get(column).cloned().unwrap_or(Value::Null));
            }
            Some(whole)
        }
        Operation::Update => {
            let after = mutation.after.as_ref();
            let image = before.iter().map(|(column, old)| {
                let now = row.get(column).cloned().unwrap_or(Value::Null);
                let value = if merges(resource, column) && !now.is_null() {
                    let keys = touched_keys(old, after.and_then(|after| after.get(column)));
                    let part = keys.map(|key| (key.clone(), now.get(key).cloned().unwrap_or(Value::Null)));
                    Value::Object(part.collect())
                } else {
                    now
                };
                (column.clone(), value)
            });
            Some(image.collect())
        }
    }
}

/// Writes an image into a row; `other` is the image of the other side, which says which keys are touched.
fn write(resource: &Resource, row: &mut Row, image: &Row, other: Option<&Row>) {
    for (column, value) in image {
        let value = if merges(resource, column) {
            let other = other.and_then(|other| other.get(column)).unwrap_or(&Value::Null);
            let mut object = row.get(column).and_then(Value::as_object).cloned().unwrap_or_default();
            for key in touched_keys(value, Some(other)) {
                match value.get(key).filter(|part| !part.is_null()) {
                    Some(part) => {
                        object.insert(key.clone(), part.clone());
                    }
                    None => {
                        object.shift_remove(key);
                    }
                }
            }
            if object.is_empty() && value.is_null() { Value::Null } else { Value::Object(object) }
        } else {
            value.clone()
        };
        if value.is_null() {
            row.shift_remove(column);
        } else {
            row.insert(column.clone(), value);
        }
    }
}

fn touched_keys<'a>(mine: &'a Value, other: Option<&'a Value>) -> impl Iterator<Item = &'a String> {
    let keys = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys);
    let more = other.into_iter().flat_map(keys).filter(move |key| mine.get(key.as_str()).is_none());
    keys(mine).chain(more)
}

fn merges(resource: &Resource, column: &str) -> bool {
    resource.columns.get(column).is_some_and(|column| column.merge.by_key())
}

/// The columns of a mirror table that are ours; others are the user's.
pub fn described(resource: &Resource) -> impl Iterator<Item = &str> {
    resource.columns.keys().map(String::as_str).chain(["extra"])
}

fn is_described(resource: &Resource, column: &str) -> bool {
    column == "extra" || resource.columns.contains_key(column)
}

/// Auth0's row over the old one: everything described is Auth0's, users' own columns stay, and so
/// does what Auth0 shows once and then never again.
fn replace_described(resource: &Resource, old: Option<Row>, new: Row) -> Row {
    let mut row = old.unwrap_or_default();
    let kept = |column: &str| resource.columns.get(column).is_some_and(|column| column.kept);
    for column in described(resource).filter(|column| !kept(column)) {
        row.shift_remove(column);
    }
    row.extend(without_nulls(new));
    row
}

fn without_nulls(mut row: Row) -> Row {
    row.retain(|_, value| !value.is_null());
    row
}

#[cfg(test)]
#[path = "rebase_tests.rs"]
mod tests;
