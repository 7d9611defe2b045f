//! Parts of the `[emulator]` table that say how rows look, which values are refused, and how lists
//! answer.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::Fields;
use crate::catalog::{Call, List, Replace};

/// A refusal in Auth0's shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Refusal {
    /// HTTP status; 404 where it is not said.
    #[serde(default = "not_found")]
    pub(in crate::emulator) status: u16,
    /// The text; `{column}` stands for the row's value.
    pub(in crate::emulator) message: String,
    /// Auth0's `errorCode`; newer services send none.
    pub(in crate::emulator) code: Option<String>,
}

fn not_found() -> u16 {
    404
}

/// Fields that no two rows share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Unique {
    /// Together they are unique; rows that lack one of them do not count. Key columns may be named.
    pub(in crate::emulator) fields: Vec<String>,
    /// Upper and lower case are the same.
    #[serde(default)]
    pub(in crate::emulator) fold: bool,
    /// What the second row gets.
    pub(in crate::emulator) refusal: Refusal,
}

/// Defaults for rows with certain values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Case {
    /// Field → the values that count; a row matches if every field does.
    pub(in crate::emulator) when: IndexMap<String, Vec<Value>>,
    /// Fields that the request must lack.
    pub(in crate::emulator) absent: Vec<String>,
    /// The defaults.
    pub(in crate::emulator) set: Fields,
}

/// How a query parameter filters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Filter {
    /// The field, or a key column.
    pub(in crate::emulator) field: String,
    /// Part of the text, without regard to case, instead of the whole value.
    #[serde(default)]
    pub(in crate::emulator) contains: bool,
    /// The value of a row that lacks the field.
    pub(in crate::emulator) absent: Option<Value>,
}

/// What deleting answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Delete {
    /// The body, a template; none without.
    pub(in crate::emulator) answer: Option<Fields>,
    /// Status where there is nothing to delete; without it, a refusal.
    pub(in crate::emulator) absent: Option<u16>,
    /// That refusal, where it is not the resource's `missing`.
    pub(in crate::emulator) missing: Option<Refusal>,
}

/// Descriptions of the tenant log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Titles {
    /// Of creating, linking, and running a command.
    pub(in crate::emulator) create: Option<String>,
    /// Of changing a row, and of replacing a list.
    pub(in crate::emulator) update: Option<String>,
    /// Of deleting and unlinking.
    pub(in crate::emulator) delete: Option<String>,
}

/// A call that the catalogue has no use for; `[[emulator.route]]`, one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(in crate::emulator) enum Route {
    /// One more way to list.
    List(List),
    /// One row by its key, by another path.
    Get(Call),
    /// One row by other fields than its key.
    By(Call),
    /// Every row whose field equals a query parameter, as a bare array.
    Find {
        path: String,
        scopes: Vec<String>,
        /// Parameter and field have the same name.
        field: String,
    },
    /// A new row.
    Create(Call),
    /// Changes a row: a PUT beside a PATCH.
    Update(Call),
    /// Deletes a row, or every row that has the values of the path.
    Delete(Call),
    /// Links made from the other side.
    Link(Call),
    /// Links undone from the other side.
    Unlink(Call),
    /// Replaces every row below the path.
    Set(Replace),
    /// Does what `run` and the effects say.
    Run(Call),
}

/// What rows of one kind get, by the value of one of their fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Kinds {
    /// The field that tells the kind.
    pub(in crate::emulator) by: String,
    /// Kind → what it gets. `*` stands for kinds that are not named.
    pub(in crate::emulator) of: IndexMap<String, KindOf>,
}

