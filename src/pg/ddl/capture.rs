//! Capture: one statement-level AFTER trigger an operation writes a `_sync_cdc` row for each
//! changed row, with only the columns that changed.
//!
//! The images are built as text and cast to jsonb once: for 100,000 rows of 24 columns that costs
//! half a second less than jsonb functions a column.

use super::{Access, Function, Site, Trigger, atomic, guard, strict};
use crate::catalog::{Class, Column, ColumnType, Resource, ResourceKind};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;

/// Where the settings of the session go: the label keeps them apart from columns of the same names.
const DECLARED: &str = "<<setting>>\ndeclare\n    state text := 'pending';\n    options jsonb;\n";

const ACTOR: &str = "jsonb_build_object('session_user', session_user, 'application_name', \
                     current_setting('application_name'), 'pid', pg_backend_pid())";

/// The name of a table's capture function.
pub(in crate::pg) fn capture_name(table: &str) -> String {
    format!("_{table}_capture")
}

/// The capture function of a table and its triggers; none where a client writes nothing.
pub(super) fn capture(site: &Site<'_>, resource: &Resource) -> Option<(Function, Vec<Trigger>)> {
    let name = capture_name(&resource.table);
    // What a command has answered is nothing at Auth0: its row goes and nobody need know.
    let deletes = resource.deletes() && resource.kind != ResourceKind::Command;
    let branches = [
        resource.inserts().then(|| ("INSERT", String::new(), insert(site, resource))),
        resource.updates().then(|| ("UPDATE", String::new(), update(site, resource))),
        deletes.then(|| ("DELETE", guard::deletes(site, resource), delete(site, resource))),
    ];
    branches.iter().flatten().next()?;
    let body: String = branches
        .iter()
        .flatten()
        .map(|(operation, limit, statement)| {
            let protected = guard::protected(site, resource, operation);
            let (refused, held) = (atomic::before(site, resource, operation), atomic::after(site));
            format!(
                "    if tg_op = '{operation}' then\n{limit}{protected}{refused}{statement}{held}    end if;\n"
            )
        })
        .collect();
    let [declared, before, after] = strict::around_capture(site, resource);
    let sql = format!(
        "create or replace function {}() returns trigger\nlanguage plpgsql\nsecurity definer\n\
         set search_path = pg_catalog, pg_temp\nset timezone = 'UTC'\n\
         as $body$\n{DECLARED}{declared}begin\n{}{before}{body}{after}    return null;\nend\n$body$",
        site.name(&name),
        settings(site),
    );
    let triggers =
        branches.iter().flatten().map(|(operation, ..)| trigger(site, resource, &name, operation)).collect();
    Some((Function { name, sql, access: Access::Nobody }, triggers))
}

/// Most sessions set none of them, and then nothing is looked up.
fn settings(site: &Site<'_>) -> String {
    format!(
        "    if concat(current_setting('auth0.hold', true), current_setting('auth0.atomic', true), \
         current_setting('auth0.on_conflict', true)) <> '' then\n        \
         select s.state, s.options into setting.state, setting.options from {}() s;\n    end if;\n",
        site.name("_settings")
    )
}

fn trigger(site: &Site<'_>, resource: &Resource, function: &str, operation: &str) -> Trigger {
    let name = format!("auth0_sync_capture_{}", operation.to_lowercase());
    let tables = match operation {
        "INSERT" => "new table as new_rows",
        "DELETE" => "old table as old_rows",
        _ => "old table as old_rows new table as new_rows",
    };
    let sql = format!(
        "create trigger {name} after {operation} on {} referencing {tables} for each statement \
         when (session_user <> {}) execute function {}()",
        site.name(&resource.table),
        literal(site.role),
        site.name(function),
    );
    Trigger { table: resource.table.clone(), name, sql }
}

fn insert(site: &Site<'_>, resource: &Resource) -> String {
    let pairs: Vec<_> = resource
        .columns
        .iter()
        .filter(|(_, column)| column.class != Class::WriteOnly)
        .map(|(name, column)| {
            format!(
                "case when n.{0} is not null then '\"{name}\":' || {1} end",
                ident(name),
                json(column, "n", name)
            )
        })
        .collect();
    let select = format!(
        "select {}, 'INSERT', {}, null::jsonb, ('{{' || concat_ws(',', {}) || '}}')::jsonb, {ACTOR}, setting.state, setting.options \
         from new_rows n",
        literal(&resource.table),
        key_object(resource, "n"),
        pairs.join(", "),
    );
    store(site, resource, "INSERT", &select)
}

