//! Which layer may use which, and the imports that break it.

use regex::Regex;

use crate::source::Source;

const CORE: &[&str] = &["catalog", "error", "ledger", "retry", "telemetry"];
const SERVICES: &[&str] = &["auth0", "wal", "pg", "catalog", "error", "ledger", "retry", "telemetry"];
const ABOVE_SERVICES: &[&str] = &[
    "status",
    "ingest",
    "writeback",
    "auth0",
    "wal",
    "pg",
    "catalog",
    "error",
    "ledger",
    "retry",
    "telemetry",
];

/// Layers and what each may use; the same as in the comment of `src/lib.rs`.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "app",
            "emulator",
            "status",
            "ingest",
            "writeback",
            "auth0",
            "wal",
            "pg",
            "catalog",
            "error",
            "ledger",
            "retry",
            "telemetry",
        ],
    ),
    ("app", ABOVE_SERVICES),
    ("status", SERVICES),
    ("ingest", SERVICES),
    ("writeback", SERVICES),
    ("auth0", CORE),
    ("wal", CORE),
    ("pg", CORE),
    // It shares the catalogue with the service and no other code.
    ("emulator", CORE),
    ("catalog", &["error", "telemetry"]),
    ("error", &[]),
    ("ledger", &[]),
    ("retry", &[]),
    ("telemetry", &[]),
];

/// Names that `src/lib.rs` re-exports.
const FROM_ERROR: &[&str] = &["Error", "Kind", "Result"];

/// Sentences `file:line: layer must not use …` for one file below `src/`.
pub(crate) fn forbidden(file: &str, source: &Source) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap().trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = path.split('/').collect();
    if matches!(module[..], ["lib"]) {
        return Vec::new();
    }
    let allowed: &[&str] = match LAYERS.iter().find(|(layer, _)| *layer == module[0]) {
        Some((_, allowed)) => allowed,
        None if module[0] == "main" => &["cli"],
        None => return vec![format!("{file}: {} is no layer", module[0])],
    };
    let mut found = Vec::new();
    for (offset, used) in uses(&module, source) {
        let layer = if FROM_ERROR.contains(&used.as_str()) { "error" } else { used.as_str() };
        if layer != module[0] && !allowed.contains(&layer) {
            found.push(format!("{file}:{}: {} must not use {used}", source.line(offset), module[0]));
        }
    }
    found
}

/// What a module names below the crate's root: offset and first segment.
fn uses(module: &[&str], source: &Source) -> Vec<(usize, String)> {
    let root = Regex::new(r"\b(?:(crate|auth0_sync)|((?:super\s*::\s*)*super))\s*::\s*(?:(\w+)|\{)").unwrap();
    let mut found = Vec::new();
    for path in root.captures_iter(&source.code) {
        let whole = path.get(0).unwrap();
        if let Some(supers) = path.get(2) {
            let depth = module.len() + source.modules(whole.start()).len();
            if supers.as_str().matches("super").count() < depth {
                continue;
            }
        }
        match path.get(3) {
            Some(name) if name.as_str() == "super" => {}
            Some(name) => found.push((whole.start(), name.as_str().to_owned())),
            None => found.extend(first_segments(&source.code, whole.end())),
        }
    }
    found
}

/// The first segments of a braced list of imports that opens before `from`.
fn first_segments(code: &str, from: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut depth, mut fresh) = (1, true);
    let mut at = from;
    while depth > 0 && at < code.len() {
        let rest = &code[at..];
        let next = rest.chars().next().unwrap();
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            _ if fresh && depth == 1 && (next.is_alphabetic() || next == '_') => {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push((at, name));
                fresh = false;
            }
            _ => {}
        }
        at += next.len_utf8();
    }
    found
}

#[test]
fn an_import_to_the_left_is_named_with_its_line() {
    let check = |file: &str, text: &str| forbidden(file, &Source::read(text));
    assert_eq!(
        check("src/pg/apply.rs", "\nuse crate::writeback::Lane;"),
        ["src/pg/apply.rs:2: pg must not use writeback"]
    );
    assert_eq!(
        check("src/pg/mod.rs", "use super::auth0::Client;"),
        ["src/pg/mod.rs:1: pg must not use auth0"]
    );
    assert_eq!(
        check("src/pg/apply.rs", "use crate::{\n  Error, catalog::{self, Class},\n  app::{pg::X}};"),
        ["src/pg/apply.rs:3: pg must not use app"]
    );
    assert_eq!(
        check("src/pg/apply.rs", "fn f() { super::super::ingest::go() }"),
        ["src/pg/apply.rs:1: pg must not use ingest"]
    );
    assert_eq!(check("src/ingest/mod.rs", "use crate::writeback::X;").len(), 1);
    assert_eq!(check("src/emulator/mod.rs", "use crate::auth0::X;").len(), 1);
    assert_eq!(check("src/main.rs", "fn main() { auth0_sync::app::run() }").len(), 1);
    assert_eq!(check("src/odd.rs", ""), ["src/odd.rs: odd is no layer"]);
}

#[test]
fn imports_to_the_right_and_within_the_layer_pass() {
    let check = |file: &str, text: &str| forbidden(file, &Source::read(text));
    let within =
        "use super::lanes::Lane; use crate::pg::X; // crate::cli\n\"crate::cli\"; use crate::{Kind, Result};";
    assert_eq!(check("src/pg/apply.rs", within), [""; 0]);
    assert_eq!(check("src/pg/mod.rs", "mod tests { use super::writeback; }"), [""; 0]);
    assert_eq!(check("src/cli/dev/mod.rs", "use super::super::app::App;"), [""; 0]);
    assert_eq!(check("src/main.rs", "fn main() { auth0_sync::cli::main() }"), [""; 0]);
}
