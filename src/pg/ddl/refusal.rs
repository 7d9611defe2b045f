//! Triggers that refuse whole statements: TRUNCATE always, and what Auth0 has no call for.

use super::{Site, Trigger};
use crate::catalog::{Lifecycle, Resource, ResourceKind};
use crate::pg::ident::literal;

/// The triggers of a table.
pub(super) fn refusals(site: &Site<'_>, resource: &Resource) -> Vec<Trigger> {
    let table = &resource.table;
    let truncate = format!("TRUNCATE of {}.{table} is not possible", site.schema);
    let mut triggers = vec![refuse(site, table, "truncate", &truncate, &truncate_hint(resource))];
    for (operation, possible, verb) in [
        ("insert", resource.inserts(), "inserted"),
        ("update", resource.updates(), "updated"),
        ("delete", resource.deletes(), "deleted"),
    ] {
        if !possible {
            let message = format!("rows of {}.{table} cannot be {verb}", site.schema);
            triggers.push(refuse(site, table, operation, &message, &hint(resource, operation)));
        }
    }
    triggers
}

/// The triggers of a table that is no longer selected.
pub(in crate::pg) fn deselected(site: &Site<'_>, table: &str) -> Vec<Trigger> {
    let message = format!("{}.{table} is not selected: it is no longer synced", site.schema);
    let hint = "Name it in objects of auth0-sync.toml and run `auth0-sync setup`; \
                `auth0-sync setup --drop` drops what is not selected.";
    ["insert", "update", "delete", "truncate"]
        .map(|operation| refuse(site, table, operation, &message, hint))
        .into()
}

fn refuse(site: &Site<'_>, table: &str, operation: &str, message: &str, hint: &str) -> Trigger {
    let name = format!("auth0_sync_refuse_{operation}");
    let sql = format!(
        "create trigger {name} before {operation} on {} for each statement when ({}) \
         execute function {}({}, {})",
        site.name(table),
        site.client(),
        site.name("_refuse_statement"),
        literal(message),
        literal(hint),
    );
    Trigger { table: table.to_owned(), name, sql }
}

/// What to do instead, or why not.
fn hint(resource: &Resource, operation: &str) -> String {
    if let Some(instead) = &resource.refusal {
        return instead.clone();
    }
    let again = resource.inserts() && resource.deletes();
    let hint = match (resource.kind, operation) {
        _ if resource.lifecycle == Lifecycle::Ended => "Auth0 ended it.",
        (ResourceKind::Command, "update") => "INSERT a new row: each row is one call.",
        (ResourceKind::Association, "update") if again => "INSERT the new link and DELETE the old one.",
        (_, "update") if again => "DELETE the row and INSERT it again.",
        (ResourceKind::Singleton, _) if resource.updates() && !again => {
            "The table has exactly one row; UPDATE it."
        }
        _ => "Auth0's Management API has no call for it.",
    };
    hint.to_owned()
}

fn truncate_hint(resource: &Resource) -> String {
    let hint = match resource.kind {
        ResourceKind::Command => "DELETE the rows that are settled.",
        ResourceKind::Watch => "DELETE the rows.",
        _ if resource.deletes() => "DELETE the rows: each is deleted at Auth0 too.",
        _ => return hint(resource, "delete"),
    };
    hint.to_owned()
}
