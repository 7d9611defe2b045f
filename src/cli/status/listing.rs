//! The status as people read it: 150 tables in a few lines, those with something to say one by one.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::budget;
use crate::cli::checks::slot::bytes;

/// Characters of a line.
const WIDTH: usize = 100;
/// How the states of filling are told, in this order.
const STATES: [(&str, &str); 6] = [
    ("unavailable", "not shown by Auth0"),
    ("failed", "failed"),
    ("waiting", "waiting"),
    ("running", "being filled"),
    ("done", "filled"),
    ("", "of clients"),
];

/// The status as people read it.
pub(super) fn listing(status: &Value) -> String {
    let mut text = String::new();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let size = |value: &Value| value.as_i64().map_or("unknown".to_owned(), bytes);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} in schema {}\n", word(&status["domain"]), word(&status["schema"]));
    tables(&mut text, status["tables"].as_object().unwrap_or(&Map::new()));
    let mutations = &status["mutations"];
    let states: Vec<String> = mutations["unsettled"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(state, number)| format!("{number} {state}"))
        .collect();
    let _ = match mutations["oldest_seconds"].as_f64() {
        Some(oldest) => writeln!(text, "\nmutations  {}; the oldest is {oldest:.1} s old", states.join(", ")),
        None => writeln!(text, "\nmutations  all settled"),
    };
    let slot = &status["slot"];
    let _ = if slot["exists"] == json!(true) {
        let active = if slot["active"] == json!(true) { "active" } else { "not read by anybody" };
        let (lag, kept) = (size(&slot["lag_bytes"]), size(&slot["retained_bytes"]));
        writeln!(text, "slot       {}: {active}, {lag} behind, {kept} of WAL kept", word(&slot["name"]))
    } else {
        writeln!(text, "slot       {}: does not exist", word(&slot["name"]))
    };
    for (source, about) in status["sources"].as_object().into_iter().flatten() {
        let age = about["age_seconds"].as_f64().unwrap_or_default();
        let position = about["position"].as_str().filter(|text| !text.is_empty()).unwrap_or("its beginning");
        let _ = writeln!(text, "{source:<9}  read up to {}, {age:.0} s ago", position);
    }
    let service = &status["service"];
    let _ = if service["running"] == json!(true) {
        let ready = if service["ready"] == json!(true) { "ready" } else { "not ready yet" };
        let stream = if service["streaming"] == json!(true) { "streaming" } else { "not streaming" };
        writeln!(
            text,
            "service    {ready}, {stream}, {} held, {} on their way",
            service["held"], service["in_flight"]
        )
    } else {
        writeln!(text, "service    {}", word(&service["error"]))
    };
    if let Some(waiting) = service["waiting_for"].as_str() {
        let _ = writeln!(text, "           writes wait: {waiting}. {}", word(&service["hint"]));
    }
    budget::listing(&mut text, &service["budget"], &status["calls"]);
    text
}

/// Tables by the state of their filling; those with a message have a line of their own.
fn tables(text: &mut String, tables: &Map<String, Value>) {
    let state = |table: &Value| table["backfill"].as_str().unwrap_or_default().to_owned();
    let groups = STATES.iter().map(|(name, told)| {
        let of = tables.iter().filter(|(_, table)| state(table) == *name);
        (*told, of.collect::<Vec<_>>())
    });
    let groups: Vec<_> = groups.filter(|(_, of)| !of.is_empty()).collect();
    let counts: Vec<_> = groups.iter().map(|(told, of)| format!("{} {told}", of.len())).collect();
    let _ = writeln!(text, "tables     {}: {}", tables.len(), counts.join(", "));
    for (told, of) in groups {
        let (noted, plain): (Vec<_>, Vec<_>) =
            of.into_iter().partition(|(_, table)| table["error"].is_string());
        let (empty, full): (Vec<_>, Vec<_>) =
            plain.into_iter().partition(|(_, table)| table["rows"] == json!(0));
        let full = full.iter().map(|(name, table)| format!("{name} {}", rows(table)));
        wrapped(text, told, full.collect());
        wrapped(text, &format!("{told}, empty"), empty.iter().map(|(name, _)| name.to_string()).collect());
        for (name, table) in noted {
            let _ = writeln!(
                text,
                "  {told}: {name} ({}): {}",
                rows(table),
                table["error"].as_str().unwrap_or_default()
            );
        }
    }
}

fn rows(table: &Value) -> String {
    let about = if table["exact"] == json!(true) { "" } else { "~" };
    format!("{about}{}", table["rows"])
}

/// Words in lines of at most [`WIDTH`] characters.
fn wrapped(text: &mut String, head: &str, words: Vec<String>) {
    if words.is_empty() {
        return;
    }
    let mut line = format!("  {head}:");
    let last = words.len() - 1;
    for (n, word) in words.into_iter().enumerate() {
        let comma = if n == last { "" } else { "," };
        if line.chars().count() + word.chars().count() + 2 > WIDTH {
            let _ = writeln!(text, "{line}");
            line = "   ".to_owned();
        }
        let _ = write!(line, " {word}{comma}");
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_says_what_writes_wait_for() {
        let status = json!({
            "schema": "auth0", "domain": "acme.auth0.com",
            "tables": {"t": {"rows": 3, "exact": true, "backfill": "done", "error": null}},
            "mutations": {"unsettled": {"pending": 2}, "oldest_seconds": 1.25},
            "slot": {"name": "s", "exists": true, "active": true, "lag_bytes": 10, "retained_bytes": 2048},
            "sources": {"logs": {"position": "9", "age_seconds": 2.0}},
            "service": {"running": true, "ready": true, "streaming": true, "held": 2, "in_flight": 0,
                "waiting_for": "auth0_unreachable", "hint": "Look."},
        });
        let text = listing(&status);
        for part in [
            "tables     1: 1 filled\n  filled: t 3\n",
            "2 pending; the oldest is 1.2 s old",
            "10 bytes behind",
            "2.0 kB of WAL kept",
            "read up to 9, 2 s ago",
            "writes wait: auth0_unreachable. Look.",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }

    #[test]
    fn a_whole_catalogue_stays_short_and_says_what_auth0_refuses() {
        let mut tables = Map::new();
        for n in 0..150 {
            let filled = json!({"rows": n % 3, "exact": n % 2 == 0, "backfill": "done", "error": null});
            tables.insert(format!("a_table_with_a_name_{n}"), filled);
        }
        let refused =
            json!({"rows": 0, "exact": true, "backfill": "unavailable", "error": "403 Insufficient scope"});
        tables.insert("vault".into(), refused);
        tables.insert("order".into(), json!({"rows": 4, "exact": true, "backfill": null, "error": null}));
        let mut text = String::new();
        super::tables(&mut text, &tables);
        assert!(
            text.starts_with("tables     152: 1 not shown by Auth0, 150 filled, 1 of clients\n"),
            "{text}"
        );
        assert!(text.contains("  not shown by Auth0: vault (0): 403 Insufficient scope\n"), "{text}");
        assert!(
            text.contains("  of clients: order 4\n") && text.contains("a_table_with_a_name_1 ~1,"),
            "{text}"
        );
        assert!(text.lines().count() < 60 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let named = tables.keys().filter(|name| text.contains(name.as_str())).count();
        assert_eq!(named, 152);
    }
}
