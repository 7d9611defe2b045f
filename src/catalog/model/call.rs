//! Calls of the Management API as the catalogue describes them.

use indexmap::IndexMap;
use serde::Deserialize;

/// One call of the Management API. `{column}` in path, query and body stands for the row's value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// HTTP method in capitals.
    pub method: String,
    /// Path below `/api/v2`, for example `/users/{user_id}`.
    pub path: String,
    /// Any one of these scopes allows the call.
    pub scopes: Vec<String>,
    /// Statuses of success, the usual one first.
    pub status: Vec<u16>,
    /// Query parameters sent always.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// The body, where it is not simply the row's writable fields.
    pub body: Option<toml::Value>,
    /// Why Auth0's document differs from the call.
    pub differs: Option<String>,
}

impl Call {
    /// The body carries every writable field, not the changed ones alone.
    pub fn replaces(&self) -> bool {
        self.method == "PUT"
    }
}

/// The call that creates a row, and how a create whose answer was lost is recognised.
#[derive(Clone, Debug, Deserialize)]
pub struct Create {
    /// The call itself.
    #[serde(flatten)]
    pub call: Call,
    /// How to find out whether a create with a lost answer happened.
    pub recognise: Recognise,
}

/// How a create whose answer was lost is recognised.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Recognise {
    /// The row's key is known: read it.
    Key,
    /// Doing it twice is the same as once: send it again.
    Repeat,
    /// One call answers the row with these columns, for example `/organizations/name/{name}`.
    Path {
        /// Path below `/api/v2`.
        path: String,
    },
    /// List with these query parameters and compare the named columns; rows known before do not count.
    List {
        /// Query parameters, `{column}` stands for the row's value.
        #[serde(default)]
        query: IndexMap<String, String>,
        /// Columns that must be equal.
        columns: Vec<String>,
    },
}

/// The call that replaces the whole list of links below a parent: the only way to change one of them.
#[derive(Clone, Debug, Deserialize)]
pub struct Replace {
    /// The call itself; its path holds the parent's columns.
    #[serde(flatten)]
    pub call: Call,
    /// The body's key of the list; without one the body is the list.
    pub array: Option<String>,
    /// One link as the body carries it, `{column}` for the row's value.
    pub item: toml::Value,
    /// A link that is there already and stays, where Auth0 keeps more of it than it shows.
    pub keep: Option<toml::Value>,
    /// The column with a link's place in the list, from 0.
    pub order: Option<String>,
}

/// The call that a row of a command table runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// The call itself; without a `body` it carries the row's columns that stand not in the path.
    #[serde(flatten)]
    pub call: Call,
    /// Column → value of the rows that run this call, where a table has several.
    #[serde(default)]
    pub when: IndexMap<String, String>,
    /// The column that goes as a file, the others as parts beside it (multipart/form-data).
    pub multipart: Option<String>,
}
