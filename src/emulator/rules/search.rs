//! How the rows of a resource are searched with `q`, and sorted.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;

/// What Auth0 documents of a search besides the syntax.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Search {
    /// Fields that are compared without regard to case.
    pub(in crate::emulator) fold: Vec<String>,
    /// All fields are compared so.
    pub(in crate::emulator) fold_all: bool,
    /// Objects in which there are neither wildcards nor ranges.
    pub(in crate::emulator) exact: Vec<String>,
    /// Objects in which a term without a field does not look.
    pub(in crate::emulator) unnamed: Vec<String>,
    /// Objects by which nothing is sorted.
    pub(in crate::emulator) unsorted: Vec<String>,
    /// Fields that rows are found by although they do not have them.
    pub(in crate::emulator) derived: IndexMap<String, Derived>,
    /// A query string that is longer, in bytes, is refused.
    pub(in crate::emulator) longest: Option<usize>,
    /// A value of `search_engine` → the refusal.
    pub(in crate::emulator) engine: IndexMap<String, String>,
}

/// Where a field comes from that rows do not have.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(in crate::emulator) enum Derived {
    /// What follows a text in another field.
    After {
        /// The other field.
        of: String,
        /// The text.
        after: String,
    },
    /// A key column of the links of a table to the row.
    Link {
        /// The table of the links.
        table: String,
        /// The column that is meant.
        column: String,
        /// The column that holds the row's key.
        by: String,
    },
}

impl Search {
    /// The search of rows of which nothing is documented.
    pub(in crate::emulator) fn any() -> &'static Search {
        static ANY: LazyLock<Search> = LazyLock::new(|| Search { fold_all: true, ..Search::default() });
        &ANY
    }

    /// Whether a field is compared without regard to case.
    pub(in crate::emulator) fn folds(&self, field: &str) -> bool {
        self.fold_all || self.fold.iter().any(|name| name == field)
    }
}
