//! Guards: what a statement may not do although Auth0 would take it. Each is a piece of a table's
//! capture function, so that it costs one look a statement and none a row.

use super::Site;
use super::judge::refuse;
use crate::catalog::{Class, Holds, Protected, Resource, ResourceKind};
use crate::pg::ident::{ident, literal};

/// Rows that one statement deletes at most, unless its client allows more.
const MAX_DELETES: &str = "100";

const INSTEAD: &str = "Change it in Auth0's dashboard, and auth0-sync's own settings with it.";

/// Refuses a statement that deletes more rows than its client has allowed.
pub(super) fn deletes(site: &Site<'_>, resource: &Resource) -> String {
    // Rows of other tables are the client's own.
    if !resource.kind.is_read() {
        return String::new();
    }
    let most = format!(
        "(case when coalesce(current_setting('auth0.max_deletes', true), '') = '' then {MAX_DELETES} else {}() end)",
        site.name("_max_deletes")
    );
    let message = literal(&format!(
        "[Auth0] the statement deletes %s rows of {}.{}, more than %s",
        site.schema, resource.table
    ));
    let hint =
        literal("If that is meant, allow it in the same transaction: set local auth0.max_deletes = %s;");
    format!(
        "        if (select count(*) from old_rows) > {most} then\n            \
         raise exception using errcode = '54000', message = format({message}, (select count(*) from old_rows), {most}), \
         hint = format({hint}, (select count(*) from old_rows)), schema = {}, table = {};\n        end if;\n",
        literal(site.schema),
        literal(&resource.table),
    )
}

/// Refuses an operation on rows that the service itself stands on.
pub(super) fn protected(site: &Site<'_>, resource: &Resource, operation: &str) -> String {
    let Some(protected) = &resource.protected else { return String::new() };
    let own = own(site, protected);
    let column = ident(&protected.column);
    let condition = match operation {
        "DELETE" => format!("exists (select from old_rows o where o.{column} in ({own}))"),
        // A command does to the row that it names what the row itself is protected from.
        "INSERT" if resource.kind == ResourceKind::Command => {
            format!("exists (select from new_rows n where n.{column} in ({own}))")
        }
        "UPDATE" => changed(site, resource, protected, &own),
        _ => return String::new(),
    };
    if condition.is_empty() {
        return String::new();
    }
    let message = literal(&format!("auth0-sync itself uses this row of {}.{}", site.schema, resource.table));
    let told = refuse(site, resource, "55006", &message, &protected.column, INSTEAD);
    format!("        if {condition} then\n    {told}        end if;\n")
}

/// Whether one of the rows changes in a column that matters.
fn changed(site: &Site<'_>, resource: &Resource, protected: &Protected, own: &str) -> String {
    let column = ident(&protected.column);
    let matters = |name: &String| protected.columns.is_empty() || protected.columns.contains(name);
    let (mut shown, mut aside) = (Vec::new(), Vec::new());
    for (name, about) in resource.columns.iter().filter(|(name, _)| matters(name)) {
        match about.class {
            Class::Writable => shown.push(format!("o.{0} is distinct from n.{0}", ident(name))),
            Class::WriteOnly => aside.push(literal(name)),
            Class::ReadOnly | Class::CreateOnly => {}
        }
    }
    let mut conditions = Vec::new();
    if !shown.is_empty() {
        let key: Vec<_> = resource.key.iter().map(|name| ident(name)).collect();
        conditions.push(format!(
            "exists (select from old_rows o join new_rows n using ({}) where o.{column} in ({own}) and ({}))",
            key.join(", "),
            shown.join(" or ")
        ));
    }
    if !aside.is_empty() {
        conditions.push(format!(
            "exists (select from _auth0_sync.write_only w where w.txid = pg_current_xact_id() and w.mutation_id is null \
             and w.schema = {} and w.\"table\" = {} and w.\"column\" in ({}) and w.key ->> {} in ({own}))",
            literal(site.schema),
            literal(&resource.table),
            aside.join(", "),
            literal(&protected.column),
        ));
    }
    conditions.join(" or ")
}

/// What the column of a protected row holds.
fn own(site: &Site<'_>, protected: &Protected) -> String {
    let schema = literal(site.schema);
    match protected.holds {
        Holds::OwnClient => format!("select t.client_id from _auth0_sync.tenant t where t.schema = {schema}"),
        Holds::OwnPart => format!("select p.key from _auth0_sync.webhook_own p where p.schema = {schema}"),
    }
}
