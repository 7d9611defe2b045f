//! Every column of the catalogue refuses what its constraints forbid, and takes what they allow.

use std::iter::repeat_n;

use auth0_sync::catalog::{
    Catalog, Class, Column, ColumnType, Format, JsonShape, Merge, NewKey, Resource, ResourceKind, WriteCall,
    placeholders,
};
use auth0_sync::pg::{ident, literal};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use regex::Regex;
use sqlx::{AssertSqlSafe, Executor};

use super::mirror::Mirror;
use super::support::{Postgres, Session};

/// A value as SQL writes it, and what is wrong with it.
type Bad = (String, &'static str);

/// A text that keeps every constraint of a column (of an item, of an array).
fn good_text(column: &Column) -> String {
    if let Some(first) = column.values.iter().find(|value| !value.is_empty()) {
        return first.clone();
    }
    match column.format {
        Some(Format::Email) => return "name@example.com".to_owned(),
        Some(Format::Uri | Format::UriOrEmpty | Format::HttpsUriOrEmpty) => {
            return "https://example.com/path".to_owned();
        }
        None => {}
    }
    let fits = |text: &String| {
        let length = text.chars().count();
        column.min_length.is_none_or(|least| length >= least as usize)
            && column.max_length.is_none_or(|most| length <= most as usize)
    };
    let Some(pattern) = &column.pattern else {
        return "a".repeat(column.min_length.unwrap_or(1).max(1) as usize);
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let plain = pattern.trim_start_matches('^').trim_end_matches('$');
    let strings = proptest::string::string_regex(plain).unwrap();
    let pattern = Regex::new(pattern).unwrap();
    (0..10_000)
        .map(|_| strings.new_tree(&mut runner).unwrap().current())
        .find(|text| fits(text) && pattern.is_match(text) && !text.contains('\0') && !text.is_empty())
        .unwrap_or_else(|| panic!("nothing fits {pattern} in length"))
}

/// Texts that break one constraint each.
fn bad_texts(column: &Column) -> Vec<(String, &'static str)> {
    let mut bad = Vec::new();
    if column.format.is_some() {
        bad.push(("neither this nor that".to_owned(), "format"));
    }
    if let Some(pattern) = &column.pattern {
        let pattern = Regex::new(pattern).unwrap();
        let tries = ["", " ", "<>", "no such thing", "ä", "a\nb", "!"];
        let broken = tries.into_iter().find(|text| !pattern.is_match(text));
        bad.push((broken.unwrap_or_else(|| panic!("everything matches {pattern}")).to_owned(), "pattern"));
    }
    if !column.values.is_empty() {
        bad.push(("none of them".to_owned(), "enum"));
    }
    bad.extend(column.max_length.map(|most| ("a".repeat(most as usize + 1), "max_length")));
    let least = column.min_length.filter(|least| *least > 0);
    bad.extend(least.map(|least| ("a".repeat(least as usize - 1), "min_length")));
    bad
}

fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| literal(&item)).collect();
    format!("array[{}]::text[]", items.join(", "))
}

fn objects(number: usize) -> String {
    format!("'[{}]'::jsonb", repeat_n("{}", number).collect::<Vec<_>>().join(", "))
}

fn is_object(column: &Column) -> bool {
    column.json == Some(JsonShape::Object) || column.merge != Merge::Replace
}

/// A value that a column takes.
fn good(column: &Column) -> String {
    let least = column.min_items.unwrap_or(1).max(1) as usize;
    match column.kind {
        ColumnType::Text => literal(&good_text(column)),
        ColumnType::TextArray => array(repeat_n(good_text(column), least)),
        ColumnType::Boolean => "true".to_owned(),
        ColumnType::Bigint | ColumnType::Double => {
            column.minimum.or(column.maximum).unwrap_or(1.0).to_string()
        }
        ColumnType::Timestamptz => "timestamptz '2030-01-02 03:04:05Z'".to_owned(),
        ColumnType::Jsonb if is_object(column) => "'{}'::jsonb".to_owned(),
        ColumnType::Jsonb => objects(least),
    }
}

