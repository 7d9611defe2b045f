//! Exports: jobs that write all rows of a table into one file.

use serde::Deserialize;

use super::Call;

/// How all rows of a table come in one file, a line of JSON each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Starts a job; the answer has its `id` and when it was `created_at`. `{fields}` in the body stands for
    /// the names of what is to be exported, as `[{"name": …}]`; other placeholders for what narrows it
    /// ([`super::LogHint::part`]), left out where all is exported.
    pub start: Call,
    /// Reads the job; `{id}` in the path.
    pub look: Call,
    /// Field of the job that says how far it is.
    pub state: String,
    /// Its value when the file is there.
    pub done: String,
    /// Its values when there will be no file.
    pub failed: Vec<String>,
    /// Field of the job with the address of the file.
    pub link: String,
    /// Columns that an export can show; the others keep what they have.
    pub columns: Vec<String>,
    /// The column with the time of a row's creation: what is younger than the job need not be in its file.
    pub born: Option<String>,
}
