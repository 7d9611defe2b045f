//! Judgement: a BEFORE trigger for each row that a client writes refuses what the catalogue knows
//! to be wrong, makes keys, and moves write-only values to where only the service reads them.
//! It applies to clients alone: what Auth0 itself sends is always stored.

use super::{Function, Site, Trigger};
use crate::catalog::{Class, Column, ColumnType, NewKey, Resource, WriteCall};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;

/// Clients' own BEFORE triggers run first: Postgres goes by name.
const TRIGGER: &str = "zz_auth0_sync_judge";

/// The judging function of a table and its triggers.
pub(in crate::pg) fn judge(site: &Site<'_>, resource: &Resource) -> (Function, Vec<Trigger>) {
    let name = format!("_{}_judge", resource.table);
    let columns: Vec<_> = resource.columns.iter().collect();
    let mut body = String::new();
    for (column, about) in &columns {
        body.push_str(&may_write(site, resource, column, about));
    }
    body.push_str(&format!(
        "    if new.extra is not null and (tg_op = 'INSERT' or new.extra is distinct from old.extra) then\n{}    end if;\n",
        refuse(site, resource, "428C9", &literal("column \"extra\" is read-only"), "extra", "Auth0 sets it.")
    ));
    body.push_str(&new_key(resource));
    for (column, about) in &columns {
        body.push_str(&valid(site, resource, column, about));
    }
    for (column, about) in &columns {
        if about.class == Class::WriteOnly {
            let all = format!("to_jsonb(new.{})", ident(column));
            body.push_str(&set_aside(site, resource, column, "is not null", &all, "null"));
        } else if !about.secret_keys.is_empty() {
            body.push_str(&set_keys_aside(site, resource, column, about));
        }
    }
    let sql = format!(
        "create or replace function {}() returns trigger\nlanguage plpgsql\nsecurity definer\n\
         set search_path = pg_catalog, pg_temp\nas $body$\nbegin\n{body}    return new;\nend\n$body$",
        site.name(&name)
    );
    let mut triggers = Vec::new();
    if resource.create.is_some() {
        triggers.push(trigger(site, resource, &name, "insert", String::new()));
    }
    if resource.update.is_some() {
        triggers.push(trigger(site, resource, &name, "update", format!(" and ({})", watched(resource))));
    }
    (Function { name, sql, public: false }, triggers)
}

fn trigger(site: &Site<'_>, resource: &Resource, function: &str, operation: &str, when: String) -> Trigger {
    let name = format!("{TRIGGER}_{operation}");
    let sql = format!(
        "create trigger {name} before {operation} on {} for each row when (session_user <> {}{when}) \
         execute function {}()",
        site.name(&resource.table),
        literal(site.role),
        site.name(function),
    );
    Trigger { table: resource.table.clone(), name, sql }
}

/// The WHEN condition of UPDATE: judging costs nothing where only free columns change.
fn watched(resource: &Resource) -> String {
    let judged = |(name, column): &(&String, &Column)| {
        column.class != Class::Writable || resource.key.contains(name) || is_checked(column)
    };
    let columns = resource.columns.iter().filter(judged).map(|(name, _)| name.as_str()).chain(["extra"]);
    let conditions: Vec<_> =
        columns.map(|name| format!("old.{0} is distinct from new.{0}", ident(name))).collect();
    conditions.join(" or ")
}

fn is_checked(column: &Column) -> bool {
    column.format.is_some()
        || column.pattern.is_some()
        || !column.values.is_empty()
        || column.min_length.is_some()
        || column.max_length.is_some()
        || column.minimum.is_some()
        || column.maximum.is_some()
        || column.merge.by_key()
        || column.only_on.is_some()
        || column.required
}

/// Raised where it is judged, so that the error's context is one line.
fn refuse(
    site: &Site<'_>,
    resource: &Resource,
    code: &str,
    message: &str,
    column: &str,
    hint: &str,
) -> String {
    let hint = if hint.is_empty() { String::new() } else { format!(", hint = {}", literal(hint)) };
    format!(
        "        raise exception using errcode = '{code}', message = '[Auth0] ' || {message}, schema = {}, \
         table = {}, column = {}{hint};\n",
        literal(site.schema),
        literal(&resource.table),
        literal(column),
    )
}

/// Refuses a value where the API takes none.
fn may_write(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    let new = format!("new.{}", ident(name));
    let changed = format!("{new} is distinct from old.{}", ident(name));
    let say = |what: &str, hint: &str| {
        refuse(site, resource, "428C9", &literal(&format!("column \"{name}\" {what}")), name, hint)
    };
    let on_insert =
        |text: String| format!("    if tg_op = 'INSERT' and {new} is not null then\n{text}    end if;\n");
    let on_update = |text: String| format!("    if tg_op = 'UPDATE' and {changed} then\n{text}    end if;\n");
    let is_key = resource.key.iter().any(|key| key == name);
    if is_key && resource.new_key != NewKey::Given {
        let made = match resource.new_key {
            NewKey::Server => on_insert(say("is read-only", "Auth0 makes the key; leave it out.")),
            _ => String::new(),
        };
        return made + &on_update(say("is the key and cannot change", ""));
    }
    match (column.class, column.only_on) {
        (Class::ReadOnly, _) => {
            on_insert(say("is read-only", "Auth0 sets it."))
                + &on_update(say("is read-only", "Auth0 sets it."))
        }
        (Class::CreateOnly, _) | (_, Some(WriteCall::Create)) => {
            let hint = "Auth0 takes it on INSERT only; DELETE the row and INSERT it again.";
            on_update(say("cannot change once the row exists", hint))
        }
        (_, Some(WriteCall::Update)) => {
            on_insert(say("cannot be given on INSERT", "UPDATE the row afterwards."))
        }
        (Class::Writable | Class::WriteOnly, None) => String::new(),
    }
}

