//! The status as people read it: 150 tables in a few lines, those with something to say one by one.

use std::fmt::Write as _;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::{budget, comparisons, sources};
use crate::cli::checks::slot::bytes;
use crate::cli::filling::Filling;

/// Characters of a line.
const WIDTH: usize = 100;
/// How the states of filling are told, in this order.
const STATES: [(&str, &str); 7] = [
    ("unavailable", "not shown by Auth0"),
    ("failed", "failed"),
    ("waiting", "waiting"),
    ("running", "being filled"),
    ("skipped", "left unfilled"),
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
    if let Some(seconds) = status["paused"]["seconds"].as_f64() {
        let reason = status["paused"]["reason"].as_str();
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(text, "           paused {} ago{reason}; `auth0-sync resume` ends it", ago(seconds));
    }
    if let Some(oldest) = status["strict"]["oldest_seconds"].as_f64() {
        let open = &status["strict"]["open"];
        let _ = writeln!(text, "strict     {open} undecided; the oldest is {oldest:.1} s old");
    }
    let slot = &status["slot"];
    let _ = if slot["exists"] == json!(true) {
        let active = if slot["active"] == json!(true) { "active" } else { "not read by anybody" };
        let (lag, kept) = (size(&slot["lag_bytes"]), size(&slot["retained_bytes"]));
        writeln!(text, "slot       {}: {active}, {lag} behind, {kept} of WAL kept", word(&slot["name"]))
    } else {
        writeln!(text, "slot       {}: does not exist", word(&slot["name"]))
    };
    let service = &status["service"];
    sources::listing(&mut text, &status["sources"], service, &status["webhook"], Utc::now());
    comparisons::listing(&mut text, &status["sweep"], &status["drift"]);
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
    for blocked in service["writes"]["blocked"].as_array().into_iter().flatten() {
        let (operation, table) = (word(&blocked["operation"]), word(&blocked["table"]));
        let (kind, hint) = (word(&blocked["kind"]), word(&blocked["hint"]));
        let _ = writeln!(text, "           {operation} of {table} waits: {kind}. {hint}");
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
    if let Some(expected) = expected(tables) {
        let _ = writeln!(text, "           {expected}");
    }
    for (told, of) in groups {
        let (noted, plain): (Vec<_>, Vec<_>) =
            of.into_iter().partition(|(_, table)| table["error"].is_string());
        // Those under way, each with how far it is.
        let (under_way, plain): (Vec<_>, Vec<_>) =
            plain.into_iter().partition(|(_, table)| table["backfill"] == json!("running"));
        for (name, table) in under_way {
            let filling = filling(table).map(|filling| filling.told()).unwrap_or_default();
            let _ = writeln!(text, "  {told}: {name} {filling}");
        }
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

/// How far a table's filling is; none where it waits for none.
fn filling(table: &Value) -> Option<Filling> {
    serde_json::from_value(table.get("filling")?.clone()).ok()
}

/// What the tables that wait are expected to take; none where nothing is expected.
fn expected(tables: &Map<String, Value>) -> Option<String> {
    let calls: i64 = tables.values().filter_map(filling).map(|filling| filling.calls_left()).sum();
    (calls > 0).then(|| format!("to be filled with at least {calls} more calls"))
}

/// A time that has passed, or is still to pass, to the number that people would say.
pub(super) fn ago(seconds: f64) -> String {
    match seconds.max(0.0) {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", (seconds / 3_600.0).floor()),
        seconds => format!("{:.0} days", (seconds / 86_400.0).floor()),
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
            "strict": {"open": 3, "oldest_seconds": 0.5},
            "paused": {"seconds": 30.0, "reason": "a migration"},
            "service": {"running": true, "ready": true, "streaming": true, "held": 2, "in_flight": 0,
                "waiting_for": "auth0_unreachable", "hint": "Look.", "writes": {"state": "blocked", "blocked": [
                    {"table": "t", "operation": "UPDATE", "kind": "auth0_scope", "hint": "Grant it."}]}},
        });
        let text = listing(&status);
        for part in [
            "tables     1: 1 filled\n  filled: t 3\n",
            "2 pending; the oldest is 1.2 s old",
            "10 bytes behind",
            "2.0 kB of WAL kept",
            "strict     3 undecided; the oldest is 0.5 s old",
            "read up to 9, 2 s ago",
            "writes wait: auth0_unreachable. Look.",
            "paused 30 s ago: a migration; ",
            "UPDATE of t waits: auth0_scope. Grant it.",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }

    #[test]
    fn a_table_under_way_says_how_far_it_is() {
        let under_way = json!({"rows": 450, "exact": true, "backfill": "running", "error": null, "filling": {
            "method": "search", "rows": 450, "rows_expected": 1000, "calls": 5, "calls_expected": 10, "seconds": 5.0}});
        let waits = json!({"rows": 0, "exact": true, "backfill": "waiting", "error": null,
            "filling": {"method": "list", "rows": 0, "rows_expected": null, "calls": 0, "calls_expected": 40, "seconds": null}});
        let tables = Map::from_iter([("a".to_owned(), under_way), ("b".to_owned(), waits)]);
        let mut text = String::new();
        super::tables(&mut text, &tables);
        for part in [
            "to be filled with at least 45 more calls\n",
            "being filled: a 45 % (450 of 1000 rows, 90 rows/s, 5 of 10 calls, by search)\n",
            "waiting, empty: b\n",
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