/// What a row of one kind gets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct KindOf {
    /// Defaults of the row when it is created.
    pub(in crate::emulator) create: Fields,
    /// Defaults that every write fills in again.
    pub(in crate::emulator) always: Fields,
    /// Fields (dotted) that reading leaves out, though the answer to a write has them.
    pub(in crate::emulator) unread: Vec<String>,
    /// Flag of `options` → the scope that it asks of the provider; `*` is asked always.
    pub(in crate::emulator) scopes: IndexMap<String, String>,
    /// The scopes are one text with commas.
    pub(in crate::emulator) scopes_joined: bool,
    /// `options.scope` always is what the flags say.
    pub(in crate::emulator) scopes_from_flags: bool,
}

/// Fields that a row shows of a row of another table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Join {
    /// The other table.
    pub(in crate::emulator) table: String,
    /// Field of the other row → our field or key column with the same value.
    pub(in crate::emulator) on: IndexMap<String, String>,
    /// Our field (dotted) → field (dotted) of the other row; `*` is the whole row, as its lists show it.
    pub(in crate::emulator) show: IndexMap<String, String>,
    /// An array of objects in the other row; `within_on` picks the item that `show` then means.
    pub(in crate::emulator) within: Option<String>,
    /// Field of the item → our field or key column with the same value.
    pub(in crate::emulator) within_on: IndexMap<String, String>,
    /// What a write gets where there is no such row or item.
    pub(in crate::emulator) refusal: Option<Refusal>,
}

/// How lists of a resource page, where they are not like most.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Page {
    /// Items on a page when none are asked for; 50.
    pub(in crate::emulator) default: Option<u32>,
    /// What an envelope of offset paging holds besides the array, of `start`, `limit`, `total`, `length`,
    /// `page`, `per_page`; the first three where it is not said.
    pub(in crate::emulator) envelope: Option<Vec<String>>,
    /// Zeros are left out of it.
    pub(in crate::emulator) zeros_dropped: bool,
    /// There is an envelope even if none is asked for.
    pub(in crate::emulator) always_enveloped: bool,
    /// A list that pages by checkpoint alone is a bare array without `take`.
    pub(in crate::emulator) bare_without_take: bool,
}

/// The shape of a value in a path.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct PathShape {
    /// Name of the parameter in Auth0's text; the column's where it is not said.
    pub(in crate::emulator) name: Option<String>,
    /// Auth0's name of the format.
    pub(in crate::emulator) format: String,
    /// What fits, a regular expression; without one, the shape of `id`.
    pub(in crate::emulator) pattern: Option<String>,
    /// What stands in brackets after the name.
    pub(in crate::emulator) comment: Option<String>,
}

/// What a value inside a body must be; beyond what the columns say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::emulator) struct Inside {
    /// JSON Schema's name of the type: `string`, `boolean`, `integer`, `number`, `array`, `object`.
    #[serde(rename = "type")]
    pub(in crate::emulator) kind: Option<String>,
    /// It must be there where the object around it is.
    pub(in crate::emulator) required: bool,
    /// The only texts.
    #[serde(rename = "enum")]
    pub(in crate::emulator) values: Vec<String>,
    /// Auth0's name of a format, and what fits it.
    pub(in crate::emulator) format: Option<String>,
    /// What fits, a regular expression.
    pub(in crate::emulator) pattern: Option<String>,
    /// In characters.
    pub(in crate::emulator) min_length: Option<usize>,
    /// In characters.
    pub(in crate::emulator) max_length: Option<usize>,
    /// Smallest number.
    pub(in crate::emulator) minimum: Option<f64>,
    /// Largest number.
    pub(in crate::emulator) maximum: Option<f64>,
    /// Fewest items.
    pub(in crate::emulator) min_items: Option<usize>,
    /// Most items.
    pub(in crate::emulator) max_items: Option<usize>,
    /// No item comes twice.
    pub(in crate::emulator) unique: bool,
    /// The only keys of an object.
    pub(in crate::emulator) only: Vec<String>,
    /// Null is a value too.
    pub(in crate::emulator) nullable: bool,
    /// What stands in brackets after the name in Auth0's text.
    pub(in crate::emulator) comment: Option<String>,
}
