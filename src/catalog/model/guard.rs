//! Rows that the service itself stands on.

use serde::Deserialize;

/// Rows that no client may delete, and of which some columns may not change: without them the
/// service could not go on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    /// The column that tells them.
    pub column: String,
    /// What that column holds then.
    pub holds: Holds,
    /// Columns that may not change; every writable one where none is named.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// What a column of a protected row holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// The client id that the service gets its tokens with.
    OwnClient,
    /// The key of something that the service has made so that Auth0 reports by itself.
    OwnPart,
}
