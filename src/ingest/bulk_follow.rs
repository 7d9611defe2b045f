//! What may have to be read because of a table's rows: known by the catalogue, once for all rows.

use std::collections::HashSet;

use super::sets;
use crate::catalog::{Catalog, Each, Resource, Target};

/// What follows from rows of a table.
pub(super) struct Follow {
    /// Whether anything follows from a row at all.
    pub(super) any: bool,
    /// Columns that others are listed by.
    pub(super) columns: HashSet<String>,
    tables: Vec<String>,
}

impl Follow {
    /// What follows from rows of this table.
    pub(super) fn of(catalog: &Catalog, resource: &Resource) -> Follow {
        let (mut columns, mut tables) = (HashSet::new(), Vec::new());
        for other in catalog.iter().filter(|other| other.is_read()) {
            let mut follows = false;
            for list in &other.list {
                if list.parent.as_ref() == Some(&resource.table) && sets::is_one_way(other) {
                    columns.extend(list.from.values().chain(list.only.keys()).cloned());
                    follows = true;
                }
                for each in list.each.values() {
                    if let Each::Of { table, column } = each
                        && *table == resource.table
                    {
                        columns.insert(column.clone());
                        follows = true;
                    }
                }
            }
            if follows {
                tables.push(other.table.clone());
            }
        }
        Follow { any: !tables.is_empty(), columns, tables }
    }

    /// Everything that can follow, where there are too many rows to say it of each.
    pub(super) fn all(&self) -> impl Iterator<Item = Target> {
        self.tables.iter().map(|table| Target::Table { table: table.clone() })
    }
}
