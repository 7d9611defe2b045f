//! Lists of the Management API as the catalogue describes them.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Resource;

/// One way to list rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Path below `/api/v2`; placeholders are columns that the parent supplies.
    pub path: String,
    /// The table whose rows supply placeholders; none for a list of the whole tenant.
    pub parent: Option<String>,
    /// Placeholder → column of the parent that supplies it, where they are not the parent's key in order.
    #[serde(default)]
    pub from: IndexMap<String, String>,
    /// Placeholder → the values that it takes, one list for each.
    #[serde(default)]
    pub each: IndexMap<String, Each>,
    /// Column of the parent → values: the parents that have such a list.
    #[serde(default)]
    pub only: IndexMap<String, Vec<String>>,
    /// Any one of these scopes allows the call.
    pub scopes: Vec<String>,
    /// How it pages.
    pub paging: Paging,
    /// Key of the array in an enveloped answer.
    pub array: Option<String>,
    /// Largest page that may be asked for.
    #[serde(default = "default_page")]
    pub per_page: u32,
    /// The most results that offset paging gives, over all pages.
    pub cap: Option<u32>,
    /// A time column by which a longer list is searched in slices that stay below the cap.
    pub slice_by: Option<String>,
    /// Query parameters sent always; `{column}` is a placeholder as in the path.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Column → field of a listed item, where the names differ.
    #[serde(default)]
    pub fields: IndexMap<String, String>,
    /// A listed item lacks fields of the row: each row is read by its key.
    #[serde(default)]
    pub part: bool,
    /// The column that a listed item is the bare value of.
    pub item: Option<String>,
    /// Why Auth0's document differs from the list.
    pub differs: Option<String>,
}

fn default_page() -> u32 {
    50
}

/// Values of a placeholder that no parent supplies.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Each {
    /// These.
    Values(Vec<String>),
    /// Those that a column (text, or an array of it) of a mirror table holds.
    Of {
        /// The mirror table.
        table: String,
        /// Its column.
        column: String,
    },
}

/// How a list pages.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// The whole list in one answer.
    None,
    /// `page`, `per_page`, `include_totals`.
    Offset,
    /// `from`, `take`; the answer carries `next`.
    Checkpoint,
    /// Either; checkpoint is used because it has no cap.
    Both,
    /// The answer is one row; 404 says that there is none.
    Single,
    /// The tenant log: `from` is the id of the last entry, an empty page is the end, and the first page is searched for.
    Log,
    /// `from` is the `id` of the last item, `take`; the end is a page without another.
    After,
}

impl List {
    /// Names of the placeholders of path and query, each once, in the order of their first place.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.placeholders() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The name of the set that has this row, where the row tells it.
    pub fn set_of(&self, row: &Map<String, Value>) -> Option<Vec<String>> {
        self.names().into_iter().map(|name| Some(row.get(name)?.as_str()?.to_owned())).collect()
    }

    /// Placeholder → column of the parent, for those that the parent supplies.
    pub fn supplied<'a>(&'a self, parent: &'a Resource) -> Vec<(&'a str, &'a str)> {
        let mut key = parent.key.iter();
        let names = self.names().into_iter().filter(|name| !self.each.contains_key(*name));
        let pairs = names.map(|name| {
            let column = self.from.get(name).or_else(|| key.next());
            column.map(|column| (name, column.as_str()))
        });
        pairs.flatten().collect()
    }

    /// Names of the placeholders of path and query, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        let query = self.query.values().filter_map(|value| crate::catalog::placeholder(value));
        crate::catalog::placeholders(&self.path).chain(query)
    }

    /// Tables whose rows say what to list.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let each = self.each.values().filter_map(|each| match each {
            Each::Of { table, .. } => Some(table.as_str()),
            Each::Values(_) => None,
        });
        self.parent.as_deref().into_iter().chain(each)
    }
}
