//! Judgement: a BEFORE trigger for each row that a client writes refuses what the catalogue knows
//! to be wrong, makes keys, and moves write-only values to where only the service reads them. An UPDATE is
//! judged so only where something else is to be stored than the client has written ([`update`]).
//! It applies to clients alone: what Auth0 itself sends is always stored.

use super::valid::valid;
use super::{Access, Function, Site, Trigger, update};
use crate::catalog::{Class, Column, NewKey, Resource, ResourceKind, WriteCall, placeholders};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;
use crate::pg::mirror::PROVISIONAL;

/// Clients' own BEFORE triggers run first: Postgres goes by name.
const TRIGGER: &str = "zz_auth0_sync_judge";

/// The setting that tells the rest of the transaction that values were set aside: capture looks for them then.
pub(super) const ASIDE: &str = "auth0.aside";

const NOT_SELECTED: &str = "Name it in [columns] of auth0-sync.toml, and run `auth0-sync setup`.";

/// The name of a table's judging function.
pub(in crate::pg) fn judge_name(table: &str) -> String {
    format!("_{table}_judge")
}

/// The judging functions of a table and their triggers; none where a client writes nothing.
pub(super) fn judge(site: &Site<'_>, resource: &Resource, hidden: &[&str]) -> (Vec<Function>, Vec<Trigger>) {
    let name = judge_name(&resource.table);
    let mut triggers = Vec::new();
    if resource.inserts() {
        triggers.push(trigger(site, resource, &name, "insert", String::new()));
    }
    if resource.updates() {
        let when = format!(" and ({})", update::stored_otherwise(resource));
        triggers.push(trigger(site, resource, &name, "update", when));
    }
    if resource.kind == ResourceKind::Command {
        triggers.push(trigger(site, resource, &name, "delete", String::new()));
    }
    if triggers.is_empty() {
        return (Vec::new(), triggers);
    }
    let sql = format!(
        "create or replace function {}() returns trigger\nlanguage plpgsql\nsecurity definer\n\
         set search_path = pg_catalog, pg_temp\nas $body$\nbegin\n{}    return new;\nend\n$body$",
        site.name(&name),
        statements(site, resource, hidden)
    );
    let mut functions = vec![Function { name, sql, access: Access::Nobody }];
    if resource.updates() {
        functions.push(update::refuse(site, resource, hidden, &refusals(site, resource, hidden)));
    }
    (functions, triggers)
}

/// The body of the function: who may write, keys, values, secrets, in this order.
fn statements(site: &Site<'_>, resource: &Resource, hidden: &[&str]) -> String {
    let mut body = String::new();
    if resource.kind == ResourceKind::Command {
        body.push_str(&may_delete(site, resource));
    }
    body.push_str(&made_keys(site, resource));
    body.push_str(&may_write_all(site, resource, hidden));
    body.push_str(&new_key(resource));
    if resource.kind == ResourceKind::Command {
        body.push_str("    new.state := 'pending';\n    new.requested_at := now();\n");
    }
    body.push_str(&valid_all(site, resource));
    body.push_str(&in_paths(site, resource));
    for (column, about) in &resource.columns {
        if about.class == Class::WriteOnly {
            let all = format!("to_jsonb(new.{})", ident(column));
            body.push_str(&set_aside(site, resource, column, "is not null", &all, "null"));
        } else if !about.secret_keys.is_empty() {
            body.push_str(&sent_again(site, resource, column, about));
            body.push_str(&set_keys_aside(site, resource, column, about));
        } else if !about.secret_paths.is_empty() {
            body.push_str(&set_whole_aside(site, resource, column, about));
        }
    }
    body
}

/// What is left of it once the row is stored.
fn refusals(site: &Site<'_>, resource: &Resource, hidden: &[&str]) -> String {
    may_write_all(site, resource, hidden) + &valid_all(site, resource)
}

