//! Capture: one statement-level AFTER trigger an operation writes a `_sync_cdc` row for each
//! changed row, with only the columns that changed.
//!
//! The images are built as text and cast to jsonb once: for 100,000 rows of 24 columns that costs
//! half a second less than jsonb functions a column.

use super::judge::ASIDE;
use super::update::{differs, row_value};
use super::{Access, Function, Site, Trigger, atomic, guard, strict, update};
use crate::catalog::{Class, Column, ColumnType, Resource, ResourceKind};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;

/// What is the same for all rows of a statement: the label keeps it apart from columns of the same names.
const DECLARED: &str = "<<setting>>\ndeclare\n    state text;\n    options jsonb;\n    \
                        actor constant jsonb := jsonb_build_object('session_user', session_user, 'application_name', \
                        current_setting('application_name'), 'pid', pg_backend_pid());\n    noted text;\n";

/// Columns of `_sync_cdc` that are the same for all rows of a statement, behind the others.
const SAME: &str = "setting.actor, coalesce(setting.state, 'pending')";

/// The name of a table's capture function.
pub(in crate::pg) fn capture_name(table: &str) -> String {
    format!("_{table}_capture")
}

/// The capture function of a table and its triggers; none where a client writes nothing.
pub(super) fn capture(
    site: &Site<'_>,
    resource: &Resource,
    hidden: &[&str],
) -> Option<(Function, Vec<Trigger>)> {
    let name = capture_name(&resource.table);
    // What a command has answered is nothing at Auth0: its row goes and nobody need know.
    let deletes = resource.deletes() && resource.kind != ResourceKind::Command;
    // An UPDATE comes first: each condition costs a statement of one row what a column costs it.
    let branches = [
        resource.updates().then(|| ("UPDATE", String::new(), update(site, resource, hidden))),
        resource.inserts().then(|| ("INSERT", String::new(), insert(site, resource))),
        deletes.then(|| ("DELETE", guard::deletes(site, resource), delete(site, resource))),
    ];
    branches.iter().flatten().next()?;
    let body: Vec<String> = branches
        .iter()
        .flatten()
        .map(|(operation, limit, statement)| {
            let protected = guard::protected(site, resource, operation);
            let refused = atomic::before(site, resource, operation);
            format!("if tg_op = '{operation}' then\n{limit}{protected}{refused}{statement}")
        })
        .collect();
    let [declared, before, after] = strict::around_capture(site, resource);
    let sql = format!(
        "create or replace function {}() returns trigger\nlanguage plpgsql\nsecurity definer\n\
         set search_path = pg_catalog, pg_temp\nset timezone = 'UTC'\nset enable_hashjoin = off\n\
         as $body$\n{DECLARED}{declared}begin\n{}    {}    end if;\n{}    return null;\nend\n$body$",
        site.name(&name),
        settings(site, resource, &before),
        body.join("    els"),
        after_all(site, &after),
    );
    let triggers =
        branches.iter().flatten().map(|(operation, ..)| trigger(site, resource, &name, operation)).collect();
    Some((Function { name, sql, access: Access::Nobody }, triggers))
}

/// Most sessions set none of them, and then nothing is looked up; `asked` is what strict mode does with them.
fn settings(site: &Site<'_>, resource: &Resource, asked: &str) -> String {
    // How new rows go concerns them alone, where there are several ways.
    let others = "nullif(s.options - 'bulk', '{}')";
    let (looked_at, options) = match resource.bulk {
        Some(_) => (
            ", current_setting('auth0.bulk', true)",
            format!("case when tg_op = 'INSERT' then s.options else {others} end"),
        ),
        None => ("", others.to_owned()),
    };
    let looked_at = format!(
        "current_setting('auth0.hold', true), current_setting('auth0.atomic', true), \
         current_setting('auth0.on_conflict', true){looked_at}"
    );
    format!(
        "    if concat({looked_at}, current_setting('auth0.write_mode', true)) <> '' then\n{asked}        \
         if concat({looked_at}) <> '' then\n            \
         select s.state, {options} into setting.state, setting.options from {}() s;\n        end if;\n    end if;\n",
        site.name("_settings")
    )
}

/// What is due when all is captured, where the session has asked for more than that.
fn after_all(site: &Site<'_>, strict: &str) -> String {
    let (or_asked, held) = (if strict.is_empty() { "" } else { " or asked" }, atomic::after(site));
    format!("    if setting.options is not null{or_asked} then\n{held}{strict}    end if;\n")
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
         when ({}) execute function {}()",
        site.name(&resource.table),
        site.client(),
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
                "case when n.{} is not null then {} end",
                ident(name),
                member(column, &format!("n.{}", ident(name)), name)
            )
        })
        .collect();
    let select = format!(
        "select {}, 'INSERT', {}, null::jsonb, ('{{' || concat_ws(',', {}) || '}}')::jsonb, {SAME}, setting.options \
         from new_rows n",
        literal(&resource.table),
        key_object(resource, "n"),
        pairs.join(", "),
    );
    if !resource.sets_aside() {
        return store(site, &select) + &remember(site);
    }
    // Of an upsert the UPDATE trigger fires first: what it does not take may belong to the INSERT,
    // which fires last and drops what was judged and not stored.
    let rest =
        format!("            delete from _auth0_sync.write_only w where {};\n", unclaimed(site, resource));
    with_write_only(site, resource, &select, &select, &rest)
}

