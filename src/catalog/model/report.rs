//! What the service itself makes in a tenant so that Auth0 reports by itself, and what such a report
//! says of a table.

use indexmap::IndexMap;
use serde::Deserialize;

/// A report of one of the service's own Actions, after which a row is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The triggers whose reports are meant.
    pub triggers: Vec<String>,
    /// Column → field of the report that holds its value.
    pub key: IndexMap<String, String>,
}

/// What the service itself makes rows of a resource for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// Code that reports what happens.
    Code,
    /// The command that lets such code run.
    Deploy,
    /// The place of such code among others'.
    Binding,
    /// A feed of events to an address.
    Feed,
}
