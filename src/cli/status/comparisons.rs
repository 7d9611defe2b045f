//! When tables were last compared with Auth0, when the next comparison is due, and what they found
//! that no source had told: drift.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sqlx::{PgConnection, Row};

use super::listing::ago;
use crate::catalog::Catalog;
use crate::cli::checks::count;
use crate::error::Result;
use crate::ingest::is_compared;
use crate::pg::fault;

/// What may have been missed of a row.
const CHANGES: [&str; 3] = ["inserted", "updated", "deleted"];

/// `{"tables": n, "compared": n, "last_seconds": s, "next_seconds": s, "asked": n, "under_way": [table],
/// "errors": {table: why}}`; `next_seconds` is none where tables are only compared when asked, and
/// below zero where one is due.
pub(super) async fn read(
    connection: &mut PgConnection,
    schema: &str,
    catalog: &Catalog,
    every: Option<Duration>,
) -> Result<Value> {
    let compared = catalog.iter().filter(|resource| is_compared(resource));
    let tables: Vec<&str> = compared.map(|resource| resource.table.as_str()).collect();
    let row = sqlx::query(include_str!("../sql/sweeps.sql"))
        .bind(schema)
        .bind(tables)
        .fetch_one(connection)
        .await
        .map_err(fault("cannot read when tables were compared"))?;
    let oldest: Option<f64> = row.get("oldest_seconds");
    Ok(json!({
        "tables": row.get::<i64, _>("tables"),
        "compared": row.get::<i64, _>("compared"),
        "last_seconds": row.get::<Option<f64>, _>("last_seconds"),
        "next_seconds": every.zip(oldest).map(|(every, oldest)| every.as_secs_f64() - oldest),
        "asked": row.get::<i64, _>("asked"),
        "under_way": row.get::<Vec<String>, _>("under_way"),
        "errors": row.get::<Value, _>("errors"),
    }))
}

/// `{table: {source: {"inserted": n, "updated": n, "deleted": n, "last_found_seconds": s}}}`, the
/// sources that should have told joined by `+`.
pub(super) async fn drift(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let rows = sqlx::query(include_str!("../sql/drift.sql"))
        .bind(schema)
        .fetch_all(connection)
        .await
        .map_err(fault("cannot read the drift"))?;
    let mut tables = Map::new();
    for row in &rows {
        let (table, source): (String, String) = (row.get("table"), row.get("source"));
        let of_table = tables.entry(table).or_insert_with(|| json!({}));
        of_table[source] = json!({
            "inserted": row.get::<i64, _>("inserted"),
            "updated": row.get::<i64, _>("updated"),
            "deleted": row.get::<i64, _>("deleted"),
            "last_found_seconds": row.get::<f64, _>("seconds"),
        });
    }
    Ok(Value::Object(tables))
}

/// Both as people read them.
pub(super) fn listing(text: &mut String, sweep: &Value, drift: &Value) {
    let number = |name: &str| sweep[name].as_i64().unwrap_or(0);
    let last = sweep["last_seconds"].as_f64();
    let last = last.map(|seconds| format!(", the last one {} ago", ago(seconds))).unwrap_or_default();
    let next = match sweep["next_seconds"].as_f64() {
        _ if number("asked") > 0 => format!("{} asked for", number("asked")),
        Some(seconds) if seconds > 0.0 => format!("the next is due in {}", ago(seconds)),
        Some(_) => "the next is due".to_owned(),
        None => "only when asked".to_owned(),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "compared   {} of {} tables{last}; {next}", number("compared"), number("tables"));
    for table in sweep["under_way"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "  under way: {table}");
    }
    for (table, error) in sweep["errors"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "  not whole: {table}: {}", error.as_str().unwrap_or_default());
    }
    let found = |table: &Value| -> Vec<(String, Value)> {
        let sources = table.as_object().into_iter().flatten();
        sources.map(|(source, counts)| (source.clone(), counts.clone())).collect()
    };
    let tables: Vec<_> = drift.as_object().into_iter().flatten().collect();
    if tables.is_empty() {
        let _ = writeln!(text, "drift      none");
        return;
    }
    let of = |counts: &Value, name: &str| counts[name].as_u64().unwrap_or(0);
    let all = tables.iter().flat_map(|(_, table)| found(table));
    let all: u64 = all.map(|(_, counts)| CHANGES.iter().map(|name| of(&counts, name)).sum::<u64>()).sum();
    let (rows, in_tables) = (count(all as usize, "row"), count(tables.len(), "table"));
    let _ = writeln!(text, "drift      {rows} in {in_tables} that only a comparison has found");
    for (name, table) in tables {
        for (source, counts) in found(table) {
            let [inserted, updated, deleted] = CHANGES.map(|name| of(&counts, name));
            let missed = match source.as_str() {
                "none" => "Auth0 tells of such changes nowhere".to_owned(),
                source => format!("missed by {}", source.replace('+', ", ")),
            };
            let last = ago(counts["last_found_seconds"].as_f64().unwrap_or_default());
            let _ = writeln!(
                text,
                "  {name}: {inserted} inserted, {updated} changed, {deleted} deleted, the last {last} ago; {missed}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sweep: &Value, drift: &Value) -> String {
        let mut text = String::new();
        listing(&mut text, sweep, drift);
        text
    }

    #[test]
    fn the_listing_says_when_tables_are_compared() {
        let mut sweep = json!({"tables": 8, "compared": 8, "last_seconds": 7300.0, "next_seconds": 79_000.0,
            "asked": 0, "under_way": [], "errors": {}});
        assert_eq!(
            told(&sweep, &json!({})),
            "compared   8 of 8 tables, the last one 2 h ago; the next is due in 21 h\ndrift      none\n"
        );
        sweep["next_seconds"] = json!(-3.0);
        assert!(told(&sweep, &json!({})).contains("; the next is due\n"));
        sweep["next_seconds"] = Value::Null;
        assert!(told(&sweep, &json!({})).contains("; only when asked\n"));
        sweep["asked"] = json!(2);
        sweep["under_way"] = json!(["user"]);
        sweep["errors"] = json!({"role": "403 Insufficient scope"});
        let text = told(&sweep, &json!({}));
        assert!(
            text.contains("; 2 asked for\n  under way: user\n  not whole: role: 403 Insufficient scope\n"),
            "{text}"
        );
    }

    #[test]
    fn drift_is_told_by_table_with_the_sources_that_missed_it() {
        let found = |inserted, updated| json!({"inserted": inserted, "updated": updated, "deleted": 0, "last_found_seconds": 90.0});
        let drift = json!({"role": {"logs+events": found(1, 2)}, "user_block": {"none": found(3, 0)}});
        let text = told(&json!({}), &drift);
        for line in [
            "drift      6 rows in 2 tables that only a comparison has found\n",
            "  role: 1 inserted, 2 changed, 0 deleted, the last 90 s ago; missed by logs, events\n",
            "  user_block: 3 inserted, 0 changed, 0 deleted, the last 90 s ago; Auth0 tells of such changes nowhere\n",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
    }
}
