//! Indexes of mirror tables beyond their keys. A column that holds the key of another table's row is looked
//! up whenever that row goes or gets its final key: without an index each such write would read the table whole.

use super::Site;
use crate::catalog::Resource;
use crate::pg::ident::ident;

/// An index that a mirror table is to have, unless it has one that begins with the column.
pub(in crate::pg) struct Index {
    /// Unquoted; of at most 63 characters.
    pub(in crate::pg) name: String,
    /// Its column, unquoted.
    pub(in crate::pg) column: String,
}

impl Index {
    /// The statement that makes it; `concurrently` keeps nobody from writing and runs in no transaction.
    pub(in crate::pg) fn sql(&self, site: &Site<'_>, table: &str, concurrently: bool) -> String {
        let how = if concurrently { "index concurrently" } else { "index" };
        format!("create {how} {} on {} ({})", ident(&self.name), site.name(table), ident(&self.column))
    }
}

/// The indexes of a table. Its key begins with one of the columns as a rule: that one has an index.
pub(in crate::pg) fn indexes(resource: &Resource) -> Vec<Index> {
    if !resource.is_table() {
        return Vec::new();
    }
    let single =
        resource.columns.iter().filter(|(_, column)| column.references.is_some()).map(|(name, _)| name);
    let whole = resource.depends.values().filter_map(|columns| columns.last());
    let mut columns: Vec<_> =
        single.chain(whole).filter(|name| resource.key.first() != Some(*name)).collect();
    columns.sort();
    columns.dedup();
    columns
        .into_iter()
        .enumerate()
        .map(|(n, column)| {
            let long = format!("auth0_sync_{}_{column}", resource.table);
            let name = if long.len() <= 63 { long } else { format!("{}_{n}", &long[..60]) };
            Index { name, column: column.clone() }
        })
        .collect()
}
