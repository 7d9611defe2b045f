//! The typed form of one catalogue file, `catalog/<tag>/<table>.toml`.

mod bulk;
mod call;
mod column;
mod event;
mod export;
mod guard;
mod list;
mod report;

use indexmap::IndexMap;
use serde::Deserialize;

pub use bulk::{Bulk, Worth};
pub use call::{Call, Command, Create, Recognise, Replace};
pub use column::{Class, Column, ColumnType, Format, JsonShape, Merge, WriteCall};
pub use event::{EventKind, Events};
pub use export::Export;
pub use guard::{Holds, Lasting, Protected};
pub use list::{Each, List, Paging};
pub use report::{Report, Serves};

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
    /// How far Auth0 has released it.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Why it is not selected unless the configuration names it.
    pub optional: Option<String>,
    /// Columns of the primary key, in order.
    #[serde(default)]
    pub key: Vec<String>,
    /// Who makes the key of a row that a client inserts.
    #[serde(default)]
    pub new_key: NewKey,
    /// The column with Auth0's own time of the last change; orders readings without a clock of ours.
    pub version: Option<String>,
    /// The answer to a write shows other values than reading does: only reading is believed.
    #[serde(default)]
    pub reread: bool,
    /// The column that holds the whole answer and the whole body, whatever JSON they are.
    pub whole: Option<String>,
    /// The column of which an empty list says that there is no row.
    pub absent_when_empty: Option<String>,
    /// Auth0 answers a missing scope where it is the plan that does not allow a write.
    #[serde(default)]
    pub plan_as_scope: bool,
    /// While a row has such a value Auth0 is still at work, and it is read again.
    pub settling: Option<Settling>,
    /// What of its changes no live source tells: only a comparison finds it.
    pub unseen: Option<String>,
    /// Rows that Auth0 shows no more stay.
    #[serde(default)]
    pub keeps_rows: bool,
    /// Table → our columns that hold its key of several columns: its row must be there first.
    #[serde(default)]
    pub depends: IndexMap<String, Vec<String>>,
    /// Groups of columns that never go in one call, in the order of the calls.
    #[serde(default)]
    pub apart: Vec<Vec<String>>,
    /// Columns that go with each of those calls.
    #[serde(default)]
    pub apart_with: Vec<String>,
    /// Of a command: tables that are read again after it.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Rows of other tables that a write of a row changes too.
    #[serde(default)]
    pub touches: Vec<Touch>,
    /// What to use instead of a table that nobody can write.
    pub refusal: Option<String>,
    /// Fields of Auth0's that have no column on purpose, each with the reason.
    #[serde(default)]
    pub lacks: IndexMap<String, String>,
    /// Why Auth0's document differs from the table as a whole, for example that it is older.
    pub differs: Option<String>,
    /// Of a view: what it shows.
    pub view: Option<View>,
    /// Tables of which Auth0 deletes rows along with a row of this one, without saying which.
    #[serde(default)]
    pub takes_along: Vec<String>,
    /// The ways to list rows; the first is the preferred one.
    #[serde(default)]
    pub list: Vec<List>,
    /// All rows in one file.
    pub export: Option<Export>,
    /// Many new rows in one file.
    pub bulk: Option<Bulk>,
    /// Reads one row by its key.
    pub get: Option<Call>,
    /// Creates one row.
    pub create: Option<Create>,
    /// Changes one row: the body carries the changed fields only.
    pub update: Option<Call>,
    /// Deletes one row; 404 means that it is gone already.
    pub delete: Option<Call>,
    /// Replaces the whole list of links below a parent, where single ones cannot be written.
    #[serde(rename = "set")]
    pub replace: Option<Replace>,
    /// Of a command: the call, or the calls by the row's values.
    #[serde(default)]
    pub command: Vec<Command>,
    /// Tenant log types (besides `sapi`) after which a row is read again.
    #[serde(default)]
    pub log: Vec<LogHint>,
    /// Reports of the service's own Actions after which a row is read again.
    #[serde(default)]
    pub report: Vec<Report>,
    /// What the service itself makes rows of it for.
    pub serves: Option<Serves>,
    /// Rows that the service stands on.
    pub protected: Option<Protected>,
    /// What its calls do that nothing takes back.
    #[serde(default)]
    pub lasting: Vec<Lasting>,
    /// The events that tell of its rows.
    pub event: Option<Events>,
    /// Columns in the order of the table.
    #[serde(default)]
    pub columns: IndexMap<String, Column>,
    /// Columns that the selection leaves out: known, and neither mirrored nor put into `extra`.
    #[serde(skip)]
    pub hidden: IndexMap<String, Column>,
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
    /// At most one row.
    Singleton,
    /// A row is a link between two others; it is read by listing one of the sides.
    Association,
    /// A row runs a call once, and keeps what it answered.
    Command,
    /// Keys of things that Auth0 does not list; never sent.
    Watch,
    /// Another side of a table, without rows of its own.
    View,
    /// Auth0 has ended it: an empty table that says what to use instead.
    Retired,
}

