//! Imports: jobs that create many rows from one file.

use indexmap::IndexMap;
use serde::Deserialize;

use super::Call;

/// How many new rows go together, as a file that a job works off. It creates and never changes: a row that is
/// there already is an error of that row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Starts a job; the answer has its `id`. The body goes as parts beside the file; `{correlation_id}` in it
    /// stands for the service's own name of the job, and what [`Home::gives`] names for the row's home.
    pub start: Call,
    /// Reads the job; `{id}` in the path.
    pub look: Call,
    /// Reads the rows that it could not create; `{id}` in the path.
    pub errors: Call,
    /// Name of the part that is the file: a JSON array of rows.
    pub file: String,
    /// Bytes of a file at most.
    pub most_bytes: usize,
    /// Jobs at a time.
    pub at_a_time: usize,
    /// Columns that a file can carry.
    pub columns: Vec<String>,
    /// Those of them that every row must have.
    #[serde(default)]
    pub required: Vec<String>,
    /// One of these must hold of a row that nobody has told to go this way: else the call for one row does what
    /// an import does not. Column → value.
    #[serde(default)]
    pub same_where: Vec<IndexMap<String, toml::Value>>,
    /// What all rows of a file share.
    pub home: Home,
    /// When it is cheaper than calls of their own.
    pub worth: Worth,
    /// Field of the job that says how far it is.
    pub state: String,
    /// Its value when the job is over.
    pub done: String,
    /// Its values when the job came to nothing, or to a part.
    pub failed: Vec<String>,
    /// Field of an item of `errors` that has the row as the file had it; `errors` beside it says why.
    pub row: String,
    /// Codes of errors that say that there is such a row.
    pub conflicts: Vec<String>,
    /// The search for rows by their keys in the resource's first list; `{keys}` stands for `"one" OR "two"`.
    pub find: String,
}

/// A row of another table to which all rows of a file belong, named by a column of theirs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// Our column.
    pub column: String,
    /// The other table.
    pub table: String,
    /// Its column with the same value.
    pub by: String,
    /// What its row must have for an import into it: column → text.
    #[serde(default)]
    pub only: IndexMap<String, String>,
    /// The placeholder of the starting call's body that stands for that row's key.
    pub gives: String,
}

/// When an import is cheaper.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worth {
    /// Fewer rows go one by one: a job takes calls of its own.
    pub least: usize,
    /// So many go together where nobody knows how fast calls may leave: then calls alone count.
    pub many: usize,
    /// How long a job takes before one has been seen.
    pub seconds: u32,
}