/// Values that a column refuses.
fn bad(column: &Column) -> Vec<Bad> {
    let mut bad: Vec<Bad> = Vec::new();
    match column.kind {
        ColumnType::Boolean => {}
        ColumnType::Text => {
            bad.extend(bad_texts(column).into_iter().map(|(text, why)| (literal(&text), why)));
        }
        ColumnType::TextArray => {
            let fine = good_text(column);
            bad.extend(bad_texts(column).into_iter().map(|(text, why)| (array([fine.clone(), text]), why)));
            bad.push((format!("array[{}, null]::text[]", literal(&fine)), "NULL as an item"));
            bad.push((format!("array[[{0}], [{0}]]::text[]", literal(&fine)), "arrays in an array"));
            bad.extend(
                column.max_items.map(|most| (array(repeat_n(fine.clone(), most as usize + 1)), "max_items")),
            );
            let least = column.min_items.filter(|least| *least > 0);
            bad.extend(least.map(|least| (array(repeat_n(fine, least as usize - 1)), "min_items")));
        }
        ColumnType::Bigint | ColumnType::Double => {
            bad.extend(column.minimum.map(|least| ((least - 1.0).to_string(), "minimum")));
            bad.extend(column.maximum.map(|most| ((most + 1.0).to_string(), "maximum")));
            bad.push(match column.kind {
                ColumnType::Bigint => ("9223372036854775807".to_owned(), "more than JSON carries"),
                _ => ("'NaN'".to_owned(), "no number"),
            });
        }
        ColumnType::Timestamptz => bad.push(("'infinity'".to_owned(), "no time")),
        ColumnType::Jsonb => {
            if is_object(column) {
                bad.push(("'[]'::jsonb".to_owned(), "no object"));
            } else if column.json == Some(JsonShape::Array) {
                bad.push(("'{}'::jsonb".to_owned(), "no array"));
            }
            if let Some(most) = column.max_properties {
                let keys: Vec<_> = (0..=most).map(|n| format!("\"k{n}\": \"v\"")).collect();
                bad.push((format!("'{{{}}}'::jsonb", keys.join(", ")), "max_properties"));
            }
            bad.extend(column.max_items.map(|most| (objects(most as usize + 1), "max_items")));
            let least = column.min_items.filter(|least| *least > 0);
            bad.extend(least.map(|least| (objects(least as usize - 1), "min_items")));
        }
    }
    bad
}

/// Columns that a row must have, with values for them; as a client gives it, or as Auth0 would.
fn least_row(resource: &Resource, of_client: bool) -> Vec<(String, String)> {
    let made = match (&resource.new_key, of_client) {
        (NewKey::Server, true) => resource.key.last(),
        (NewKey::Fixed { .. } | NewKey::Client { .. }, true) => resource.key.first(),
        _ => None,
    };
    let command = resource.command.first();
    let create = resource.create.as_ref().map(|create| create.call.path.as_str());
    let paths = create.into_iter().chain(command.map(|command| command.call.path.as_str()));
    let in_path: Vec<&str> = paths.flat_map(placeholders).collect();
    let mut row = Vec::new();
    for (name, column) in resource.columns.iter().filter(|(name, _)| made != Some(*name)) {
        let when = command.and_then(|command| command.when.get(name));
        let is_key = resource.key.contains(name);
        let on_insert = column.only_on != Some(WriteCall::Update) && column.class != Class::ReadOnly;
        if let Some(value) = when {
            row.push((name.clone(), literal(value)));
        } else if is_key || (on_insert && (column.required || in_path.contains(&name.as_str()))) {
            row.push((name.clone(), good(column)));
        }
    }
    row
}

fn insert(table: &str, row: &[(String, String)]) -> String {
    if row.is_empty() {
        return format!("insert into auth0.{} default values", ident(table));
    }
    let (names, values): (Vec<_>, Vec<_>) =
        row.iter().map(|(name, value)| (ident(name), value.as_str())).unzip();
    format!("insert into auth0.{} ({}) values ({})", ident(table), names.join(", "), values.join(", "))
}

fn with(row: &[(String, String)], name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut row: Vec<_> = row.iter().filter(|(other, _)| other != name).cloned().collect();
    row.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    row
}

/// Tries statements, and keeps nothing of them.
struct Judge {
    client: Session,
    tried: usize,
    faults: Vec<String>,
}

impl Judge {
    async fn takes(&mut self, what: &str, sql: &str) {
        self.tried += 1;
        let sql = format!("begin; {sql}; rollback");
        if let Err(error) = self.client.connection.execute(AssertSqlSafe(sql)).await {
            self.faults.push(format!("{what} is refused: {error}"));
            self.client.run("rollback").await;
        }
    }

