//! Auth0's events about the rows of a table, as `GET /events` and event streams tell them.

use indexmap::IndexMap;
use serde::Deserialize;

/// Which events tell of a table's rows, and what they show of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Type of the event that tells of a new row.
    pub created: String,
    /// Of a changed one.
    pub updated: Option<String>,
    /// Of a row that is gone.
    pub deleted: String,
    /// Key column → where it stands in the event's `data.object` (dotted path).
    pub key: IndexMap<String, String>,
    /// Further columns that it shows, each under its own field.
    #[serde(default)]
    pub shows: Vec<String>,
    /// It shows all of these columns as they are: what it lacks is empty. Else it only hints at a row.
    #[serde(default)]
    pub reading: bool,
    /// A change shows the key and the changed columns alone.
    #[serde(default)]
    pub partial: bool,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The row is new.
    Created,
    /// It has changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Events {
    /// Every type, with what it tells.
    pub fn types(&self) -> impl Iterator<Item = (&str, EventKind)> {
        let updated = self.updated.as_deref().map(|name| (name, EventKind::Updated));
        [(self.created.as_str(), EventKind::Created)]
            .into_iter()
            .chain(updated)
            .chain([(self.deleted.as_str(), EventKind::Deleted)])
    }

    /// What an event of this type tells; none where it tells of other tables.
    pub fn tells(&self, name: &str) -> Option<EventKind> {
        self.types().find(|(own, _)| *own == name).map(|(_, kind)| kind)
    }

    /// The type of the event that tells this.
    pub fn named(&self, kind: EventKind) -> Option<&str> {
        self.types().find(|(_, own)| *own == kind).map(|(name, _)| name)
    }
}
