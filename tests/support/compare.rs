//! Compares the mirror with the emulator, with nothing of the service's own code: tables as JSON
//! on one side, the emulator's whole state on the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Session, Stand, wait_for};

/// Fields that Auth0 may send and no table shows.
const HIDDEN: &[(&str, &[&str])] = &[
    ("client", &["client_secret", "signing_keys"]),
    ("user", &["password", "connection", "verify_email", "verify_phone_number", "client_id"]),
    ("organization", &["enabled_connections"]),
];
const WITHIN: Duration = Duration::from_secs(20);

type Rows = BTreeMap<String, Map<String, Value>>;

/// Waits until no mutation is unsettled.
pub async fn all_settled(stand: &Stand) {
    let mut root = stand.root().await;
    let unsettled = async || {
        let rows =
            root.rows("select * from auth0._sync_cdc where settled_at is null order by id limit 20").await;
        rows.is_empty().then_some(())
    };
    wait_for("every mutation is settled", WITHIN, unsettled).await;
}

/// Waits until every mutation is settled and the tables are what the emulator has.
pub async fn equal(stand: &Stand) {
    all_settled(stand).await;
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        let differences = differences(stand).await;
        if differences.is_empty() {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} differences:\n{}",
            differences.len(),
            differences[..differences.len().min(20)].join("\n")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What differs, one sentence each.
pub async fn differences(stand: &Stand) -> Vec<String> {
    let mut root = stand.root().await;
    let state = stand.emulator.state().await;
    let mut found = Vec::new();
    for (table, there) in state.as_object().unwrap() {
        let key = key(&mut root, table).await;
        let there = by_key(there.as_array().unwrap(), &key, table == "tenant");
        let here = root.rows(&format!("select * from auth0.\"{table}\"")).await;
        let here = by_key(&here, &key, false);
        let columns = columns(&mut root, table).await;
        let keys: BTreeSet<_> = there.keys().chain(here.keys()).collect();
        for key in keys {
            match (here.get(key), there.get(key)) {
                (Some(here), Some(there)) => {
                    found.extend(
                        row(table, &columns, here, there)
                            .into_iter()
                            .map(|what| format!("{table} {key}: {what}")),
                    );
                }
                (Some(_), None) => found.push(format!("{table} {key} is not at Auth0")),
                (None, _) => found.push(format!("{table} {key} is not in the table")),
            }
        }
    }
    found
}

async fn key(root: &mut Session, table: &str) -> Vec<String> {
    let sql = format!(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) \
         where i.indrelid = 'auth0.\"{table}\"'::regclass and i.indisprimary order by a.attnum"
    );
    root.rows(&sql).await.iter().map(|row| row["attname"].as_str().unwrap().to_owned()).collect()
}

/// The columns that setup made: those that carry a comment.
async fn columns(root: &mut Session, table: &str) -> BTreeSet<String> {
    let sql = format!(
        "select attname from pg_attribute where attrelid = 'auth0.\"{table}\"'::regclass and attnum > 0 \
         and col_description(attrelid, attnum) is not null"
    );
    root.rows(&sql).await.iter().map(|row| row["attname"].as_str().unwrap().to_owned()).collect()
}

fn by_key(rows: &[Value], key: &[String], single: bool) -> Rows {
    let name = |row: &Value| {
        let part = |column: &String| row[column.as_str()].as_str().unwrap_or_default().to_owned();
        if single { "tenant".to_owned() } else { key.iter().map(part).collect::<Vec<_>>().join(" ") }
    };
    rows.iter().map(|row| (name(row), row.as_object().unwrap().clone())).collect()
}

fn row(
    table: &str,
    columns: &BTreeSet<String>,
    here: &Map<String, Value>,
    there: &Map<String, Value>,
) -> Vec<String> {
    let hidden = HIDDEN.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, fields)| fields);
    let is_link = table.contains('_');
    let extra = here.get("extra").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut found = Vec::new();
    let mut say = |field: &str, here: Option<&Value>, there: Option<&Value>| {
        let (here, there) = (here.and_then(plain), there.and_then(plain));
        if here != there {
            found.push(format!("{field} is {here:?}, at Auth0 {there:?}"));
        }
    };
    for column in
        columns.iter().filter(|column| *column != "extra" && !(table == "tenant" && *column == "id"))
    {
        let there = there.get(column).filter(|_| !hidden.contains(&column.as_str()));
        say(column, here.get(column).filter(|v| !v.is_null()).or_else(|| extra.get(column)), there);
    }
    for (field, value) in there.iter().filter(|(field, _)| !columns.contains(*field) && !is_link) {
        say(field, extra.get(field), Some(value));
    }
    for (field, value) in extra.iter().filter(|(field, _)| !there.contains_key(*field)) {
        say(field, Some(value), None);
    }
    found
}

/// Absent and null are the same; times are times, numbers are numbers.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Value::from(time.with_timezone(&Utc).timestamp_micros()),
            Err(_) => value.clone(),
        }),
        Value::Number(number) => number.as_f64().map(Value::from),
        Value::Array(items) => Some(items.iter().map(|item| plain(item).unwrap_or_default()).collect()),
        Value::Object(object) => {
            // Compared without order.
            let sorted: BTreeMap<_, _> =
                object.iter().map(|(k, v)| (k.clone(), plain(v).unwrap_or_default())).collect();
            Some(Value::Object(sorted.into_iter().collect()))
        }
        other => Some(other.clone()),
    }
}
