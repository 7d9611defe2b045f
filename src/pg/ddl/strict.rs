//! Strict mode: the statement waits until Auth0 has taken what it changes. An INSERT asks row by row
//! before each is stored, so that RETURNING shows Auth0's values; UPDATE and DELETE ask once, for all
//! their rows, when these have been captured. What is asked, and who answers, `src/writeback/strict` knows.

use super::{Access, Function, Site, Trigger};
use crate::catalog::{Class, Resource, ResourceKind};
use crate::pg::ident::{ident, literal};

/// Whether the session has asked for another mode than the default; what it has asked for is looked
/// at where it matters.
const ASKED: &str = "coalesce(current_setting('auth0.write_mode', true), '') not in ('', 'async')";

/// The functions that the triggers of all tables share.
pub(super) fn functions(site: &Site<'_>) -> Vec<Function> {
    [
        ("_strict_mac", include_str!("strict_mac.sql")),
        ("_strict_seal", include_str!("strict_seal.sql")),
        ("_strict_ask", include_str!("strict_ask.sql")),
        ("_strict_free", include_str!("strict_free.sql")),
        ("_strict_insert", include_str!("strict_insert.sql")),
        ("_strict_statement", include_str!("strict_statement.sql")),
    ]
    .into_iter()
    .map(|(name, template)| Function {
        name: name.to_owned(),
        sql: site.fill(template),
        access: Access::Nobody,
    })
    .collect()
}

/// Whether Auth0 has something to say to changes of the table.
fn is_asked(resource: &Resource) -> bool {
    resource.kind != ResourceKind::Watch
}

/// The trigger that asks before a row is stored: it fires behind the one that judges the row.
pub(super) fn before_insert(site: &Site<'_>, resource: &Resource) -> Option<Trigger> {
    if !resource.inserts() || !is_asked(resource) {
        return None;
    }
    let name = "zz_auth0_sync_strict_insert".to_owned();
    let columns = resource.columns.iter().filter(|(_, column)| column.class != Class::WriteOnly);
    let sql = format!(
        "create trigger {name} before insert on {} for each row when ({} and {ASKED}) \
         execute function {}({}, {})",
        site.name(&resource.table),
        site.client(),
        site.name("_strict_insert"),
        array(resource.key.iter().map(String::as_str)),
        array(columns.map(|(name, _)| name.as_str())),
    );
    Some(Trigger { table: resource.table.clone(), name, sql })
}

/// What a capture function declares, runs before it captures, and after it.
pub(super) fn around_capture(site: &Site<'_>, resource: &Resource) -> [String; 3] {
    if !is_asked(resource) {
        return Default::default();
    }
    let sequence = literal(&site.name("_sync_cdc"));
    [
        "declare\n    asked boolean;\n    fence bigint;\n".to_owned(),
        format!(
            "        asked := {ASKED};\n        if asked then\n            fence := nextval(pg_get_serial_sequence({sequence}, 'id'));\n        end if;\n"
        ),
        format!(
            "    if asked then\n        perform {}(tg_table_name, tg_op, fence);\n    end if;\n",
            site.name("_strict_statement")
        ),
    ]
}

/// An array of names as a literal.
fn array<'a>(names: impl Iterator<Item = &'a str>) -> String {
    literal(&format!("{{{}}}", names.map(ident).collect::<Vec<_>>().join(",")))
}