fn update(site: &Site<'_>, resource: &Resource) -> String {
    let changing: Vec<_> = resource
        .columns
        .iter()
        .filter(|(name, column)| column.class == Class::Writable && !resource.key.contains(name))
        .collect();
    let image = |mine: &str, other: &str| {
        let pairs: Vec<_> = changing
            .iter()
            .map(|(name, column)| {
                let c = ident(name);
                if column.merge.by_key() {
                    // NULL and {} have the same keys. An image of NULL stays NULL: undoing tells it from {}.
                    let changed = site.name("_changed_keys");
                    // An emptied object is told as such: Auth0 is to empty it, whatever it holds there.
                    let emptied = if mine == "n" { format!("when n.{c} = '{{}}' then '{{}}' ") } else { String::new() };
                    format!(
                        "case when coalesce(o.{c}, '{{}}') is distinct from coalesce(n.{c}, '{{}}') then '\"{name}\":' \
                         || coalesce(case {emptied}when {mine}.{c} is not null then {changed}({mine}.{c}, {other}.{c})::text end, 'null') end"
                    )
                } else {
                    let value = json(column, mine, name);
                    format!("case when o.{c} is distinct from n.{c} then '\"{name}\":' || {value} end")
                }
            })
            .collect();
        format!("concat_ws(',', {})", pairs.join(", "))
    };
    let unchanged = if resource.sets_aside() {
        format!(
            " or exists (select from _auth0_sync.write_only w where w.txid = pg_current_xact_id() \
             and w.mutation_id is null and w.schema = {} and w.\"table\" = {} and w.key = d.key)",
            literal(site.schema),
            literal(&resource.table)
        )
    } else {
        String::new()
    };
    let using: Vec<_> = resource.key.iter().map(|name| ident(name)).collect();
    let select = format!(
        "select {}, 'UPDATE', d.key, ('{{' || d.before || '}}')::jsonb, ('{{' || d.after || '}}')::jsonb, {ACTOR}, \
         setting.state, {} from (select {} as key, {} as before, {} as after from old_rows o join new_rows n using ({})) d \
         where d.before <> ''{unchanged}",
        literal(&resource.table),
        with_base("('{' || d.before || '}')::jsonb"),
        key_object(resource, "n"),
        image("o", "n"),
        image("n", "o"),
        using.join(", "),
    );
    store(site, resource, "UPDATE", &select)
}

fn delete(site: &Site<'_>, resource: &Resource) -> String {
    // The whole row, columns that users added included: a refused delete puts all of it back.
    let select = format!(
        "select {}, 'DELETE', {}, to_jsonb(o), null::jsonb, {ACTOR}, setting.state, {} from old_rows o",
        literal(&resource.table),
        key_object(resource, "o"),
        with_base("to_jsonb(o)"),
    );
    store(site, resource, "DELETE", &select)
}

/// The options of a mutation. What it was decided by is kept where it will be compared: `before` follows
/// what becomes known of the row.
fn with_base(before: &str) -> String {
    format!(
        "case when setting.options ? 'on_conflict' then setting.options || jsonb_build_object('base', {before}) \
         else setting.options end"
    )
}

fn store(site: &Site<'_>, resource: &Resource, operation: &str, select: &str) -> String {
    let insert = format!(
        "insert into {} (\"table\", operation, key, before, after, actor, state, options)\n        {select}",
        site.name("_sync_cdc")
    );
    let stored = if resource.sets_aside() {
        // Of an upsert the UPDATE trigger fires first: what it does not take may belong to the INSERT,
        // which fires last and drops what was judged and not stored.
        let drop_rest = |mine: &str| {
            if operation == "INSERT" {
                format!("        delete from _auth0_sync.write_only w where {mine};\n")
            } else {
                String::new()
            }
        };
        let mine = format!(
            "w.txid = pg_current_xact_id() and w.mutation_id is null and w.schema = {} and w.\"table\" = {}",
            literal(site.schema),
            literal(&resource.table)
        );
        format!(
            "        with stored as (\n        {insert}\n        returning id, key)\n        \
             update _auth0_sync.write_only w set mutation_id = s.id from stored s where w.key = s.key and {mine};\n{}",
            drop_rest(&mine)
        )
    } else {
        format!("        {insert};\n")
    };
    let remember = site.name("_remember");
    if resource.sets_aside() {
        format!("{stored}        perform {remember}();\n")
    } else {
        format!("{stored}        if found then\n            perform {remember}();\n        end if;\n")
    }
}

/// The JSON text of a column's value, `null` for NULL.
fn json(column: &Column, row: &str, name: &str) -> String {
    let value = format!("{row}.{}", ident(name));
    match column.kind {
        ColumnType::Jsonb | ColumnType::Boolean | ColumnType::Bigint => {
            format!("coalesce({value}::text, 'null')")
        }
        ColumnType::Text | ColumnType::Double | ColumnType::Timestamptz | ColumnType::TextArray => {
            format!("coalesce(to_json({value})::text, 'null')")
        }
    }
}
