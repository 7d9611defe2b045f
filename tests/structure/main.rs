//! Rules of the code that the compiler does not hold: the layers, the size of files, where Auth0's
//! things may be named, and how SQL and tests are written.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

mod layers;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use auth0_sync::catalog::Catalog;
use regex::Regex;
use source::Source;

const MAX_LINES: usize = 500;

/// Files and folders outside the catalogue that may name a resource, and why.
const MAY_NAME_A_RESOURCE: &[(&str, &str)] = &[
    ("src/emulator/quirks/", "rules of one resource that Auth0 makes and no data file can say"),
    ("src/emulator/logs.rs", "`user` is a key of a tenant log's entry"),
];

/// Tables whose names are words of their own: a folder of logs, the format of an address.
const WORDS: &[&str] = &["email", "log", "tenant"];

/// Where SQL has several statements: a migration is a script, a template of DDL makes several objects.
const SCRIPTS: &[&str] = &["migrations/", "src/pg/ddl/"];

/// Where tests wait with a deadline for what cannot wake them.
const WAITS: &str = "tests/support/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folders` with this extension, sorted, by paths relative to the root.
fn files(folders: &[&str], extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = rest.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                rest.push(path);
            } else if path.extension().is_some_and(|actual| actual == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<String> {
    files(&["src", "tests", "benches"], "rs")
}

/// Whether a whole file is tests: below `tests/`, or a module's tests in a file of their own.
fn is_tests(file: &str) -> bool {
    file.starts_with("tests/") || file.ends_with("_tests.rs") || file.ends_with("/tests.rs")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn every_layer_uses_only_what_stands_to_its_right() {
    let found: Vec<_> = files(&["src"], "rs")
        .iter()
        .flat_map(|file| layers::forbidden(file, &Source::read(&read(file))))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_has_more_than_500_lines() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Names of resources, as tables or as paths, among the text literals of a file's code proper.
fn named_resources<'a>(source: &'a Source, catalog: &Catalog) -> Vec<(usize, &'a str)> {
    let roots: Vec<String> = catalog
        .iter()
        .flat_map(|resource| {
            resource.list.iter().map(|list| &list.path).chain(resource.get.iter().map(|get| &get.path))
        })
        .filter_map(|path| Some(format!("/{}", path.split('/').nth(1)?)))
        .collect();
    let names_one = |text: &str| {
        (catalog.get(text).is_some() && !WORDS.contains(&text))
            || roots.iter().any(|root| {
                text.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    };
    let outside_tests =
        source.literals.iter().filter(|literal| !literal.in_tests && names_one(&literal.text));
    outside_tests.map(|literal| (literal.line, literal.text.as_str())).collect()
}

#[test]
fn no_resource_is_named_in_code_outside_the_catalogue() {
    let catalog = Catalog::bundled().unwrap();
    let mut found = Vec::new();
    let mut used = Vec::new();
    for file in
        files(&["src"], "rs").iter().filter(|file| !file.starts_with("src/catalog/") && !is_tests(file))
    {
        let source = Source::read(&read(file));
        let named = named_resources(&source, &catalog);
        if named.is_empty() {
            continue;
        }
        match MAY_NAME_A_RESOURCE.iter().find(|(allowed, _)| file.starts_with(allowed)) {
            Some((allowed, _)) => used.push(*allowed),
            None => found.extend(named.iter().map(|(line, text)| format!("{file}:{line}: names {text:?}"))),
        }
    }
    for (place, reason) in MAY_NAME_A_RESOURCE {
        if root().join(place).exists() && !used.contains(place) {
            found.push(format!("{place} names no resource any more; its exception goes ({reason})"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What is wrong with a `.sql` file.
fn faults_of_sql(text: &str, script: bool) -> Vec<String> {
    let noise =
        Regex::new(r#"(?s)--[^\n]*|/\*.*?\*/|\$([A-Za-z_]*)\$.*?\$[A-Za-z_]*\$|'(?:[^']|'')*'|"[^"]*""#)
            .unwrap();
    let code = noise.replace_all(text, " ");
    let mut faults = Vec::new();
    let keyword = Regex::new(
        r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|CREATE|ALTER|DROP|TABLE|WITH|AND|OR|NOT|NULL|ON|SET|INTO|VALUES|RETURNING|ORDER|GROUP|BY|LIMIT|JOIN|AS|IS|IN)\b",
    )
    .unwrap();
    faults.extend(keyword.find(&code).map(|found| format!("{} is not in lower case", found.as_str())));
    let statements = code.split(';').filter(|statement| !statement.trim().is_empty()).count();
    if statements > 1 && !script {
        faults.push(format!("{statements} statements"));
    }
    faults
}

#[test]
fn sql_is_in_lower_case_and_one_statement_a_file() {
    let mut found = Vec::new();
    for file in files(&["src", "migrations", "tests"], "sql") {
        let script = SCRIPTS.iter().any(|folder| file.starts_with(folder));
        found.extend(faults_of_sql(&read(&file), script).into_iter().map(|fault| format!("{file}: {fault}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Leftovers and habits that have no place in the code: `(line, what)`.
fn leftovers(source: &Source, test_file: bool) -> Vec<(usize, String)> {
    let anywhere = Regex::new(r"\b(todo|unimplemented|dbg)!").unwrap();
    let in_tests = Regex::new(r"\bsleep\s*\(|#\[ignore").unwrap();
    let everywhere = anywhere.find_iter(&source.code);
    let only_tests =
        in_tests.find_iter(&source.code).filter(|found| test_file || source.in_tests(found.start()));
    everywhere
        .chain(only_tests)
        .map(|found| (source.line(found.start()), found.as_str().to_owned()))
        .collect()
}

#[test]
fn nothing_is_left_to_do_and_no_test_sleeps_or_is_ignored() {
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|file| !file.starts_with(WAITS)) {
        let source = Source::read(&read(file));
        let left = leftovers(&source, is_tests(file));
        found.extend(left.into_iter().map(|(line, what)| format!("{file}:{line}: {what}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_rules_find_what_breaks_them() {
    let catalog = Catalog::bundled().unwrap();
    let source = Source::read(
        "// \"user\" in a comment\nfn f() { get(\"/users/1\", \"user_role\", \"/users-by-email\", r#\"role\"#); todo!() }\n\
         #[cfg(test)]\nmod tests { fn g() { get(\"user\"); sleep(1); } }\nfn h() { sleep(2); put('\"', \"organization\") }",
    );
    let named: Vec<_> = named_resources(&source, &catalog);
    assert_eq!(named, [(2, "/users/1"), (2, "user_role"), (2, "role"), (5, "organization")]);
    assert_eq!(leftovers(&source, false), [(2, "todo!".to_owned()), (4, "sleep(".to_owned())]);

    assert_eq!(faults_of_sql("SELECT 1", false), ["SELECT is not in lower case"]);
    assert_eq!(faults_of_sql("select 'SELECT;'; -- DROP;\n", false), [""; 0]);
    assert_eq!(faults_of_sql("select 1; select 2;", false), ["2 statements"]);
    assert_eq!(faults_of_sql("select 1; select 2;", true), [""; 0]);
}
