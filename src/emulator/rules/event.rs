//! The part of the `[emulator]` table that says what events tell of a row besides its columns.

use serde::Deserialize;

use super::Fields;
use crate::catalog::EventKind;

/// Fields of an event's object, by dotted path; templates, in which `$row.organization.name` is of
/// the organization that the row names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Telling {
    /// Of every event.
    pub(in crate::emulator) tells: Fields,
    /// Of a new row's alone.
    pub(in crate::emulator) created: Fields,
    /// Of a gone row's alone.
    pub(in crate::emulator) deleted: Fields,
    /// Columns that an event does not show.
    pub(in crate::emulator) hides: Hides,
}

/// Columns that the events of one kind lack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Hides {
    created: Vec<String>,
    deleted: Vec<String>,
}

impl Telling {
    /// The fields that an event of this kind has besides.
    pub(in crate::emulator) fn of(
        &self,
        kind: EventKind,
    ) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        let own = match kind {
            EventKind::Created => Some(&self.created),
            EventKind::Updated => None,
            EventKind::Deleted => Some(&self.deleted),
        };
        self.tells.iter().chain(own.into_iter().flatten())
    }

    /// Whether an event of this kind lacks a column.
    pub(in crate::emulator) fn hides(&self, kind: EventKind, column: &str) -> bool {
        let hidden = match kind {
            EventKind::Created => &self.hides.created,
            EventKind::Updated => return false,
            EventKind::Deleted => &self.hides.deleted,
        };
        hidden.iter().any(|name| name == column)
    }
}
