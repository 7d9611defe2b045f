//! Columns of mirror tables as the catalogue describes them.

use serde::Deserialize;

/// One column of a mirror table and the field that it shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Type of the column.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Who may write it, and when.
    pub class: Class,
    /// What it holds, in our own words; COMMENT ON COLUMN.
    pub comment: String,
    /// Auth0's name of the field, where it differs from the column's.
    pub field: Option<String>,
    /// Its name in bodies, where that is another one again.
    pub write_field: Option<String>,
    /// A format that a client's value must have.
    pub format: Option<Format>,
    /// A regular expression (POSIX, as Postgres reads it) that a client's value must match.
    pub pattern: Option<String>,
    /// The only values that a client may write (as items, of an array); Auth0 may send others.
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    /// In characters.
    pub min_length: Option<u32>,
    /// In characters.
    pub max_length: Option<u32>,
    /// Smallest number.
    pub minimum: Option<f64>,
    /// Largest number.
    pub maximum: Option<f64>,
    /// Fewest items of an array.
    pub min_items: Option<u32>,
    /// Most items of an array.
    pub max_items: Option<u32>,
    /// Most keys of an object.
    pub max_properties: Option<u32>,
    /// What kind of JSON a client may write.
    pub json: Option<JsonShape>,
    /// Must be given on INSERT.
    #[serde(default)]
    pub required: bool,
    /// The only calls that take it (`create`, `update`), where not both.
    #[serde(default)]
    pub only_on: Option<WriteCall>,
    /// Never stored in the mirror or in `_sync_cdc`; implies `write_only`.
    #[serde(default)]
    pub secret: bool,
    /// First-level keys of an object that are secrets: taken on write, sent, never stored or shown.
    #[serde(default)]
    pub secret_keys: Vec<String>,
    /// Auth0 shows none of `secret_keys` and drops them where a change of the object lacks them: a change
    /// without any is refused.
    #[serde(default)]
    pub resend: bool,
    /// Secrets further inside of a value that is written whole: dotted paths, `[].value` for a key of every item.
    #[serde(default)]
    pub secret_paths: Vec<String>,
    /// Auth0 shows it in the answer to a write alone: where reading lacks it, what is known stays.
    #[serde(default)]
    pub kept: bool,
    /// Without this scope Auth0 leaves the field out.
    pub scope: Option<String>,
    /// What a PATCH with this object does.
    #[serde(default)]
    pub merge: Merge,
    /// The table whose key this column holds.
    pub references: Option<String>,
    /// Why it is described otherwise than in Auth0's document.
    pub differs: Option<String>,
}

impl Column {
    /// Whether parts of its value are secret.
    pub fn hides_parts(&self) -> bool {
        !self.secret_keys.is_empty() || !self.secret_paths.is_empty()
    }

    /// Takes the secret parts out of a value.
    pub fn strip_secrets(&self, value: &mut serde_json::Value) {
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| !self.secret_keys.contains(key));
        }
        for path in &self.secret_paths {
            strip(value, path);
        }
    }

    /// A read-only text column, as those that every command table has.
    pub(in crate::catalog) fn read_only(kind: ColumnType, comment: &str) -> Column {
        Column {
            kind,
            class: Class::ReadOnly,
            comment: comment.to_owned(),
            field: None,
            write_field: None,
            format: None,
            pattern: None,
            values: Vec::new(),
            min_length: None,
            max_length: None,
            minimum: None,
            maximum: None,
            min_items: None,
            max_items: None,
            max_properties: None,
            json: None,
            required: false,
            only_on: None,
            secret: false,
            secret_keys: Vec::new(),
            resend: false,
            secret_paths: Vec::new(),
            kept: false,
            scope: None,
            merge: Merge::Replace,
            references: None,
            differs: None,
        }
    }
}

/// Removes what lies at a dotted path; `[]` stands for every item.
fn strip(value: &mut serde_json::Value, path: &str) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if first == "[]" {
        value.as_array_mut().into_iter().flatten().for_each(|item| strip(item, rest));
    } else if let Some(object) = value.as_object_mut() {
        if rest.is_empty() {
            object.remove(first);
        } else if let Some(inner) = object.get_mut(first) {
            strip(inner, rest);
        }
    }
}

/// What kind of JSON a column takes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum JsonShape {
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Which of the two writing calls takes a field.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WriteCall {
    /// POST.
    Create,
    /// PATCH.
    Update,
}

/// Types of mirror columns.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`
    #[serde(rename = "text")]
    Text,
    /// `boolean`
    #[serde(rename = "boolean")]
    Boolean,
    /// `bigint`
    #[serde(rename = "bigint")]
    Bigint,
    /// `double precision`
    #[serde(rename = "double precision")]
    Double,
    /// `timestamptz`
    #[serde(rename = "timestamptz")]
    Timestamptz,
    /// `text[]`, an array of strings
    #[serde(rename = "text[]")]
    TextArray,
    /// `jsonb`, an object or an array of objects
    #[serde(rename = "jsonb")]
    Jsonb,
}

impl ColumnType {
    /// The type's name in DDL.
    pub fn sql(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Boolean => "boolean",
            ColumnType::Bigint => "bigint",
            ColumnType::Double => "double precision",
            ColumnType::Timestamptz => "timestamptz",
            ColumnType::TextArray => "text[]",
            ColumnType::Jsonb => "jsonb",
        }
    }
}

/// Who may write a column, and when.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Auth0 alone.
    ReadOnly,
    /// A client, on INSERT.
    CreateOnly,
    /// A client, on INSERT and UPDATE.
    Writable,
    /// A client; the column itself always shows NULL.
    WriteOnly,
}

impl Class {
    /// The word of the column's comment.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::ReadOnly => "read-only",
            Class::CreateOnly => "create-only",
            Class::Writable => "writable",
            Class::WriteOnly => "write-only",
        }
    }
}

/// What a PATCH with an object does to the keys that it does not name.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// They are lost: the whole value is sent.
    #[default]
    Replace,
    /// They stay; only changed keys are sent, null removes one. Capture and rebase go key by key.
    Keys,
    /// They are lost; the object is read, the changed keys are merged into it, and it is sent whole.
    ReadKeys,
}

impl Merge {
    /// Whether capture and rebase look at first-level keys rather than at the whole value.
    pub fn by_key(self) -> bool {
        self != Merge::Replace
    }
}

/// Formats of text that are checked before a client's value is stored.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An e-mail address.
    Email,
    /// An absolute URI of any scheme.
    Uri,
    /// An absolute `http` or `https` URI, or the empty string.
    UriOrEmpty,
    /// An absolute `https` URI, or the empty string.
    HttpsUriOrEmpty,
}

impl Format {
    /// The name that error messages use: `invalid input syntax for type …`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Email => "email",
            Format::Uri | Format::UriOrEmpty => "uri",
            Format::HttpsUriOrEmpty => "https uri",
        }
    }

    /// A regular expression that Postgres and Rust read alike.
    pub fn pattern(self) -> &'static str {
        match self {
            Format::Email => {
                r#"^[^\s@"<>(),;:\\\[\]]+@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$"#
            }
            Format::Uri => r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$",
            Format::UriOrEmpty => r"^(https?://[^\s]+)?$",
            Format::HttpsUriOrEmpty => r"^(https://[^\s]+)?$",
        }
    }
}