fn may_write_all(site: &Site<'_>, resource: &Resource, hidden: &[&str]) -> String {
    let mut body: String =
        resource.columns.iter().map(|(column, about)| may_write(site, resource, column, about)).collect();
    let never = [("extra", "is read-only", "Auth0 sets it.")];
    let hidden = hidden.iter().map(|name| (*name, "is not selected", NOT_SELECTED));
    for (name, what, hint) in never.into_iter().chain(hidden) {
        let message = literal(&format!("column \"{name}\" {what}"));
        let told = refuse(site, resource, "428C9", &message, name, hint);
        let new = format!("new.{}", ident(name));
        body.push_str(&format!(
            "    if {new} is not null and (tg_op = 'INSERT' or {new} is distinct from old.{}) then\n{told}    end if;\n",
            ident(name)
        ));
    }
    body
}

fn valid_all(site: &Site<'_>, resource: &Resource) -> String {
    resource.columns.iter().map(|(column, about)| valid(site, resource, column, about)).collect()
}

fn trigger(site: &Site<'_>, resource: &Resource, function: &str, operation: &str, when: String) -> Trigger {
    let name = format!("{TRIGGER}_{operation}");
    let sql = format!(
        "create trigger {name} before {operation} on {} for each row when ({}{when}) \
         execute function {}()",
        site.name(&resource.table),
        site.client(),
        site.name(function),
    );
    Trigger { table: resource.table.clone(), name, sql }
}

