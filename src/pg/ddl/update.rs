//! Judgement of an UPDATE. A trigger for each row, and a long WHEN, cost more than all the rest of a large
//! statement and of a small one: where nothing but a refusal is due, the statement's capture looks at all rows
//! at once, and refuses one that is wrong in the words that the trigger of a row has.

use super::valid::broken;
use super::{Access, Function, Site};
use crate::catalog::{Class, Column, ColumnType, Resource, WriteCall};
use crate::pg::ident::{ident, literal};
use crate::pg::mirror::PROVISIONAL;

/// The name of a table's refusing function.
pub(super) fn refuse_name(table: &str) -> String {
    format!("_{table}_refuse")
}

/// Whether a change of the column is judged before the row is stored: its key finds the row afterwards, and
/// of what hides secrets they are taken out.
fn comes_first(resource: &Resource, name: &str, column: &Column) -> bool {
    column.class == Class::WriteOnly || column.hides_parts() || resource.key.iter().any(|key| key == name)
}

/// The WHEN condition of the row's trigger: something is to be stored otherwise than the client has written
/// it, or the row could not be found again.
pub(super) fn stored_otherwise(resource: &Resource) -> String {
    let mut conditions = Vec::new();
    let (mut write_only, mut json) = (Vec::new(), Vec::new());
    for (name, column) in &resource.columns {
        let new = format!("new.{}", ident(name));
        let is_key = resource.key.iter().any(|key| key == name);
        if is_key || column.hides_parts() {
            conditions.push(format!("old.{} is distinct from {new}", ident(name)));
        } else if column.class == Class::WriteOnly {
            write_only.push(new);
        } else if column.class == Class::Writable && column.kind == ColumnType::Jsonb {
            json.push(new);
        }
    }
    if !write_only.is_empty() {
        conditions.push(format!("num_nonnulls({}) > 0", write_only.join(", ")));
    }
    if !json.is_empty() {
        conditions.push(format!("'null'::jsonb in ({})", json.join(", ")));
    }
    let free = |name: &String| {
        !resource.key.contains(name)
            && resource.columns.get(name).is_some_and(|column| column.class == Class::Writable)
    };
    let given = references(resource).filter(|(name, _)| free(name));
    conditions.extend(given.map(|(name, _)| format!("new.{} ^@ '{PROVISIONAL}'", ident(name))));
    conditions.join(" or ")
}

/// Columns that may hold a provisional key, each with the table whose key that is.
pub(super) fn references(resource: &Resource) -> impl Iterator<Item = (&String, &String)> {
    let single =
        resource.columns.iter().filter_map(|(name, column)| Some((name, column.references.as_ref()?)));
    let whole = resource.depends.iter().filter_map(|(table, columns)| Some((columns.last()?, table)));
    single
        .chain(whole)
        .filter(|(name, _)| resource.columns.get(*name).is_some_and(|column| column.kind == ColumnType::Text))
}

/// The SQL condition that the UPDATE from row `o` to row `n` is to be refused; none where none is.
pub(super) fn wrong(resource: &Resource, hidden: &[&str]) -> Option<String> {
    let changed = |name: &str| format!("o.{0} is distinct from n.{0}", ident(name));
    let mut conditions = Vec::new();
    for (name, column) in &resource.columns {
        if comes_first(resource, name, column) {
            continue;
        }
        let fixed = matches!(column.class, Class::ReadOnly | Class::CreateOnly)
            || column.only_on == Some(WriteCall::Create);
        if fixed {
            conditions.push(changed(name));
        } else {
            conditions.extend(broken(resource, name, column, ["o", "n"]));
        }
    }
    for name in ["extra"].iter().chain(hidden) {
        conditions.push(format!("{} and n.{} is not null", changed(name), ident(name)));
    }
    (!conditions.is_empty()).then(|| conditions.join(" or "))
}

/// The setting that carries a wrong row out of the statement that captures it. Raised in there, the error would
/// show its client that statement.
const WRONG: &str = "auth0.wrong_row";

/// An expression that is NULL and notes the change from row `o` to row `n` where it is wrong.
pub(super) fn noted(resource: &Resource, hidden: &[&str]) -> Option<String> {
    let wrong = wrong(resource, hidden)?;
    Some(format!(
        "case when {wrong} then nullif(left(set_config('{WRONG}', jsonb_build_array(to_jsonb(o), to_jsonb(n))::text, true), 0), '') end"
    ))
}

/// The statements that refuse what was noted.
pub(super) fn refused(site: &Site<'_>, resource: &Resource) -> String {
    let refuse = site.name(&refuse_name(&resource.table));
    let noted = format!("current_setting('{WRONG}', true)");
    format!(
        "        if {noted} <> '' then\n            noted := {refuse}({noted}::jsonb);\n        end if;\n"
    )
}

/// The function that says what is wrong with an UPDATE: `refusals` in the words of the row's trigger. It gets
/// both rows as JSON, for rows of a transition table have no type of their own.
pub(super) fn refuse(site: &Site<'_>, resource: &Resource, hidden: &[&str], refusals: &str) -> Function {
    let name = refuse_name(&resource.table);
    let table = site.name(&resource.table);
    let ours = resource.columns.keys().map(String::as_str).chain(["extra"]).chain(hidden.iter().copied());
    let ours = ours.map(literal).collect::<Vec<_>>().join(", ");
    // Columns of a user's own may be of types that do not come back from JSON.
    let row = |row: &str| {
        format!(
            "{table} := jsonb_populate_record(null::{table}, (select jsonb_object_agg(e.key, e.value) \
             from jsonb_each({row}) e where e.key in ({ours})))"
        )
    };
    let sql = format!(
        "create or replace function {}(rows jsonb) returns text\nlanguage plpgsql\n\
         set search_path = pg_catalog, pg_temp\nas $body$\ndeclare\n    tg_op constant text := 'UPDATE';\n    \
         old {};\n    new {};\nbegin\n{refusals}    \
         raise exception using errcode = 'XX000', message = {};\nend\n$body$",
        site.name(&name),
        row("rows -> 0"),
        row("rows -> 1"),
        literal(&format!("[Auth0] an UPDATE of {}.{} is wrong", site.schema, resource.table)),
    );
    Function { name, sql, access: Access::Nobody }
}
