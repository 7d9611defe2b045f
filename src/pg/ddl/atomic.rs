//! What a transaction that is all or nothing at Auth0 may not do, because nothing takes it back; it is said in
//! the statement. Pieces of a table's capture function that cost nothing where `auth0.atomic` is not set.

use super::Site;
use crate::catalog::{Class, ColumnType, Lasting, NewKey, Resource, ResourceKind, WriteCall};
use crate::pg::ident::{ident, literal};
use crate::pg::key::key_object;

/// Whether the session has asked for it.
const ASKED: &str = "setting.options ? 'atomic'";
const INSTEAD: &str = "Do it in a transaction of its own, without auth0.atomic.";

/// Refuses, before it is captured, what could not be taken back; warns of what perhaps could not.
pub(super) fn before(site: &Site<'_>, resource: &Resource, operation: &str) -> String {
    let checks = match operation {
        "INSERT" => insert(site, resource),
        "UPDATE" => update(site, resource),
        _ => delete(site, resource),
    };
    if checks.is_empty() {
        return String::new();
    }
    format!("        if {ASKED} then\n{checks}        end if;\n")
}

/// Refuses, when it is captured, what no transaction may hold.
pub(super) fn after(site: &Site<'_>) -> String {
    format!(
        "        if {ASKED} then\n            perform {}();\n        end if;\n",
        site.name("_check_atomic")
    )
}

fn insert(site: &Site<'_>, resource: &Resource) -> String {
    let any = "exists (select from new_rows)";
    if resource.kind == ResourceKind::Command {
        return refusal(site, resource, "INSERT into", any, "It is a call, and nothing undoes it.", "");
    }
    if resource.kind.is_read() && resource.delete.is_none() && resource.replace.is_none() {
        return refusal(site, resource, "INSERT into", any, "Auth0 has no call that deletes such a row.", "");
    }
    lasting(site, resource, WriteCall::Create, "INSERT into")
}

fn update(site: &Site<'_>, resource: &Resource) -> String {
    let key: Vec<_> = resource.key.iter().map(|name| ident(name)).collect();
    let key = key.join(", ");
    let mut checks = String::new();
    // What is set aside has no earlier value that anybody could write again.
    if resource.write_only().next().is_some() {
        let condition = format!(
            "exists (select from _auth0_sync.write_only w join new_rows n on w.key = {} where {})",
            key_object(resource, "n"),
            aside(site, resource)
        );
        let why = "Nobody knows the value that a write-only column had before.";
        checks += &refusal(site, resource, "UPDATE of write-only values of", &condition, why, "");
    }
    let hiding = resource.columns.iter().filter(|(name, column)| {
        column.class == Class::Writable && column.hides_parts() && !resource.key.contains(name)
    });
    for (name, _) in hiding {
        let condition = format!(
            "exists (select from old_rows o join new_rows n using ({key}) where o.{0} is distinct from n.{0})",
            ident(name)
        );
        let why = format!("Nobody knows the secrets that {name} had before.");
        checks += &refusal(site, resource, "UPDATE of", &condition, &why, name);
    }
    checks + &lasting(site, resource, WriteCall::Update, "UPDATE of")
}

fn delete(site: &Site<'_>, resource: &Resource) -> String {
    if !resource.kind.is_read() || comes_back(resource) {
        return String::new();
    }
    let why = "The row would come back with another key, or without what Auth0 alone knows of it.";
    refusal(site, resource, "DELETE from", "exists (select from old_rows)", why, "")
}

/// Whether a row that is deleted and inserted again is the same row.
fn comes_back(resource: &Resource) -> bool {
    let ours = matches!(resource.new_key, NewKey::Given | NewKey::Fixed { .. });
    let own_life = resource
        .columns
        .values()
        .any(|column| column.class == Class::ReadOnly && column.kind == ColumnType::Timestamptz);
    ours && resource.inserts()
        && !resource.sets_aside()
        && (resource.kind == ResourceKind::Association || !own_life)
}

/// Refuses or warns of what a call does besides.
fn lasting(site: &Site<'_>, resource: &Resource, on: WriteCall, what: &str) -> String {
    let of_call = resource.lasting.iter().filter(|lasting| lasting.on == on);
    let told = of_call.map(|lasting| {
        let condition = format!("exists (select from new_rows n where {})", happens(site, resource, lasting));
        if lasting.perhaps {
            let message = literal(&format!("[Auth0] {}; auth0.atomic does not take that back", lasting.effect));
            format!(
                "            if {condition} then\n                raise warning using message = {message}, schema = {}, \
                 table = {}{};\n            end if;\n",
                literal(site.schema),
                literal(&resource.table),
                hint(&lasting.hint),
            )
        } else {
            refusal_with(site, resource, what, &condition, &format!("{}.", lasting.effect), "", &lasting.hint)
        }
    });
    told.collect()
}

/// The condition that a call for row `n` has the effect.
fn happens(site: &Site<'_>, resource: &Resource, lasting: &Lasting) -> String {
    let mut conditions: Vec<String> =
        lasting.given.iter().map(|name| format!("n.{} is not null", ident(name))).collect();
    for (name, value) in &lasting.unless {
        let set_aside = resource.columns.get(name).is_some_and(|column| column.class == Class::WriteOnly);
        conditions.push(if set_aside {
            format!(
                "not exists (select from _auth0_sync.write_only w where w.key = {} and w.\"column\" = {} \
                 and w.value = '{value}'::jsonb and {})",
                key_object(resource, "n"),
                literal(name),
                aside(site, resource)
            )
        } else {
            format!("n.{} is distinct from {value}", ident(name))
        });
    }
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" and ") }
}

/// The condition that `w` is a value that the statement has set aside.
fn aside(site: &Site<'_>, resource: &Resource) -> String {
    format!(
        "w.txid = pg_current_xact_id() and w.mutation_id is null and w.schema = {} and w.\"table\" = {}",
        literal(site.schema),
        literal(&resource.table)
    )
}

fn refusal(
    site: &Site<'_>,
    resource: &Resource,
    what: &str,
    condition: &str,
    why: &str,
    column: &str,
) -> String {
    refusal_with(site, resource, what, condition, why, column, INSTEAD)
}

fn refusal_with(
    site: &Site<'_>,
    resource: &Resource,
    what: &str,
    condition: &str,
    why: &str,
    column: &str,
    instead: &str,
) -> String {
    let of = if column.is_empty() { String::new() } else { format!(".{column}") };
    let message = format!(
        "[Auth0] auth0.atomic is on, and {what} {}.{}{of} cannot be taken back at Auth0",
        site.schema, resource.table
    );
    let column = if column.is_empty() { String::new() } else { format!(", column = {}", literal(column)) };
    format!(
        "            if {condition} then\n                raise exception using errcode = '0A000', message = {}, \
         detail = {}, schema = {}, table = {}{column}{};\n            end if;\n",
        literal(&message),
        literal(why),
        literal(site.schema),
        literal(&resource.table),
        hint(instead),
    )
}

fn hint(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", hint = {}", literal(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn only_rows_of_which_auth0_keeps_nothing_of_its_own_come_back_as_they_were() {
        let catalog = Catalog::bundled().unwrap();
        let back = |table: &str| comes_back(catalog.resource(table).unwrap());
        for table in ["organization_member", "user_role", "role_permission", "organization_connection"] {
            assert!(back(table), "{table}");
        }
        for table in ["user", "role", "organization", "client", "email", "connection_scim_configuration"] {
            assert!(!back(table), "{table}");
        }
    }
}