/// Raised where it is judged, so that the error's context is one line.
pub(super) fn refuse(
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

/// A settled row of a command is the client's to remove; one that is under way is not.
fn may_delete(site: &Site<'_>, resource: &Resource) -> String {
    let message = literal("the command is not settled yet");
    let refusal =
        refuse(site, resource, "55006", &message, "state", "Wait until state is no longer 'pending'.");
    format!(
        "    if tg_op = 'DELETE' then\n    if old.state = 'pending' then\n{refusal}    end if;\n    return old;\n    end if;\n"
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
    if resource.key.iter().any(|key| key == name) {
        let again = "DELETE the row and INSERT it again.";
        let hint = if resource.inserts() && resource.deletes() { again } else { "" };
        return key(site, resource, name) + &on_update(say("is the key and cannot change", hint));
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

/// Refuses on INSERT a key that Auth0 makes, and wants the one that the client gives.
fn key(site: &Site<'_>, resource: &Resource, name: &str) -> String {
    let new = format!("new.{}", ident(name));
    let read_only = literal(&format!("column \"{name}\" is read-only"));
    let (condition, refusal) = match &resource.new_key {
        NewKey::Client { .. } => return String::new(),
        NewKey::Server if resource.made_column() == Some(name) => {
            let hint = "Auth0 makes the key; leave it out.";
            (format!("{new} is not null"), refuse(site, resource, "428C9", &read_only, name, hint))
        }
        NewKey::Fixed { value } => {
            let hint = format!("It is always '{value}'; leave it out.");
            let condition = format!("{new} <> {}", literal(value));
            (condition, refuse(site, resource, "428C9", &read_only, name, &hint))
        }
        NewKey::Given | NewKey::Server => {
            let missing = literal(&format!("missing value for column \"{name}\""));
            let hint = "It is part of the row's key.";
            (format!("{new} is null"), refuse(site, resource, "23502", &missing, name, hint))
        }
    };
    format!("    if tg_op = 'INSERT' and {condition} then\n{refusal}    end if;\n")
}

fn new_key(resource: &Resource) -> String {
    let Some(made) = resource.made_column() else { return String::new() };
    let key = format!("new.{}", ident(made));
    let digits = "substr(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 9, 24)";
    let statement = match &resource.new_key {
        NewKey::Server => format!("        {key} := '{PROVISIONAL}' || {digits};\n"),
        NewKey::Client { prefix, strip_prefix } => {
            let prefix = literal(prefix);
            // What a client gives without the prefix is what stands in bodies.
            let short = if *strip_prefix {
                format!("when strpos({key}, '|') = 0 then {prefix} || {key} ")
            } else {
                String::new()
            };
            format!(
                "        {key} := case when {key} is null then {prefix} || {digits} {short}else {key} end;\n"
            )
        }
        NewKey::Fixed { value } => format!("        {key} := {};\n", literal(value)),
        NewKey::Given => return String::new(),
    };
    format!("    if tg_op = 'INSERT' then\n{statement}    end if;\n")
}

/// A provisional key stays a good name for its row: once Auth0 has made the real one, that is stored.
fn made_keys(site: &Site<'_>, resource: &Resource) -> String {
    let lookups = update::references(resource).map(|(name, table)| {
        format!(
            "    if new.{0} ^@ '{PROVISIONAL}' then\n        new.{0} := coalesce((select m.made from _auth0_sync.made_key m \
             where m.schema = {1} and m.\"table\" = {2} and m.provisional = new.{0}), new.{0});\n    end if;\n",
            ident(name),
            literal(site.schema),
            literal(table),
        )
    });
    lookups.collect()
}

/// What stands in the path of the call that an INSERT makes must be there; keys have been looked at.
fn in_paths(site: &Site<'_>, resource: &Resource) -> String {
    let mut text = String::new();
    let mut want = |path: &str, when: &str| {
        let given = |name: &&str| {
            let read_only = resource.columns.get(*name).is_some_and(|column| column.class == Class::ReadOnly);
            !read_only && !resource.key.iter().any(|key| key == name)
        };
        for name in placeholders(path).filter(given) {
            let missing = literal(&format!("missing value for column \"{name}\""));
            let refusal =
                refuse(site, resource, "23502", &missing, name, "The call that the INSERT makes needs it.");
            text.push_str(&format!(
                "    if tg_op = 'INSERT'{when} and new.{} is null then\n{refusal}    end if;\n",
                ident(name)
            ));
        }
    };
    for call in
        resource.create.iter().map(|create| &create.call).chain(resource.replace.iter().map(|set| &set.call))
    {
        want(&call.path, "");
    }
    for command in &resource.command {
        let when: String = command
            .when
            .iter()
            .map(|(column, value)| format!(" and new.{} = {}", ident(column), literal(value)))
            .collect();
        want(&command.call.path, &when);
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
         {value}, pg_current_xact_id());\n        \
         perform pg_logical_emit_message(true, 'auth0_sync.aside', ''), set_config('{ASIDE}', 'on', true);\n        \
         new.{0} := {rest};\n    end if;\n",
        ident(name),
        literal(site.schema),
        literal(&resource.table),
        key_object(resource, "new"),
        literal(name)
    )
}

/// Refuses a change of an object that would lose its secrets at Auth0, which nobody else knows.
fn sent_again(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    if !column.resend {
        return String::new();
    }
    let keys: Vec<_> = column.secret_keys.iter().map(|key| literal(key)).collect();
    let (new, old) = (format!("new.{}", ident(name)), format!("old.{}", ident(name)));
    let message = literal(&format!("column \"{name}\" is replaced whole, and its secrets are missing"));
    let hint = format!("Auth0 drops what a change lacks; give one of: {}.", column.secret_keys.join(", "));
    let refusal = refuse(site, resource, "22023", &message, name, &hint);
    format!(
        "    if tg_op = 'UPDATE' and {new} is distinct from {old} and {new} <> '{{}}' and not ({new} ?| array[{}]) \
         then\n{refusal}    end if;\n",
        keys.join(", ")
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

/// A value with secrets inside goes away whole: what is sent is what the client gave, and what stays
/// is the value without them.
fn set_whole_aside(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    let new = format!("new.{}", ident(name));
    let (mut found, mut rest) = (Vec::new(), new.clone());
    for path in &column.secret_paths {
        if let Some(key) = path.strip_prefix("[].") {
            let key = literal(key);
            found.push(format!("exists (select from jsonb_array_elements({new}) item where item ? {key})"));
            rest = format!(
                "(select jsonb_agg(case jsonb_typeof(item) when 'object' then item - {key} else item end order by place) \
                 from jsonb_array_elements({rest}) with ordinality items (item, place))"
            );
        } else {
            let path = literal(&format!("{{{}}}", path.replace('.', ",")));
            found.push(format!("{new} #> {path} is not null"));
            rest = format!("({rest} #- {path})");
        }
    }
    let condition = format!("is not null and ({})", found.join(" or "));
    set_aside(site, resource, name, &condition, &new, &rest)
}
