//! Parts of the `[emulator]` table that say what a call does besides writing its own row, and when
//! it is refused.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::{Fields, Refusal};

/// What kind of call it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(in crate::emulator) enum Moment {
    /// Lists and reading one row.
    Read,
    /// A new row, or a new link.
    Create,
    /// A changed row.
    Update,
    /// A deleted row, or a link undone.
    Delete,
    /// A list that was replaced.
    Set,
    /// A command.
    Run,
}

/// Templates of answers in place of the row. `"$nothing"` is an answer without a body.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Answers {
    pub(in crate::emulator) read: Option<Value>,
    pub(in crate::emulator) create: Option<Value>,
    pub(in crate::emulator) update: Option<Value>,
    pub(in crate::emulator) delete: Option<Value>,
    pub(in crate::emulator) set: Option<Value>,
    pub(in crate::emulator) run: Option<Value>,
}

impl Answers {
    /// The template of a kind of call.
    pub(in crate::emulator) fn of(&self, moment: Moment) -> Option<&Value> {
        match moment {
            Moment::Read => self.read.as_ref(),
            Moment::Create => self.create.as_ref(),
            Moment::Update => self.update.as_ref(),
            Moment::Delete => self.delete.as_ref(),
            Moment::Set => self.set.as_ref(),
            Moment::Run => self.run.as_ref(),
        }
    }
}

/// What one of a table's several commands answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Run {
    /// Path of the call, as the catalogue has it.
    pub(in crate::emulator) path: String,
    /// The template of its answer.
    pub(in crate::emulator) answer: Value,
}

/// What a successful call changes elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Effect {
    /// The kinds of call; every write where none is named.
    pub(in crate::emulator) on: Vec<Moment>,
    /// Path of the call, as the catalogue has it, where it is one of several.
    pub(in crate::emulator) path: Option<String>,
    /// Expression → its values for which this happens.
    pub(in crate::emulator) when: IndexMap<String, Vec<Value>>,
    /// The other table.
    pub(in crate::emulator) table: String,
    /// Field or key column of the rows meant → template of its value. None means no row.
    pub(in crate::emulator) rows: IndexMap<String, Value>,
    /// Every row of the table is meant.
    pub(in crate::emulator) all: bool,
    /// Field (dotted) → template of the value that those rows get.
    pub(in crate::emulator) set: IndexMap<String, Value>,
    /// Fields that they lose.
    pub(in crate::emulator) unset: Vec<String>,
    /// They go.
    pub(in crate::emulator) remove: bool,
    /// A new row: field or key column → template. Its defaults are filled in.
    pub(in crate::emulator) insert: Option<Fields>,
}

/// A feature that not every tenant has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Gate {
    /// Its name; `--without` takes it.
    pub(in crate::emulator) feature: String,
    /// Plans that have it: `free`, `professional`, `enterprise`, `enterprise-development`.
    #[serde(default)]
    pub(in crate::emulator) plans: Vec<String>,
    /// Plans that lack it, where those that have it are not named.
    #[serde(default)]
    pub(in crate::emulator) lacking: Vec<String>,
    /// A tenant of no particular plan lacks it too.
    #[serde(default)]
    pub(in crate::emulator) rare: bool,
    /// The kinds of call that need it; all where none is named.
    #[serde(default)]
    pub(in crate::emulator) on: Vec<Moment>,
    /// Only bodies with this field (dotted) need it.
    pub(in crate::emulator) field: Option<String>,
    /// What a tenant without it gets.
    pub(in crate::emulator) refusal: Refusal,
}

/// A job that writes the rows of a table into a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Export {
    /// The table.
    pub(in crate::emulator) table: String,
    /// The fields where the order names none.
    pub(in crate::emulator) fields: Vec<String>,
    /// Fields that no export has.
    pub(in crate::emulator) never: Vec<String>,
    /// How many fields a CSV file has at most.
    pub(in crate::emulator) csv_most: usize,
    /// Objects that a CSV file cannot have as a whole.
    pub(in crate::emulator) csv_apart: Vec<String>,
}

/// How many rows there may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Limit {
    /// The most rows.
    pub(in crate::emulator) most: usize,
    /// Plans with this limit; every tenant where none is named.
    #[serde(default)]
    pub(in crate::emulator) plans: Vec<String>,
    /// Key columns or fields: rows with the same values count together.
    #[serde(default)]
    pub(in crate::emulator) by: Vec<String>,
    /// What the next row gets.
    pub(in crate::emulator) refusal: Refusal,
}

/// A rule of bodies beyond their schema.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Forbid {
    /// The kinds of call; every write where none is named.
    #[serde(default)]
    pub(in crate::emulator) on: Vec<Moment>,
    /// Fields (dotted) that the body must have, other than null, to be refused.
    #[serde(default)]
    pub(in crate::emulator) has: Vec<String>,
    /// Fields (dotted) that it must lack to be refused.
    #[serde(default)]
    pub(in crate::emulator) lacks: Vec<String>,
    /// Expression (`$body.type`, `$row.status`, `$path.id`) → values for which it is refused.
    #[serde(default)]
    pub(in crate::emulator) when: IndexMap<String, Vec<Value>>,
    /// Expression → values for which it is not refused.
    #[serde(default)]
    pub(in crate::emulator) unless: IndexMap<String, Vec<Value>>,
    /// The refusal.
    pub(in crate::emulator) refusal: Refusal,
}
