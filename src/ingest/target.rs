//! What to read again.

use serde_json::{Map, Value};

use super::sets::{groups, set_of};
use crate::catalog::{Catalog, Resource, RowKey};

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
        /// Values of the list's placeholders, in order ([`crate::catalog::List::names`]).
        parent: Vec<String>,
    },
    /// The rows that an export shows which is asked for with these values alone.
    Part {
        /// Mirror table.
        table: String,
        /// Name in the body of the export's call, and value.
        values: Vec<(String, String)>,
    },
    /// The whole table.
    Table {
        /// Mirror table.
        table: String,
    },
    /// Everything that lists show below one row, of any table.
    Below {
        /// The row's mirror table.
        table: String,
        /// Its key.
        key: RowKey,
    },
}

impl Target {
    /// The mirror table.
    pub fn table(&self) -> &str {
        match self {
            Target::Row { table, .. }
            | Target::Set { table, .. }
            | Target::Part { table, .. }
            | Target::Table { table }
            | Target::Below { table, .. } => table,
        }
    }

    /// How a row is read: by its key where the API has such a call, else with all that a list shows
    /// with it; none where Auth0 is not asked for such rows.
    pub fn row(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        let resource = catalog.get(table).filter(|resource| resource.is_read())?;
        if resource.get.is_some() {
            return Some(Target::Row { table: table.to_owned(), key });
        }
        Target::narrowest(catalog, resource, &key.to_json(resource))
    }

    /// The narrowest list that shows rows with these values: the last whose placeholders they fill,
    /// because below a user there are fewer roles than users below a role. Else the whole table.
    pub fn narrowest(catalog: &Catalog, resource: &Resource, values: &Map<String, Value>) -> Option<Target> {
        let mut lists = groups(catalog, resource).into_iter().flatten().collect::<Vec<_>>();
        lists.sort_unstable();
        lists.retain(|n| !resource.list[*n].names().is_empty());
        let set = lists.into_iter().rev().find_map(|n| Target::set(resource, n, values));
        let whole = || Target::Table { table: resource.table.clone() };
        resource.is_read().then(|| set.unwrap_or_else(whole))
    }

    /// The rows of a list, where `values` fill its placeholders.
    pub fn set(resource: &Resource, list: usize, values: &Map<String, Value>) -> Option<Target> {
        let parent = set_of(resource.list.get(list)?, values)?;
        Some(Target::Set { table: resource.table.clone(), list, parent })
    }

    /// What to read when a row may have changed: the row, or what it makes Auth0 show where the row
    /// itself is a client's.
    pub fn suspected(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        match catalog.get(table)?.is_read() {
            true => Target::row(catalog, table, key),
            false => Target::below(catalog, table, key),
        }
    }

    /// What lists show below a row; none where no list goes by its table.
    pub fn below(catalog: &Catalog, table: &str, key: RowKey) -> Option<Target> {
        let mut lists = catalog.iter().flat_map(|resource| &resource.list);
        let any = lists.any(|list| list.parent.as_deref() == Some(table));
        any.then(|| Target::Below { table: table.to_owned(), key })
    }

    /// Tables of which Auth0 deletes rows along with a row of this one.
    pub fn taken_along(resource: &Resource) -> impl Iterator<Item = Target> {
        resource.takes_along.iter().map(|table| Target::Table { table: table.clone() })
    }
}
