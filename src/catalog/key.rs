//! The key of a mirror row: the values of its primary key, in the catalogue's order.

use serde_json::{Map, Value};

use super::Resource;

/// Values of a row's primary key, in the order of [`Resource::key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey(pub Vec<String>);

impl RowKey {
    /// A key of one column.
    pub fn single(value: impl Into<String>) -> RowKey {
        RowKey(vec![value.into()])
    }

    /// The key in `row`, a JSON object by column names; none where a part is missing or no text.
    pub fn of(resource: &Resource, row: &Map<String, Value>) -> Option<RowKey> {
        resource
            .key
            .iter()
            .map(|column| row.get(column).and_then(Value::as_str).map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(RowKey)
    }

    /// The key as a JSON object by column names, as `_sync_cdc.key` holds it.
    pub fn to_json(&self, resource: &Resource) -> Map<String, Value> {
        resource.key.iter().cloned().zip(self.0.iter().cloned().map(Value::String)).collect()
    }
}
