//! Judgement of an UPDATE. A trigger for each row, and a long WHEN, cost more than all the rest of a large
//! statement and of a small one: where nothing but a refusal is due, the statement's capture looks at all rows
//! at once, and refuses one that is wrong in the words that the trigger of a row has.

use super::valid::broken;
use super::{Access, Function, Site};
use crate::catalog::{Class, Column, ColumnType, Resource, WriteCall};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;
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

/// The columns that an UPDATE may change.
pub(super) fn changing(resource: &Resource) -> impl Iterator<Item = (&String, &Column)> {
    resource
        .columns
        .iter()
        .filter(|(name, column)| column.class == Class::Writable && !resource.key.contains(name))
}

/// Whether a column is another in row `o` than in row `n`: worked out once, by [`compared`].
pub(super) fn differs(name: &str) -> String {
    format!("n.{}", ident(&format!("d {name}")))
}

/// The value of a column in row `o` or `n`, behind [`compared`].
pub(super) fn row_value(row: &str, name: &str) -> String {
    if row == "n" { format!("n.{}", ident(name)) } else { format!("n.{}", ident(&format!("o {name}"))) }
}

/// Whether a row has changed where no UPDATE may change it, behind [`compared`].
const FIXED: &str = "\"fixed differ\"";

/// The changed rows, before and after. A FULL JOIN finds what an inner one does, and never goes by a nested loop:
/// the plan that a session has kept from a statement of one row would compare every row of a large one with every
/// other. Nor does it go by hash, which costs more memory or files, and takes the rows out of the order that the
/// index of the unsettled has. Sorting them by a language's rules would cost more than by their bytes.
pub(super) fn pairs(resource: &Resource) -> String {
    let same: Vec<_> = resource
        .key
        .iter()
        .map(|name| {
            let text = resource.columns.get(name).is_some_and(|column| column.kind == ColumnType::Text);
            let order = if text { " collate \"C\"" } else { "" };
            format!("o.{0}{order} = n.{0}{order}", ident(name))
        })
        .collect();
    format!("old_rows o full join new_rows n on {}", same.join(" and "))
}

/// What is selected of [`pairs`]: keys, the columns that may change as they were and are, and whether they differ.
pub(super) fn compared(resource: &Resource, hidden: &[&str]) -> String {
    let mut columns: Vec<_> = resource.key.iter().map(|name| format!("n.{}", ident(name))).collect();
    for (name, column) in changing(resource) {
        let c = ident(name);
        // NULL and {} have the same keys.
        let differ = if column.merge.by_key() {
            format!("coalesce(o.{c}, '{{}}') is distinct from coalesce(n.{c}, '{{}}')")
        } else {
            format!("o.{c} is distinct from n.{c}")
        };
        let [was, differs] = ["o", "d"].map(|prefix| ident(&format!("{prefix} {name}")));
        columns.push(format!("n.{c}, o.{c} as {was}, {differ} as {differs}"));
    }
    let fixed = fixed(resource, hidden);
    if !fixed.is_empty() {
        columns.push(format!("{} as {FIXED}", fixed.join(" or ")));
    }
    columns.join(", ")
}

/// SQL conditions that row `o` has become row `n` where no UPDATE changes anything.
fn fixed(resource: &Resource, hidden: &[&str]) -> Vec<String> {
    let changed = |name: &str| format!("o.{0} is distinct from n.{0}", ident(name));
    let never = |(name, column): &(&String, &Column)| {
        !comes_first(resource, name, column)
            && (matches!(column.class, Class::ReadOnly | Class::CreateOnly)
                || column.only_on == Some(WriteCall::Create))
    };
    let fixed = resource.columns.iter().filter(never).map(|(name, _)| changed(name));
    let given = ["extra"].iter().chain(hidden);
    let given = given.map(|name| format!("{} and n.{} is not null", changed(name), ident(name)));
    fixed.chain(given).collect()
}

/// The SQL condition that an UPDATE is to be refused, behind [`compared`]; none where none is.
pub(super) fn wrong(resource: &Resource, hidden: &[&str]) -> Option<String> {
    let mut conditions = Vec::new();
    if !fixed(resource, hidden).is_empty() {
        conditions.push(format!("n.{FIXED}"));
    }
    for (name, column) in changing(resource) {
        if comes_first(resource, name, column) || column.only_on == Some(WriteCall::Create) {
            continue;
        }
        let was = row_value("o", name);
        let differs = if column.merge.by_key() {
            format!("({} or {was} is null)", differs(name))
        } else {
            differs(name)
        };
        conditions.extend(broken(resource, name, column, &was, &differs));
    }
    (!conditions.is_empty()).then(|| conditions.join(" or "))
}

/// The setting that carries the key of a wrong row out of the statement that captures it. Raised in there, the error
/// would show its client that statement.
const WRONG: &str = "auth0.wrong_row";

/// An expression that is NULL and notes the change of a row where it is wrong, behind [`compared`].
pub(super) fn noted(resource: &Resource, hidden: &[&str]) -> Option<String> {
    let wrong = wrong(resource, hidden)?;
    let key = key_object(resource, "n");
    Some(format!("case when {wrong} then nullif(left(set_config('{WRONG}', {key}::text, true), 0), '') end"))
}

/// The statements that refuse what was noted.
pub(super) fn refused(site: &Site<'_>, resource: &Resource) -> String {
    let refuse = site.name(&refuse_name(&resource.table));
    let noted = format!("current_setting('{WRONG}', true)");
    format!(
        "        if {noted} <> '' then\n            \
         noted := (select jsonb_build_array(to_jsonb(o), to_jsonb(n)) from {} where {} = {noted}::jsonb limit 1);\n            \
         noted := {refuse}(noted::jsonb);\n        end if;\n",
        pairs(resource),
        key_object(resource, "n"),
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
