//! The `[emulator]` table of a catalogue file, typed: what Auth0's server does that a client of it
//! need not know. Data only; it never decides anything by itself.
//!
//! Texts in `defaults`, `case`, `answer`, `run`, `effect` and `delete.answer` are templates, which
//! `template.rs` describes: `$now`, `$path.id`, `$body.name|none`, `$row.status`, `https://{host}/{16}`.

mod deeds;
mod event;
mod parts;
mod search;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) use deeds::{Answers, Effect, Export, Forbid, Gate, Limit, Moment, Run};
pub(super) use event::Telling;
pub(super) use parts::{
    Case, Delete, Filter, Inside, Join, KindOf, Kinds, Page, PathShape, Refusal, Route, Titles, Unique,
};
pub(super) use search::{Derived, Search};

use crate::catalog::Resource;
use crate::error::{Error, Kind, Result};

/// A JSON object: a row as the API answers it, or a part of one.
pub(super) type Fields = Map<String, Value>;

/// How the emulator serves one resource, beyond what the catalogue says of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rules {
    /// Shape of a new id: `rol_{16}` is a prefix and 16 letters or digits.
    pub(super) id: Option<String>,
    /// The answer where no row has the key.
    pub(super) missing: Option<Refusal>,
    /// Fields that no two rows share.
    pub(super) unique: Vec<Unique>,
    /// Fields of a new row that the request left out; objects are filled key by key.
    pub(super) defaults: Fields,
    /// Further defaults for rows that have certain values; they come before `defaults`.
    pub(super) case: Vec<Case>,
    /// Times that creating (`created_at`) and every write (`updated_at`) set.
    pub(super) stamps: Vec<String>,
    /// The one of `stamps` that every write sets, where it is not `updated_at`.
    pub(super) moved: Option<String>,
    /// Fields that only the answer to a write shows; objects are filled key by key.
    pub(super) written: Fields,
    /// Object (dotted path) → what every write fills in where the row has that object.
    pub(super) whenever: IndexMap<String, Fields>,
    /// Field → what it holds after null, instead of nothing.
    pub(super) unset: Fields,
    /// Fields that reading shows where the row lacks them (the answer to a write does not).
    pub(super) read: Fields,
    /// Fields that remain under any selection of fields.
    pub(super) always: Vec<String>,
    /// Fields of this resource's rows where another resource lists them.
    pub(super) item: Vec<String>,
    /// Fields that bodies may carry although no column stands for them.
    pub(super) accepts: Vec<String>,
    /// Fields that are accepted and dropped.
    pub(super) transient: Vec<String>,
    /// Field → the scope without which it is not shown.
    pub(super) scoped: IndexMap<String, String>,
    /// Query parameter → field for which lists are filtered; how it compares.
    pub(super) filter: IndexMap<String, Filter>,
    /// Objects that a PATCH with an empty object clears although it merges.
    pub(super) cleared_by_empty: Vec<String>,
    /// Fields that disappear when they hold an empty object.
    pub(super) hidden_when_empty: Vec<String>,
    /// What deleting answers.
    pub(super) delete: Delete,
    /// Texts of the tenant log for each kind of write.
    pub(super) log: Titles,
    /// A checkpoint page that holds items always names a next one, even if that is empty.
    pub(super) trailing_page: bool,
    /// Envelopes of offset paging carry `length` too.
    pub(super) length: bool,
    /// Rows of a fresh tenant.
    pub(super) fresh: Vec<Fields>,
    /// Further rows of a tenant that is filled with users.
    pub(super) sample: Vec<Fields>,
    /// Of the users that fill a tenant, every so manieth gets a link of this kind.
    pub(super) sample_every: Option<usize>,
    /// Calls that the catalogue has no use for.
    pub(super) route: Vec<Route>,
    /// The answer to creating a row that is there already.
    pub(super) exists: Option<Refusal>,
    /// A row that nobody has written is there, with its defaults. Singletons that have neither
    /// `missing` nor a create are so without this.
    pub(super) implied: bool,
    /// Key columns that rows show although they are the key of a parent (others stand in paths alone).
    pub(super) shown_keys: Vec<String>,
    /// Fields (dotted) that are kept and never shown.
    pub(super) hides: Vec<String>,
    /// The only fields that items of its lists have.
    pub(super) listed: Vec<String>,
    /// Fields that reading one row shows besides; templates.
    pub(super) got: Fields,
    /// Write-only fields that answers show all the same.
    pub(super) shows: Vec<String>,
    /// The field that a body stands for which is a bare text.
    pub(super) text: Option<String>,
    /// Rows of a fresh tenant give way to seeded rows that have the same values of these fields.
    pub(super) fresh_by: Vec<String>,
    /// Fields by which a path may name a row instead of its key.
    pub(super) alias: Vec<String>,
    /// Of an association: key column → fields of the row that it names, where its items show others
    /// than that table's `item`; an empty list shows the key alone.
    pub(super) far: IndexMap<String, Vec<String>>,
    /// Fields shown of rows of other tables.
    pub(super) join: Vec<Join>,
    /// Templates of answers, by kind of call.
    pub(super) answer: Answers,
    /// Answers of a table's several commands.
    pub(super) run: Vec<Run>,
    /// What calls change elsewhere.
    pub(super) effect: Vec<Effect>,
    /// Features that not every tenant has.
    pub(super) gate: Vec<Gate>,
    /// How many rows there may be.
    pub(super) most: Vec<Limit>,
    /// Rules of bodies beyond their schema.
    pub(super) forbid: Vec<Forbid>,
    /// Of a command that exports: what of which table.
    pub(super) export: Option<Export>,
    /// Key column → the shape that it must have in a path.
    pub(super) path: IndexMap<String, PathShape>,
    /// Place in a body (`rule.match.names`, `groups[].email`) → what stands there.
    pub(super) inside: IndexMap<String, Inside>,
    /// Query parameters without which a list is refused.
    pub(super) query_required: Vec<String>,
    /// Fields by which rows are found without looking at the others.
    pub(super) indexed: Vec<String>,
    /// How its lists are searched with `q`, where that is documented.
    pub(super) search: Option<Search>,
    /// How its lists page.
    pub(super) page: Page,
    /// Per value of a field, named by `by`: what a row of that kind gets (connections: strategies).
    pub(super) kinds: Option<Kinds>,
    /// What events tell of its rows besides what the catalogue says.
    pub(super) event: Telling,
}