fn update(site: &Site<'_>, resource: &Resource, hidden: &[&str]) -> String {
    let changing: Vec<_> = update::changing(resource).collect();
    let image = |mine: &str, other: &str| {
        let pairs: Vec<_> = changing
            .iter()
            .map(|(name, column)| {
                let (differs, [value, other]) = (differs(name), [mine, other].map(|row| row_value(row, name)));
                if column.merge.by_key() {
                    // An image of NULL stays NULL: undoing tells it from {}.
                    let changed = site.name("_changed_keys");
                    // An emptied object is told as such: Auth0 is to empty it, whatever it holds there.
                    let emptied = if mine == "n" { format!("when {value} = '{{}}' then '{{}}' ") } else { String::new() };
                    format!(
                        "case when {differs} then '\"{name}\":' \
                         || coalesce(case {emptied}when {value} is not null then {changed}({value}, {other})::text end, 'null') end"
                    )
                } else {
                    format!("case when {differs} then {} end", member(column, &value, name))
                }
            })
            .collect();
        pairs.join(", ")
    };
    let judged = update::noted(resource, hidden).map(|text| format!("{text}, ")).unwrap_or_default();
    // OFFSET keeps the subqueries subqueries: what is written out there once is worked out once.
    let select = |unchanged: &str| {
        format!(
            "select {}, 'UPDATE', d.key, ('{{' || d.before || '}}')::jsonb, ('{{' || d.after || '}}')::jsonb, {SAME}, {} \
             from (select {} as key, concat_ws(',', {judged}{}) as before, concat_ws(',', {}) as after \
             from (select {} from {} offset 0) n offset 0) d where d.before <> ''{unchanged}",
            literal(&resource.table),
            with_base("('{' || d.before || '}')::jsonb"),
            key_object(resource, "n"),
            image("o", "n"),
            image("n", "o"),
            update::compared(resource, hidden),
            update::pairs(resource),
        )
    };
    let refused = update::refused(site, resource);
    if !resource.sets_aside() {
        return store(site, &select("")) + &remember(site) + &refused;
    }
    let aside = format!(
        " or d.key in (select w.key from _auth0_sync.write_only w where {})",
        unclaimed(site, resource)
    );
    with_write_only(site, resource, &select(&aside), &select(""), "") + &refused
}

fn delete(site: &Site<'_>, resource: &Resource) -> String {
    // The whole row, columns that users added included: a refused delete puts all of it back.
    let select = format!(
        "select {}, 'DELETE', {}, to_jsonb(o), null::jsonb, {SAME}, {} from old_rows o",
        literal(&resource.table),
        key_object(resource, "o"),
        with_base("to_jsonb(o)"),
    );
    store(site, &select) + &remember(site)
}

/// The options of a mutation. What it was decided by is kept where it will be compared: `before` follows
/// what becomes known of the row.
fn with_base(before: &str) -> String {
    format!(
        "case when setting.options ? 'on_conflict' then setting.options || jsonb_build_object('base', {before}) \
         else setting.options end"
    )
}

/// Writes the mutations that `select` makes.
fn store(site: &Site<'_>, select: &str) -> String {
    format!("{};\n", insert_into(site, select))
}

fn insert_into(site: &Site<'_>, select: &str) -> String {
    format!(
        "        insert into {} (\"table\", operation, key, before, after, actor, state, options)\n        {select}",
        site.name("_sync_cdc")
    )
}

/// Notes the transaction for wait(), where the last statement has written a mutation.
fn remember(site: &Site<'_>) -> String {
    format!("        if found then\n            {}        end if;\n", noted(site))
}

/// Notes it. By assignment: PERFORM would run a query.
fn noted(site: &Site<'_>) -> String {
    format!("noted := {}();\n", site.name("_remember"))
}

/// Values that the statement has set aside and no mutation has yet.
fn unclaimed(site: &Site<'_>, resource: &Resource) -> String {
    format!(
        "w.txid = pg_current_xact_id() and w.mutation_id is null and w.schema = {} and w.\"table\" = {}",
        literal(site.schema),
        literal(&resource.table)
    )
}

/// Writes the mutations that `select` makes and gives them the values that were set aside for them, then
/// runs `rest`; or those that `plain` makes, where none were.
fn with_write_only(site: &Site<'_>, resource: &Resource, select: &str, plain: &str, rest: &str) -> String {
    let mine = unclaimed(site, resource);
    // A FULL JOIN for the same reason as of the rows themselves.
    format!(
        "        if current_setting('{ASIDE}', true) = 'on' then\n        with stored as (\n{}\n        \
         returning id, key)\n        update _auth0_sync.write_only v set mutation_id = j.mutation\n        \
         from (select w.id, s.id as mutation from (select w.id, w.key from _auth0_sync.write_only w where {mine}) w \
         full join stored s on s.key = w.key offset 0) j where v.id = j.id and j.mutation is not null;\n\
         {rest}            {}        else\n{}{}        end if;\n",
        insert_into(site, select),
        noted(site),
        store(site, plain),
        remember(site),
    )
}

/// A member of a JSON object, as text: a column's name and its value, `null` for NULL. By `concat`, because each
/// operator and cast of so long an expression costs a statement of one row more than it costs the row.
fn member(column: &Column, value: &str, name: &str) -> String {
    let json = match column.kind {
        ColumnType::Jsonb | ColumnType::Boolean | ColumnType::Bigint => format!("{value}::text"),
        ColumnType::Text | ColumnType::Double | ColumnType::Timestamptz | ColumnType::TextArray => {
            format!("to_json({value})")
        }
    };
    format!("concat('\"{name}\":', coalesce({json}, 'null'))")
}
