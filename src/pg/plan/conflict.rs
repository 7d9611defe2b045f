//! What stands in the way: objects of somebody else under the names that the service needs.

use super::{Existing, Goal, deselect, same_type};
use crate::pg::ddl::{self, Site};
use crate::pg::ident::ident;

/// An object that stands in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Names the object and its owner.
    pub what: String,
    /// A statement or an advice.
    pub mend: String,
}

/// Everything that keeps the schema from mirroring the tenant; nothing in a new database.
pub fn conflicts(goal: &Goal<'_>, existing: &Existing) -> Vec<Conflict> {
    let Goal { catalog, schema, role, domain, .. } = *goal;
    let mut found = Vec::new();
    let mut conflict = |what: String, mend: String| found.push(Conflict { what, mend });
    let service = ident(role);
    if let Some(other) = existing.domain.as_deref().filter(|other| host(other) != host(domain)) {
        conflict(
            format!("schema {schema} mirrors the tenant {other}, not {domain}"),
            "configure another schema for this tenant, or the other AUTH0_DOMAIN; two tenants never share a schema"
                .to_owned(),
        );
    }
    for name in [schema, "_auth0_sync"] {
        if let Some(owner) = existing.stranger("schema", name) {
            conflict(
                format!("schema {name} exists and belongs to {owner}"),
                format!("alter schema {} owner to {service}, or configure another schema", ident(name)),
            );
        }
    }
    if existing.has_bookkeeping && existing.domain.is_none() {
        conflict(
            format!("{schema}._sync_cdc exists, and auth0-sync did not make it"),
            "rename or drop it, or configure another schema".to_owned(),
        );
    }
    for resource in catalog.iter() {
        let table = resource.table.as_str();
        let Some(there) = existing.columns.get(table) else { continue };
        let name = format!("{}.{}", ident(schema), ident(table));
        if !existing.ours.contains(table) {
            conflict(
                format!("{schema}.{table} exists, and auth0-sync did not make it"),
                format!("rename it (alter table {name} rename to …), drop it, or configure another schema"),
            );
            continue;
        }
        if let Some(owner) = existing.stranger("relation", table) {
            conflict(
                format!("{schema}.{table} belongs to {owner}, not to {role}"),
                format!("alter table {name} owner to {service}"),
            );
        }
        let (kind, word) = if resource.is_table() { ("r", "table") } else { ("v", "view") };
        if existing.relations.get(table).is_none_or(|relation| relation.kind != kind) {
            conflict(
                format!("{schema}.{table} is not the {word} that the catalogue wants"),
                format!(
                    "rename or drop it (drop table {name}, or drop view {name}); setup then makes the {word}"
                ),
            );
            continue;
        }
        for column in ddl::columns(resource) {
            let Some(known) = there.get(&column.name) else { continue };
            if !known.comment.as_deref().is_some_and(ddl::is_ours) {
                conflict(
                    format!(
                        "column {} of {schema}.{table} exists, and auth0-sync did not make it",
                        column.name
                    ),
                    format!("alter table {name} rename column {} to …", ident(&column.name)),
                );
                continue;
            }
            let actual = known.sql_type.as_str();
            if !same_type(actual, column.sql_type) {
                conflict(
                    format!(
                        "column {} of {schema}.{table} is {actual}, not {}",
                        column.name, column.sql_type
                    ),
                    format!(
                        "alter table {name} rename column {} to …; setup then adds it anew",
                        ident(&column.name)
                    ),
                );
            }
        }
    }
    let site = Site { schema, role };
    let of_tables = catalog.iter().flat_map(|resource| ddl::function_names(&resource.table));
    let made = ddl::functions(&site).into_iter().chain(ddl::described(&site, catalog));
    for function in made.map(|function| function.name).chain(of_tables) {
        if let Some(owner) = existing.stranger("function", &function) {
            conflict(
                format!("function {schema}.{function} belongs to {owner}, not to {role}"),
                format!(
                    "alter routine {}.{} owner to {service}, or drop it",
                    ident(schema),
                    ident(&function)
                ),
            );
        }
    }
    if let Some(owner) = existing.stranger("publication", "auth0_sync") {
        conflict(
            format!("publication auth0_sync belongs to {owner}, not to {role}"),
            format!("alter publication auth0_sync owner to {service}, or drop it"),
        );
    } else if existing.publication.is_some_and(|publication| publication.all_tables) {
        conflict(
            "publication auth0_sync publishes all tables".to_owned(),
            "drop publication auth0_sync; setup makes it for _sync_cdc alone".to_owned(),
        );
    }
    found.extend(deselect::conflicts(goal, existing));
    found
}

/// A domain without its port: an emulator may come back on another one, and a tenant has none.
fn host(domain: &str) -> &str {
    domain.split_once(':').map_or(domain, |(host, _)| host)
}
