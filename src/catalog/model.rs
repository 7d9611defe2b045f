//! The typed form of one catalogue file, `catalog/<tag>/<table>.toml`.

use indexmap::IndexMap;
use serde::Deserialize;

/// One kind of thing in the Management API, and the mirror table that shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Name of the mirror table, singular.
    pub table: String,
    /// Folder of the file: the tag of the Management API.
    #[serde(skip)]
    pub tag: String,
    /// How rows come and go.
    pub kind: ResourceKind,
    /// One sentence on what a row is; COMMENT ON TABLE.
    pub comment: String,
    /// Columns of the primary key, in order.
    pub key: Vec<String>,
    /// Who makes the key of a row that a client inserts.
    pub new_key: NewKey,
    /// The column with Auth0's own time of the last change; orders readings without a clock of ours.
    pub version: Option<String>,
    /// The answer to a write shows other values than reading does: only reading is believed.
    #[serde(default)]
    pub reread: bool,
    /// Tables of which Auth0 deletes rows along with a row of this one, without saying which.
    #[serde(default)]
    pub takes_along: Vec<String>,
    /// The ways to list rows; the first is the preferred one.
    #[serde(default)]
    pub list: Vec<List>,
    /// Reads one row by its key.
    pub get: Option<Call>,
    /// Creates one row.
    pub create: Option<Create>,
    /// Changes one row: the body carries the changed fields only.
    pub update: Option<Call>,
    /// Deletes one row; 404 means that it is gone already.
    pub delete: Option<Call>,
    /// Tenant log types (besides `sapi`) after which a row is read again.
    #[serde(default)]
    pub log: Vec<LogHint>,
    /// Columns in the order of the table.
    pub columns: IndexMap<String, Column>,
    /// What only the emulator needs: defaults, id shapes, error texts.
    #[serde(default)]
    pub emulator: toml::Table,
}

/// How rows of a resource come and go.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Many rows, each with an identity of its own.
    Collection,
    /// One row that always exists.
    Singleton,
    /// A row is a link between two others; it is read by listing one of the sides.
    Association,
}

/// Who makes the key of a new row.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum NewKey {
    /// The trigger makes the final key: `prefix` and 24 hexadecimal digits, where the client gave none.
    Client {
        /// For users `auth0|`.
        prefix: String,
        /// What stands in a request body: the key without its prefix.
        #[serde(default)]
        strip_prefix: bool,
    },
    /// Auth0 makes it; until it answers the row has a provisional key `new_…`.
    Server,
    /// The client gives every column of the key.
    Given,
    /// There is one row, with this key.
    Fixed {
        /// The key's only value.
        value: String,
    },
}

/// One call of the Management API. `{column}` in path and body stands for the row's value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// HTTP method in capitals.
    pub method: String,
    /// Path below `/api/v2`, for example `/users/{user_id}`.
    pub path: String,
    /// Any one of these scopes allows the call.
    pub scopes: Vec<String>,
    /// Statuses of success, the usual one first.
    pub status: Vec<u16>,
    /// The body, where it is not simply the row's writable fields.
    pub body: Option<toml::Table>,
}

/// The call that creates a row, and how a create whose answer was lost is recognised.
#[derive(Clone, Debug, Deserialize)]
pub struct Create {
    /// The call itself.
    #[serde(flatten)]
    pub call: Call,
    /// How to find out whether a create with a lost answer happened.
    pub recognise: Recognise,
}

/// How a create whose answer was lost is recognised.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Recognise {
    /// The row's key is known: read it.
    Key,
    /// Doing it twice is the same as once: send it again.
    Repeat,
    /// One call answers the row with these columns, for example `/organizations/name/{name}`.
    Path {
        /// Path below `/api/v2`.
        path: String,
    },
    /// List with these query parameters and compare the named columns; rows known before do not count.
    List {
        /// Query parameters, `{column}` stands for the row's value.
        #[serde(default)]
        query: IndexMap<String, String>,
        /// Columns that must be equal.
        columns: Vec<String>,
    },
}

/// One way to list rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Path below `/api/v2`; placeholders are columns that the parent supplies.
    pub path: String,
    /// The table whose rows supply the placeholders; none for a list of the whole tenant.
    pub parent: Option<String>,
    /// Any one of these scopes allows the call.
    pub scopes: Vec<String>,
    /// How it pages.
    pub paging: Paging,
    /// Key of the array in an enveloped answer.
    pub array: Option<String>,
    /// Largest page that may be asked for.
    #[serde(default = "default_page")]
    pub per_page: u32,
    /// The most results that offset paging gives, over all pages.
    pub cap: Option<u32>,
    /// A time column by which a longer list is searched in slices that stay below the cap.
    pub slice_by: Option<String>,
    /// Query parameters sent always.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Column → field of a listed item, where the names differ.
    #[serde(default)]
    pub fields: IndexMap<String, String>,
}

fn default_page() -> u32 {
    50
}

/// How a list pages.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// The whole list in one answer.
    None,
    /// `page`, `per_page`, `include_totals`.
    Offset,
    /// `from`, `take`; the answer carries `next`.
    Checkpoint,
    /// Either; checkpoint is used because it has no cap.
    Both,
}

/// Tenant log types after which a row is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHint {
    /// Values of the log's `type`.
    pub types: Vec<String>,
    /// Column → field of the log entry that holds its value (dotted path).
    pub key: IndexMap<String, String>,
}

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
    /// A format that a client's value must have.
    pub format: Option<Format>,
    /// A regular expression (POSIX, as Postgres reads it) that a client's value must match.
    pub pattern: Option<String>,
    /// The only values that a client may write; Auth0 may send others.
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
    /// What a PATCH with this object does.
    #[serde(default)]
    pub merge: Merge,
    /// The table whose key this column holds.
    pub references: Option<String>,
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
