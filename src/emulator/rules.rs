//! The `[emulator]` table of a catalogue file, typed: what Auth0's server does that a client of it
//! need not know. Data only; it never decides anything by itself.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::{Call, List, Resource};
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
    /// The bucket of the rate limits that counts these calls.
    pub(super) limit: Option<String>,
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
    /// Per value of a field, named by `by`: what a row of that kind gets (connections: strategies).
    pub(super) kinds: Option<Kinds>,
}

/// A refusal in Auth0's shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    /// HTTP status.
    #[serde(default = "not_found")]
    pub(super) status: u16,
    /// The text; `{column}` stands for the row's value.
    pub(super) message: String,
    /// Auth0's `errorCode`; newer services send none.
    pub(super) code: Option<String>,
}

fn not_found() -> u16 {
    404
}

/// Fields that no two rows share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unique {
    /// Together they are unique; rows that lack one of them do not count.
    pub(super) fields: Vec<String>,
    /// Upper and lower case are the same.
    #[serde(default)]
    pub(super) fold: bool,
    /// What the second row gets.
    pub(super) refusal: Refusal,
}

/// Defaults for rows with certain values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Case {
    /// Field → the values that count; a row matches if every field does.
    pub(super) when: IndexMap<String, Vec<Value>>,
    /// Fields that the request must lack.
    pub(super) absent: Vec<String>,
    /// The defaults.
    pub(super) set: Fields,
}

/// How a query parameter filters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// The field.
    pub(super) field: String,
    /// Part of the text, without regard to case, instead of the whole value.
    #[serde(default)]
    pub(super) contains: bool,
    /// The value of a row that lacks the field.
    pub(super) absent: Option<Value>,
}

/// What deleting answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Delete {
    /// The body; none without.
    pub(super) answer: Option<Fields>,
    /// Status where there is nothing to delete; without it, `missing`.
    pub(super) absent: Option<u16>,
}

/// Descriptions of the tenant log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Titles {
    pub(super) create: Option<String>,
    pub(super) update: Option<String>,
    pub(super) delete: Option<String>,
}

/// A call that the catalogue has no use for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Route {
    /// One more way to list.
    List(List),
    /// One row by other fields than its key.
    By(Call),
    /// Every row whose field equals a query parameter, as a bare array.
    Find {
        path: String,
        scopes: Vec<String>,
        /// Parameter and field have the same name.
        field: String,
    },
    /// Links made from the other side.
    Link(Call),
    /// Links undone from the other side.
    Unlink(Call),
}

/// What rows of one kind get, by the value of one of their fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kinds {
    /// The field that tells the kind.
    pub(super) by: String,
    /// Kind → what it gets. `*` stands for kinds that are not named.
    pub(super) of: IndexMap<String, KindOf>,
}

/// What a row of one kind gets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KindOf {
    /// Defaults of the row when it is created.
    pub(super) create: Fields,
    /// Defaults that every write fills in again.
    pub(super) always: Fields,
    /// Fields (dotted) that reading leaves out, though the answer to a write has them.
    pub(super) unread: Vec<String>,
    /// Flag of `options` → the scope that it asks of the provider; `*` is asked always.
    pub(super) scopes: IndexMap<String, String>,
    /// The scopes are one text with commas.
    pub(super) scopes_joined: bool,
    /// `options.scope` always is what the flags say.
    pub(super) scopes_from_flags: bool,
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
