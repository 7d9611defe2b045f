//! One row's change on its way to Auth0, and what takes it back. Pure.

use serde_json::{Map, Value};

use super::question::Asked;
use crate::catalog::{Catalog, NewKey, Resource, ResourceKind, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Operation, Row};
use crate::writeback::lanes::Node;
use crate::writeback::request::Content;

/// A change that Auth0 may have.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    /// The question that it belongs to.
    pub(super) statement: i64,
    /// Its place in there.
    pub(super) place: i32,
    /// Its row, under the key that it had when it was asked for.
    pub(super) node: Node,
    /// What is sent. Write-only values are known to the process that was asked alone.
    pub(super) content: Content,
    /// Whether there are such values.
    pub(super) sealed: bool,
    /// Stands in `_sync_cdc` once it is committed.
    pub(super) request_id: String,
    /// What Auth0 has made of it.
    pub(super) stands: Stands,
    /// Whether an earlier process may have begun to take it back.
    pub(super) left: bool,
}

/// What Auth0 has made of an intent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stands {
    /// Nobody knows: a call may have left.
    Unknown,
    /// Auth0 has it.
    Applied {
        /// The key that the row has at Auth0.
        made: RowKey,
        /// The row as it was answered, where it was.
        answer: Option<Row>,
    },
    /// Auth0 does not have it, or it has been taken back.
    Nothing,
}

impl Intent {
    /// What is asked, before anything was sent.
    ///
    /// # Errors
    /// `internal` for a change that the catalogue does not know.
    pub(super) fn new(
        catalog: &Catalog,
        statement: i64,
        place: usize,
        asked: Asked,
        request_id: String,
    ) -> Result<Intent> {
        let strange =
            || Error::new(Kind::Internal, format!("a strict change of {} cannot be read", asked.table));
        let resource = catalog.resource(&asked.table)?;
        let operation = Operation::parse(&asked.operation).ok_or_else(strange)?;
        let key = RowKey::of(resource, &asked.key).ok_or_else(strange)?;
        Ok(Intent {
            statement,
            place: i32::try_from(place).map_err(|_| strange())?,
            node: (asked.table, key),
            sealed: !asked.write_only.is_empty(),
            content: Content {
                operation,
                key: asked.key,
                before: asked.before.unwrap_or_default(),
                after: asked.after.unwrap_or_default(),
                write_only: asked.write_only,
            },
            request_id,
            stands: Stands::Unknown,
            left: false,
        })
    }

    /// The row at Auth0: under the key that it got there, where it got one.
    pub(super) fn row(&self) -> Node {
        match &self.stands {
            Stands::Applied { made, .. } => (self.node.0.clone(), made.clone()),
            _ => self.node.clone(),
        }
    }

    /// Every name of the row.
    pub(super) fn names(&self) -> Vec<Node> {
        let mut names = vec![self.node.clone()];
        names.extend(Some(self.row()).filter(|row| *row != self.node));
        names
    }

    /// What the trigger puts into the row that is inserted: every column that Auth0 fills, those that it
    /// left empty too.
    pub(super) fn shown(&self, resource: &Resource) -> Option<Row> {
        let Stands::Applied { answer: Some(answer), .. } = &self.stands else { return None };
        if self.content.operation != Operation::Insert {
            return None;
        }
        if resource.kind == ResourceKind::Command {
            return Some(answer.clone());
        }
        let filled = resource.columns.iter().filter(|(_, column)| !column.kept);
        let mut row: Row = filled.map(|(name, _)| (name.clone(), Value::Null)).collect();
        row.extend(answer.clone());
        Some(row)
    }
}