impl ResourceKind {
    /// Its name in catalogue files.
    pub fn as_str(self) -> &'static str {
        match self {
            ResourceKind::Collection => "collection",
            ResourceKind::Singleton => "singleton",
            ResourceKind::Association => "association",
            ResourceKind::Command => "command",
            ResourceKind::Watch => "watch",
            ResourceKind::View => "view",
            ResourceKind::Retired => "retired",
        }
    }

    /// Whether Auth0 is where the rows come from.
    pub fn is_read(self) -> bool {
        matches!(self, ResourceKind::Collection | ResourceKind::Singleton | ResourceKind::Association)
    }
}

/// How far Auth0 has released a resource.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// For everybody.
    #[default]
    Available,
    /// For tenants that take part; others get a refusal.
    EarlyAccess,
    /// As early access, and it may still change.
    Beta,
    /// Auth0 has ended it.
    Ended,
}

impl Lifecycle {
    /// Its name in catalogue files.
    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Available => "available",
            Lifecycle::EarlyAccess => "early_access",
            Lifecycle::Beta => "beta",
            Lifecycle::Ended => "ended",
        }
    }
}

/// While a column has one of these values, Auth0 is still at work on the row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settling {
    /// The column.
    pub column: String,
    /// The values.
    pub values: Vec<String>,
}

/// Another side of a table. The columns of the resource name those of the table by `field`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The table.
    pub of: String,
    /// Column of the table that must not be NULL.
    pub has: Option<String>,
}

/// Who makes the key of a new row.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
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
    /// Auth0 makes the last column of the key; until it answers that is provisional: `new_…`.
    Server,
    /// The client gives every column of the key.
    #[default]
    Given,
    /// There is one row, with this key.
    Fixed {
        /// The key's only value.
        value: String,
    },
}

/// A row of another table that a write changes too; it is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// The other table.
    pub table: String,
    /// Its key column → text in which `{column}` stands for the written row's value.
    pub key: IndexMap<String, String>,
}

impl Touch {
    /// The key of the row that is meant; none where a value is missing.
    pub fn key_of(
        &self,
        values: &serde_json::Map<String, serde_json::Value>,
    ) -> Option<serde_json::Map<String, serde_json::Value>> {
        let text = |template: &str| -> Option<String> {
            let mut parts = template.split('{');
            let mut text = parts.next()?.to_owned();
            for part in parts {
                let (column, rest) = part.split_once('}')?;
                text.push_str(values.get(column)?.as_str()?);
                text.push_str(rest);
            }
            Some(text)
        };
        self.key.iter().map(|(column, template)| Some((column.clone(), text(template)?.into()))).collect()
    }
}

/// Tenant log types after which a row is read again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHint {
    /// Values of the log's `type`.
    pub types: Vec<String>,
    /// Column → field of the log entry that holds its value (dotted path). Empty: no row is named, and the
    /// whole table is read where the rest names nothing narrower.
    pub key: IndexMap<String, String>,
    /// A path in the entry that names the row.
    pub path: Option<PathHint>,
    /// Where no row is named: name in the body of the export's call → field of the entry. The rows that such
    /// an export shows are read.
    #[serde(default)]
    pub part: IndexMap<String, String>,
}

/// A path in a log entry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathHint {
    /// Field of the entry that holds it (dotted path).
    pub field: String,
    /// What it ends with, a placeholder for each column, which may be missing: `/Users/{user_id}`. Entries whose
    /// path has nothing of the kind are none of this hint.
    pub ends: String,
    /// A value without this text is no key.
    pub whole: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_touch_names_a_row_by_the_written_one() {
        let text = "table = 'user'\nkey = { user_id = '{provider}|{identity_user_id}' }";
        let touch: Touch = toml::from_str(text).unwrap();
        let values = json!({"provider": "auth0", "identity_user_id": "1", "user_id": "auth0|2"});
        let key = touch.key_of(values.as_object().unwrap());
        assert_eq!(key.map(serde_json::Value::Object), Some(json!({"user_id": "auth0|1"})));
        assert_eq!(touch.key_of(json!({"provider": "auth0"}).as_object().unwrap()), None);
    }
}