impl Rules {
    /// The rules of a resource.
    ///
    /// # Errors
    /// `catalog`, naming the file: a fault of the build.
    pub(super) fn of(resource: &Resource) -> Result<Rules> {
        let mut rules: Rules = resource.emulator.clone().try_into().map_err(|error| {
            let what = format!("{}/{}.toml, [emulator]", resource.tag, resource.table);
            Error::with(Kind::Catalog, what, error)
        })?;
        let cases = rules.case.iter_mut().map(|case| &mut case.set);
        let kinds = rules.kinds.iter_mut().flat_map(|kinds| kinds.of.values_mut());
        let kinds = kinds.flat_map(|kind| [&mut kind.create, &mut kind.always]);
        for fields in
            [&mut rules.defaults, &mut rules.read, &mut rules.written].into_iter().chain(cases).chain(kinds)
        {
            fields.values_mut().for_each(read_null);
        }
        Ok(rules)
    }
}

/// TOML has no null: the text `$null` stands for it.
fn read_null(value: &mut Value) {
    match value {
        Value::String(text) if text == "$null" => *value = Value::Null,
        Value::Object(fields) => fields.values_mut().for_each(read_null),
        _ => {}
    }
}

/// Fills the object at a dotted path, where there is one.
pub(super) fn fill_at(fields: &mut Fields, path: &str, defaults: &Fields) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match fields.get_mut(first) {
        Some(Value::Object(inner)) if rest.is_empty() => fill(inner, defaults),
        Some(Value::Object(inner)) => fill_at(inner, rest, defaults),
        _ => {}
    }
}

/// Puts into `fields` what `defaults` has and it lacks; objects are filled key by key.
pub(super) fn fill(fields: &mut Fields, defaults: &Fields) {
    for (key, default) in defaults {
        match (fields.get_mut(key), default) {
            (None, _) => {
                fields.insert(key.clone(), default.clone());
            }
            (Some(Value::Object(inner)), Value::Object(default)) => fill(inner, default),
            _ => {}
        }
    }
}

impl Rules {
    /// What a row of this kind gets, where the resource has kinds.
    pub(super) fn kind_of(&self, row: &Fields) -> Option<&KindOf> {
        let kinds = self.kinds.as_ref()?;
        let kind = row.get(&kinds.by).and_then(Value::as_str)?;
        kinds.of.get(kind).or_else(|| kinds.of.get("*"))
    }
}