    async fn refuses(&mut self, what: &str, column: &str, sql: &str) {
        self.tried += 1;
        match self.client.connection.execute(AssertSqlSafe(format!("begin; {sql}; rollback"))).await {
            Ok(_) => self.faults.push(format!("{what} is taken: {sql}")),
            Err(error) => {
                let refusal = super::support::session::refusal(&error);
                let told = refusal.message.starts_with("[Auth0] ") && refusal.column == column;
                if !told || refusal.table.is_empty() || !refusal.code.starts_with(['2', '4']) {
                    self.faults.push(format!("{what} is refused so: {refusal:?}"));
                }
                self.client.run("rollback").await;
            }
        }
    }

    async fn on_insert(
        &mut self,
        resource: &Resource,
        name: &str,
        column: &Column,
        least: &[(String, String)],
    ) {
        let place = format!("{}.{name} on INSERT", resource.table);
        let row = |value: Option<&str>| insert(&resource.table, &with(least, name, value));
        if column.class == Class::ReadOnly || column.only_on == Some(WriteCall::Update) {
            self.refuses(&format!("{place}: a value"), name, &row(Some(&good(column)))).await;
            return;
        }
        // A key says which call is made; the other calls may want other columns.
        let chooses = resource.command.iter().any(|command| command.when.contains_key(name));
        if !chooses {
            self.takes(&format!("{place}: {}", good(column)), &row(Some(&good(column)))).await;
        }
        if column.required {
            self.refuses(&format!("{place}: none"), name, &row(None)).await;
        }
        for (value, why) in bad(column) {
            self.refuses(&format!("{place}: {why}"), name, &row(Some(&value))).await;
        }
    }

    async fn on_update(&mut self, resource: &Resource, name: &str, column: &Column) {
        let place = format!("{}.{name} on UPDATE", resource.table);
        let set =
            |value: &str| format!("update auth0.{} set {} = {value}", ident(&resource.table), ident(name));
        let fixed = resource.key.iter().any(|key| key == name)
            || matches!(column.class, Class::ReadOnly | Class::CreateOnly)
            || column.only_on == Some(WriteCall::Create);
        if fixed {
            let other = match column.kind {
                ColumnType::Text => "'another value'".to_owned(),
                _ => good(column),
            };
            self.refuses(&format!("{place}: a value"), name, &set(&other)).await;
            return;
        }
        self.takes(&format!("{place}: {}", good(column)), &set(&good(column))).await;
        if column.required && column.class == Class::Writable && column.only_on.is_none() {
            self.refuses(&format!("{place}: NULL"), name, &set("null")).await;
        }
        for (value, why) in bad(column) {
            self.refuses(&format!("{place}: {why}"), name, &set(&value)).await;
        }
    }
}

#[tokio::test]
async fn every_column_refuses_what_its_constraints_forbid_and_takes_what_they_allow() {
    let catalog = Catalog::load().unwrap();
    let mut mirror = Mirror::new(Postgres::start()).await;
    let begun = std::time::Instant::now();
    mirror.apply(&catalog).await;
    eprintln!(
        "{:?} for {} tables, and to see that nothing is missing",
        begun.elapsed(),
        catalog.iter().count()
    );
    let mut judge = Judge { client: mirror.client().await, tried: 0, faults: Vec::new() };
    for resource in catalog.iter().filter(|resource| resource.is_table()) {
        if resource.inserts() {
            let least = least_row(resource, true);
            judge
                .takes(&format!("{}: the least row", resource.table), &insert(&resource.table, &least))
                .await;
            let makes = |name: &String| {
                matches!(resource.new_key, NewKey::Client { .. } | NewKey::Fixed { .. })
                    && resource.key.contains(name)
            };
            let of_command = resource.kind == ResourceKind::Command;
            for (name, column) in resource.columns.iter().filter(|(name, _)| !makes(name)) {
                let given = resource.key.contains(name) && resource.key.last() != Some(name);
                let column = &Column {
                    required: column.required
                        || (resource.key.contains(name) && column.class != Class::ReadOnly),
                    class: if given && column.class == Class::ReadOnly {
                        Class::CreateOnly
                    } else {
                        column.class
                    },
                    ..column.clone()
                };
                if !(of_command && column.class == Class::ReadOnly && name == "error") {
                    judge.on_insert(resource, name, column, &least).await;
                }
            }
        }
        if resource.updates() {
            mirror.service.run(&insert(&resource.table, &least_row(resource, false))).await;
            for (name, column) in &resource.columns {
                judge.on_update(resource, name, column).await;
            }
        }
    }
    eprintln!("{} statements", judge.tried);
    let shown: Vec<_> = judge.faults.iter().take(60).collect();
    assert!(judge.faults.is_empty(), "{} faults: {shown:#?}", judge.faults.len());
}