fn new_key(resource: &Resource) -> String {
    let Some(first) = resource.key.first() else { return String::new() };
    let key = format!("new.{}", ident(first));
    let digits = "substr(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 9, 24)";
    let statement = match &resource.new_key {
        NewKey::Server => format!("        {key} := 'new_' || {digits};\n"),
        NewKey::Client { prefix, .. } => {
            let prefix = literal(prefix);
            format!(
                "        {key} := case when {key} is null then {prefix} || {digits} \
                 when strpos({key}, '|') = 0 then {prefix} || {key} else {key} end;\n"
            )
        }
        NewKey::Given | NewKey::Fixed { .. } => return String::new(),
    };
    format!("    if tg_op = 'INSERT' then\n{statement}    end if;\n")
}

/// Refuses what the catalogue knows to be wrong.
fn valid(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    let new = format!("new.{}", ident(name));
    let mut checks = String::new();
    let mut check = |condition: String, code: &str, message: String, hint: &str| {
        let refusal = refuse(site, resource, code, &message, name, hint);
        checks.push_str(&format!("        if {condition} then\n    {refusal}        end if;\n"));
    };
    let quoted = |before: &str, after: &str| format!("{} || {new} || {}", literal(before), literal(after));
    if let Some(format) = column.format {
        let message = quoted(&format!("invalid input syntax for type {}: \"", format.as_str()), "\"");
        check(format!("{new} !~ {}", literal(format.pattern())), "22023", message, "");
    }
    if let Some(pattern) = &column.pattern {
        let message = quoted(&format!("invalid value for column \"{name}\": \""), "\"");
        let hint = format!("It must match {pattern}");
        check(format!("{new} !~ {}", literal(pattern)), "22023", message, &hint);
    }
    if !column.values.is_empty() && column.kind == ColumnType::Text {
        let values: Vec<_> = column.values.iter().map(|value| literal(value)).collect();
        let message = quoted(&format!("invalid input value for column \"{name}\": \""), "\"");
        let hint = format!("One of: {}", column.values.join(", "));
        check(format!("{new} not in ({})", values.join(", ")), "22023", message, &hint);
    }
    if column.kind == ColumnType::Text {
        if let Some(most) = column.max_length {
            let message =
                literal(&format!("value too long for column \"{name}\": at most {most} characters"));
            check(format!("length({new}) > {most}"), "22001", message, "");
        }
        if let Some(least) = column.min_length.filter(|least| *least > 0) {
            let message =
                literal(&format!("value too short for column \"{name}\": at least {least} characters"));
            check(format!("length({new}) < {least}"), "22023", message, "");
        }
    }
    if matches!(column.kind, ColumnType::Bigint | ColumnType::Double) {
        for (bound, sign, word) in [(column.minimum, "<", "least"), (column.maximum, ">", "most")] {
            if let Some(bound) = bound {
                let message = literal(&format!("value of column \"{name}\" out of range: at {word} {bound}"));
                check(format!("{new} {sign} {bound}"), "22003", message, "");
            }
        }
    }
    if column.merge.by_key() {
        let message = literal(&format!("column \"{name}\" takes a JSON object"));
        check(format!("jsonb_typeof({new}) <> 'object'"), "22023", message, "");
    }
    let mut text = String::new();
    if column.required {
        let missing = literal(&format!("missing value for column \"{name}\""));
        let refusal = refuse(site, resource, "23502", &missing, name, "Auth0 requires it.");
        let when = match column.class {
            // It shows NULL afterwards, so only INSERT can tell whether it was given.
            Class::WriteOnly | Class::CreateOnly => "tg_op = 'INSERT' and ",
            Class::ReadOnly | Class::Writable => "",
        };
        text.push_str(&format!("    if {when}{new} is null then\n{refusal}    end if;\n"));
    }
    if !checks.is_empty() {
        text.push_str(&format!(
            "    if {new} is not null and (tg_op = 'INSERT' or {new} is distinct from old.{}) then\n{checks}    end if;\n",
            ident(name)
        ));
    }
    text
}

/// Moves a value away, where `new.<name> <condition>`; the mirror and `_sync_cdc` never hold it.
fn set_aside(
    site: &Site<'_>,
    resource: &Resource,
    name: &str,
    condition: &str,
    value: &str,
    rest: &str,
) -> String {
    format!(
        "    if new.{0} {condition} then\n        insert into _auth0_sync.write_only \
         (schema, \"table\", key, \"column\", value, txid) values ({1}, {2}, {3}, {4}, \
         {value}, pg_current_xact_id());\n        new.{0} := {rest};\n    end if;\n",
        ident(name),
        literal(site.schema),
        literal(&resource.table),
        key_object(resource, "new"),
        literal(name)
    )
}

/// The same for single keys of an object.
fn set_keys_aside(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    let keys: Vec<_> = column.secret_keys.iter().map(|key| literal(key)).collect();
    let (new, keys) = (format!("new.{}", ident(name)), format!("array[{}]", keys.join(", ")));
    let secrets =
        format!("(select jsonb_object_agg(key, value) from jsonb_each({new}) where key = any ({keys}))");
    set_aside(site, resource, name, &format!("?| {keys}"), &secrets, &format!("{new} - {keys}"))
}