/// The change that takes one back, so that Auth0 has `target` in what it has touched: the row as
/// Postgres has it, none where there is none. None where there is nothing to do, or nothing can be done.
pub(in crate::writeback) fn back(
    resource: &Resource,
    change: &Content,
    key: &RowKey,
    target: Option<&Row>,
) -> Option<Content> {
    if matches!(resource.kind, ResourceKind::Command | ResourceKind::Watch) {
        return None;
    }
    let key = key.to_json(resource);
    match (change.operation, target) {
        (Operation::Insert, None) => {
            let mut before = change.after.clone();
            before.extend(key.clone());
            Some(Content {
                operation: Operation::Delete,
                key,
                before,
                after: Row::new(),
                write_only: Map::new(),
            })
        }
        (Operation::Delete, Some(row)) => {
            let mut after = row.clone();
            after.retain(|name, value| !value.is_null() && resource.columns.contains_key(name));
            let made =
                |name: &str| resource.new_key == NewKey::Server && resource.made_column() == Some(name);
            after.retain(|name, _| !made(name));
            Some(Content {
                operation: Operation::Insert,
                key,
                before: Row::new(),
                after,
                write_only: Map::new(),
            })
        }
        (Operation::Update, Some(row)) => {
            let after: Row =
                change.after.keys().map(|name| (name.clone(), image(resource, change, name, row))).collect();
            let mut write_only = change.write_only.clone();
            write_only.retain(|column, _| resource.apart_with.iter().any(|name| name == column));
            let back = Content {
                operation: Operation::Update,
                key,
                before: change.after.clone(),
                after,
                write_only,
            };
            (!back.after.is_empty()).then_some(back)
        }
        // Somebody has made the row, or taken it away, since.
        (Operation::Insert, Some(_)) | (Operation::Delete | Operation::Update, None) => None,
    }
}

/// What `row` has in a column, of an object that merges only the keys that the change has touched.
fn image(resource: &Resource, change: &Content, name: &str, row: &Row) -> Value {
    let now = row.get(name).cloned().unwrap_or(Value::Null);
    let merges = resource.columns.get(name).is_some_and(|column| column.merge.by_key());
    if !merges || now.is_null() {
        return now;
    }
    let keys = [&change.before, &change.after].into_iter().filter_map(|image| image.get(name)?.as_object());
    let keys = keys.flat_map(Map::keys);
    Value::Object(keys.map(|key| (key.clone(), now.get(key).cloned().unwrap_or(Value::Null))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    fn change(operation: Operation, before: Value, after: Value) -> Content {
        let key = row(json!({"user_id": "auth0|a"}));
        Content { operation, key, before: row(before), after: row(after), write_only: Row::new() }
    }

    fn taken_back(change: &Content, target: Option<Value>) -> Option<(Operation, Value)> {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let target = target.map(row);
        let back = back(resource, change, &RowKey::single("auth0|a"), target.as_ref())?;
        Some((back.operation, json!(back.after)))
    }

    #[test]
    fn an_update_goes_back_to_what_postgres_has_in_the_columns_and_keys_that_it_touched() {
        let update = change(
            Operation::Update,
            json!({"nickname": "old", "app_metadata": {"a": 1, "new": null}}),
            json!({"nickname": "mine", "app_metadata": {"a": 2, "new": 3}}),
        );
        let committed =
            json!({"nickname": "later", "name": "untouched", "app_metadata": {"a": 1, "other": 9}});
        let back = json!({"nickname": "later", "app_metadata": {"a": 1, "new": null}});
        assert_eq!(taken_back(&update, Some(committed)), Some((Operation::Update, back)));
        let emptied = json!({"nickname": null, "app_metadata": null});
        assert_eq!(taken_back(&update, Some(json!({}))), Some((Operation::Update, emptied)));
        assert_eq!(taken_back(&update, None), None, "the row has gone");
    }

    #[test]
    fn an_insert_is_deleted_and_a_delete_inserted_unless_somebody_has_done_so() {
        let insert = change(Operation::Insert, json!({}), json!({"email": "a@b.c"}));
        assert_eq!(taken_back(&insert, None), Some((Operation::Delete, json!({}))));
        assert_eq!(taken_back(&insert, Some(json!({"email": "a@b.c"}))), None);
        let delete = change(Operation::Delete, json!({"email": "a@b.c"}), json!({}));
        let whole = json!({"user_id": "auth0|a", "email": "a@b.c", "name": null, "of_a_user": 1});
        let again = json!({"user_id": "auth0|a", "email": "a@b.c"});
        assert_eq!(taken_back(&delete, Some(whole)), Some((Operation::Insert, again)));
        assert_eq!(taken_back(&delete, None), None);
    }
}
