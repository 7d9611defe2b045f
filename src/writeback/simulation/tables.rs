//! The tables of the simulated world: one whose keys the client's side makes, one whose keys Auth0
//! makes, and one of links between their rows.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::catalog::{Catalog, Merge, Resource};
use crate::pg::mirror::{Operation, Row, Unsettled};
use crate::writeback::lanes::Node;

pub(super) const THING: &str = "thing";
pub(super) const PLACE: &str = "place";
pub(super) const LINK: &str = "place_thing";

const COLUMNS: &str = r#"
[columns.name]
type = "text"
class = "writable"
comment = "x"

[columns.label]
type = "text"
class = "writable"
comment = "x"

[columns.meta]
type = "jsonb"
class = "writable"
comment = "x"
json = "object"
merge = "keys"
"#;

const UPDATED_AT: &str = r#"
[columns.updated_at]
type = "timestamptz"
class = "read_only"
comment = "x"
"#;

const LINKS: &str = r#"
table = "place_thing"
kind = "association"
comment = "x"
key = ["place_id", "thing_id"]

[get]
method = "GET"
path = "/places/{place_id}/things/{thing_id}"
scopes = []
status = [200]

[create]
method = "POST"
path = "/places/{place_id}/things/{thing_id}"
scopes = []
status = [201]
recognise = { by = "key" }

[delete]
method = "DELETE"
path = "/places/{place_id}/things/{thing_id}"
scopes = []
status = [204]

[columns.place_id]
type = "text"
class = "create_only"
comment = "x"
references = "place"

[columns.thing_id]
type = "text"
class = "create_only"
comment = "x"
references = "thing"
"#;

/// A table of rows of their own.
fn rows(table: &str, made: &str, class: &str, recognise: &str, versioned: bool) -> String {
    let call = |name: &str, method: &str, path: &str, more: &str| {
        format!("[{name}]\nmethod = \"{method}\"\npath = \"{path}\"\nscopes = []\nstatus = [200]\n{more}\n")
    };
    let (all, one) = (format!("/{table}s"), format!("/{table}s/{{id}}"));
    let version = if versioned { "version = \"updated_at\"\n" } else { "" };
    let mut text = format!(
        "table = \"{table}\"\nkind = \"collection\"\ncomment = \"x\"\nkey = [\"id\"]\nnew_key = {made}\n{version}\n\
         [[list]]\npath = \"{all}\"\nscopes = []\npaging = \"none\"\n\n"
    );
    text += &call("get", "GET", &one, "");
    text += &call("create", "POST", &all, &format!("recognise = {recognise}"));
    text += &call("update", "PATCH", &one, "");
    text += &call("delete", "DELETE", &one, "");
    text += &format!("[columns.id]\ntype = \"text\"\nclass = \"{class}\"\ncomment = \"x\"\n");
    text += COLUMNS;
    text += if versioned { UPDATED_AT } else { "" };
    text
}

fn catalog(versioned: bool) -> Catalog {
    let things =
        rows(THING, "{ by = \"client\", prefix = \"thing_\" }", "create_only", "{ by = \"key\" }", versioned);
    let places =
        rows(PLACE, "{ by = \"server\" }", "read_only", "{ by = \"list\", columns = [\"name\"] }", versioned);
    let files =
        [("t/thing.toml", things.as_str()), ("t/place.toml", places.as_str()), ("t/place_thing.toml", LINKS)];
    Catalog::from_files(files).unwrap()
}

static PLAIN: LazyLock<Catalog> = LazyLock::new(|| catalog(false));
static VERSIONED: LazyLock<Catalog> = LazyLock::new(|| catalog(true));

/// The catalogue, with Auth0's own times of change or without.
pub(super) fn described(versioned: bool) -> &'static Catalog {
    if versioned { &VERSIONED } else { &PLAIN }
}

