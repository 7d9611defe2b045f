//! What setup is told to make.

use super::existing::digest;
use crate::catalog::Catalog;

/// What setup is told to make.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'a> {
    /// What is selected.
    pub catalog: &'a Catalog,
    /// The tenant's schema, unquoted.
    pub schema: &'a str,
    /// The service's login role, unquoted.
    pub role: &'a str,
    /// The tenant.
    pub domain: &'a str,
    /// Tables and columns that are not selected any more are dropped.
    pub drop: bool,
}

/// Tells one selection of tables and columns from another.
pub fn digest_of(catalog: &Catalog) -> String {
    let mut tables: Vec<String> = catalog
        .iter()
        .map(|resource| {
            let columns =
                resource.columns.iter().map(|(name, column)| format!("{name} {}", column.kind.sql()));
            format!(
                "{} {}({})",
                resource.kind.as_str(),
                resource.table,
                columns.collect::<Vec<_>>().join(",")
            )
        })
        .collect();
    tables.sort();
    digest(&tables.join("\n"))
}
