//! Rows that the service itself stands on, and what calls do that nothing takes back.

use indexmap::IndexMap;
use serde::Deserialize;

use super::WriteCall;

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

/// What a call does besides writing the row, and no other call takes back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// The call.
    pub on: WriteCall,
    /// What happens, as the beginning of a sentence: `Auth0 sends an e-mail`.
    pub effect: String,
    /// It depends on settings of the tenant, too.
    #[serde(default)]
    pub perhaps: bool,
    /// It happens only where these columns have a value.
    #[serde(default)]
    pub given: Vec<String>,
    /// It does not happen where one of these columns has this value.
    #[serde(default)]
    pub unless: IndexMap<String, bool>,
    /// How to write the row without it.
    #[serde(default)]
    pub hint: String,
}