/// What the capture trigger writes of an UPDATE: changed columns, before and after; none where
/// nothing has changed.
pub(super) fn images(resource: &Resource, old: &Row, new: &Row) -> Option<(Row, Row)> {
    let (mut before, mut after) = (Row::new(), Row::new());
    for (name, column) in &resource.columns {
        let (mine, other) = (new.get(name), old.get(name));
        let (mut mine, mut other) = (mine.cloned().unwrap_or_default(), other.cloned().unwrap_or_default());
        if column.merge == Merge::Keys {
            if same_object(&mine, &other) {
                continue;
            }
            let emptied = mine.as_object().is_some_and(Map::is_empty);
            let (was, is) = (other.clone(), mine.clone());
            other = changed_keys(&was, &is);
            mine = if emptied { is } else { changed_keys(&is, &was) };
        } else if mine == other {
            continue;
        }
        before.insert(name.clone(), other);
        after.insert(name.clone(), mine);
    }
    (!before.is_empty()).then_some((before, after))
}

fn same_object(a: &Value, b: &Value) -> bool {
    let empty = Map::new();
    a.as_object().unwrap_or(&empty) == b.as_object().unwrap_or(&empty)
}

fn changed_keys(mine: &Value, other: &Value) -> Value {
    let Some(object) = mine.as_object() else { return Value::Null };
    let empty = Map::new();
    let theirs = other.as_object().unwrap_or(&empty);
    let mut changed = Map::new();
    for key in object.keys().chain(theirs.keys()) {
        let (mine, other) = (object.get(key), theirs.get(key));
        if mine != other {
            changed.insert(key.clone(), mine.cloned().unwrap_or_default());
        }
    }
    Value::Object(changed)
}

/// What a client sees of `base` and its unsettled mutations: written anew here, so that it does not
/// share the mistakes of the rebase rule. An error says which mutation has nothing to stand on.
pub(super) fn replay(base: Option<Row>, unsettled: &[Unsettled]) -> Result<Option<Row>, i64> {
    let mut row = base;
    for mutation in unsettled {
        row = match (mutation.operation, row) {
            (Operation::Insert, None) => mutation.after.clone(),
            (Operation::Delete, Some(_)) => None,
            (Operation::Update, Some(mut row)) => {
                for (column, value) in mutation.after.iter().flatten() {
                    let touched = mutation.before.as_ref().and_then(|before| before.get(column));
                    set(&mut row, column, value, touched);
                }
                Some(row)
            }
            _ => return Err(mutation.id),
        };
    }
    Ok(row)
}

fn set(row: &mut Row, column: &str, value: &Value, touched: Option<&Value>) {
    if column != "meta" {
        row.insert(column.to_owned(), value.clone());
        return;
    }
    let mut object = row.get(column).and_then(Value::as_object).cloned().unwrap_or_default();
    let keys = value.as_object().into_iter().chain(touched.and_then(Value::as_object)).flat_map(Map::keys);
    for key in keys {
        match value.get(key).filter(|part| !part.is_null()) {
            Some(part) => object.insert(key.clone(), part.clone()),
            None => object.shift_remove(key),
        };
    }
    row.insert(column.to_owned(), Value::Object(object));
}

/// NULL, an absent column and an object without keys are the same to Auth0; so is the order of columns.
pub(super) fn normal(row: Option<&Row>) -> Option<Vec<(String, String)>> {
    let mut columns: Vec<_> = row?
        .iter()
        .filter(|(_, value)| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty()))
        .map(|(name, value)| (name.clone(), sorted(value)))
        .collect();
    columns.sort();
    Some(columns)
}

fn sorted(value: &Value) -> String {
    match value.as_object() {
        Some(object) => {
            let mut keys: Vec<_> = object.iter().map(|(key, part)| format!("{key}={part}")).collect();
            keys.sort();
            keys.join(" ")
        }
        None => value.to_string(),
    }
}

/// A row's name as the trace shows it.
pub(super) fn name(node: &Node) -> String {
    format!("{} {}", node.0, node.1.0.join("/"))
}
