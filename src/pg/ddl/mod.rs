//! DDL from the catalogue: mirror tables, capture and judgement triggers, `_sync_cdc` and the
//! functions that clients call. It only makes text; [`mod@super::plan`] compares and runs it.

mod capture;
mod judge;
mod table;

pub(super) use capture::capture;
pub(super) use judge::judge;
pub(super) use table::{ColumnDef, columns, table_comment};

use super::ident::{ident, literal};
use crate::catalog::{Resource, ResourceKind};

/// Where the objects go and who the service is.
#[derive(Clone, Debug)]
pub(super) struct Site<'a> {
    /// The tenant's schema, unquoted.
    pub(super) schema: &'a str,
    /// The service's login role, unquoted.
    pub(super) role: &'a str,
}

impl Site<'_> {
    /// A name in the tenant's schema, quoted.
    pub(super) fn name(&self, object: &str) -> String {
        format!("{}.{}", ident(self.schema), ident(object))
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("{schema}", &ident(self.schema))
            .replace("{schema_literal}", &literal(self.schema))
            .replace("{schema_text}", self.schema)
    }
}

/// A function: its name, and the statement that makes it.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) sql: String,
    /// Whether applications may call it.
    pub(super) public: bool,
}

/// A trigger of a mirror table.
pub(super) struct Trigger {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) sql: String,
}

/// `_sync_cdc` with its indexes and comments.
pub(super) fn bookkeeping(site: &Site<'_>) -> String {
    site.fill(include_str!("bookkeeping.sql"))
}

/// Functions that do not depend on a table.
pub(super) fn functions(site: &Site<'_>) -> Vec<Function> {
    [
        ("_changed_keys", false, include_str!("changed_keys.sql")),
        ("_refuse_statement", false, include_str!("refuse_statement.sql")),
        ("_remember", false, include_str!("remember.sql")),
        ("wait_for", true, include_str!("wait_for.sql")),
        ("wait", true, include_str!("wait.sql")),
    ]
    .into_iter()
    .map(|(name, public, template)| Function { name: name.to_owned(), sql: site.fill(template), public })
    .collect()
}

/// Triggers that refuse whole statements: TRUNCATE always, and what Auth0 has no call for.
pub(super) fn refusals(site: &Site<'_>, resource: &Resource) -> Vec<Trigger> {
    let table = &resource.table;
    let mut refused = vec![(
        "truncate",
        format!("TRUNCATE of {}.{table} is not possible", site.schema),
        "DELETE the rows: each is deleted at Auth0 too.".to_owned(),
    )];
    let mut refuse = |operation, possible: bool, verb: &str| {
        if !possible {
            let hint = match resource.kind {
                ResourceKind::Singleton => "The table has exactly one row; UPDATE it.".to_owned(),
                ResourceKind::Association if operation == "update" => {
                    "INSERT the new link and DELETE the old one.".to_owned()
                }
                _ => "Auth0's Management API has no call for it.".to_owned(),
            };
            refused.push((operation, format!("rows of {}.{table} cannot be {verb}", site.schema), hint));
        }
    };
    refuse("insert", resource.create.is_some(), "inserted");
    refuse("update", resource.update.is_some(), "updated");
    refuse("delete", resource.delete.is_some(), "deleted");
    refused
        .into_iter()
        .map(|(operation, message, hint)| {
            let name = format!("auth0_sync_refuse_{operation}");
            let sql = format!(
                "create trigger {name} before {operation} on {} for each statement when (session_user <> {}) \
                 execute function {}({}, {})",
                site.name(table),
                literal(site.role),
                site.name("_refuse_statement"),
                literal(&message),
                literal(&hint),
            );
            Trigger { table: table.clone(), name, sql }
        })
        .collect()
}
