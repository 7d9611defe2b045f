//! What to read again.

use serde_json::{Map, Value};

use crate::catalog::{Catalog, Resource, RowKey, placeholders};

/// Something to read from Auth0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One row by its key.
    Row {
        /// Mirror table.
        table: String,
        /// Its key.
        key: RowKey,
    },
    /// The rows below one parent, by one of the table's lists.
    Set {
        /// Mirror table.
        table: String,
        /// Index into [`Resource::list`].
        list: usize,
        /// Values of the placeholders of the list's path, in order.
        parent: Vec<String>,
    },
    /// The whole table.
    Table {
        /// Mirror table.
        table: String,
    },
}

impl Target {
    /// The mirror table.
    pub fn table(&self) -> &str {
        match self {
            Target::Row { table, .. } | Target::Set { table, .. } | Target::Table { table } => table,
        }
    }

    /// How a row is read: by its key where the API has such a call, else with all below its parent.
    pub fn row(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        let resource = catalog.get(table)?;
        if resource.get.is_some() {
            return Some(Target::Row { table: table.to_owned(), key });
        }
        let row = key.to_json(resource);
        // The last list is the narrowest: below a user there are fewer roles than users below a role.
        resource
            .list
            .iter()
            .enumerate()
            .rev()
            .find_map(|(n, list)| Target::set(resource, n, &row, &list.path))
    }

    /// The rows of a list, where `values` fill the placeholders of its path.
    pub fn set(resource: &Resource, list: usize, values: &Map<String, Value>, path: &str) -> Option<Target> {
        let parent = placeholders(path)
            .map(|name| Some(values.get(name)?.as_str()?.to_owned()))
            .collect::<Option<_>>()?;
        Some(Target::Set { table: resource.table.clone(), list, parent })
    }

    /// Tables of which Auth0 deletes rows along with a row of this one.
    pub fn taken_along(resource: &Resource) -> impl Iterator<Item = Target> {
        resource.takes_along.iter().map(|table| Target::Table { table: table.clone() })
    }
}
