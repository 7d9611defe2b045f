//! DDL from the catalogue: mirror tables, capture and judgement triggers, `_sync_cdc` and the
//! functions that clients call. It only makes text; [`mod@super::plan`] compares and runs it.

mod atomic;
mod calls_of;
mod capture;
mod columns_of;
mod guard;
mod index;
mod judge;
mod refusal;
mod strict;
mod table;
mod update;
mod valid;

use calls_of::calls_of;
use capture::{capture, capture_name};
use columns_of::columns_of;
pub(super) use index::indexes;
use judge::{judge, judge_name};
pub(super) use refusal::deselected;
use refusal::refusals;
pub(super) use table::{ColumnDef, columns, hidden_comment, is_hidden, is_ours, table_comment, view};
use update::refuse_name;

use serde_json::{Map, Value};

use super::ident::{ident, literal};
use crate::catalog::{Catalog, Resource};

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

    /// The condition that a client speaks and not the service. By text: a `name` is 64 bytes long wherever a
    /// condition is read, and a trigger's is read for every statement.
    fn client(&self) -> String {
        format!("session_user <> {}::text", literal(self.role))
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
    /// Which applications may call it.
    pub(super) access: Access,
}

/// Which applications may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// None has a reason to.
    Nobody,
    /// Those that read.
    Readers,
    /// Those that write: it does with the service's rights what writers may.
    Writers,
}

/// A trigger of a mirror table.
pub(super) struct Trigger {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) sql: String,
}

/// `_sync_cdc` with its indexes and comments.
pub(super) fn bookkeeping(site: &Site<'_>) -> String {
    site.fill(include_str!("bookkeeping.sql")) + &bookkeeping_states(site)
}

/// What a `_sync_cdc` of an earlier version lacks.
pub(super) fn bookkeeping_options(site: &Site<'_>) -> String {
    site.fill(include_str!("bookkeeping_options.sql"))
}

/// The checks of `_sync_cdc`; those of an earlier version may not know every state.
pub(super) fn bookkeeping_states(site: &Site<'_>) -> String {
    site.fill(include_str!("bookkeeping_states.sql"))
}

/// Functions that do not depend on a table.
pub(super) fn functions(site: &Site<'_>) -> Vec<Function> {
    let fixed = [
        ("_changed_keys", Access::Nobody, include_str!("changed_keys.sql")),
        ("_refuse_statement", Access::Nobody, include_str!("refuse_statement.sql")),
        ("_remember", Access::Nobody, include_str!("remember.sql")),
        ("_switch", Access::Nobody, include_str!("switch.sql")),
        ("_settings", Access::Nobody, include_str!("settings.sql")),
        ("_max_deletes", Access::Nobody, include_str!("max_deletes.sql")),
        ("_check_atomic", Access::Nobody, include_str!("check_atomic.sql")),
        ("_end_hold", Access::Nobody, include_str!("end_hold.sql")),
        ("wait_for", Access::Readers, include_str!("wait_for.sql")),
        ("wait", Access::Readers, include_str!("wait.sql")),
        ("write", Access::Readers, include_str!("write.sql")),
        ("release", Access::Writers, include_str!("release.sql")),
        ("discard", Access::Writers, include_str!("discard.sql")),
        ("_with_keys", Access::Readers, include_str!("with_keys.sql")),
        ("_write_image", Access::Readers, include_str!("write_image.sql")),
        ("retry", Access::Readers, include_str!("retry.sql")),
        ("undo", Access::Readers, include_str!("undo.sql")),
        ("_tell_aside", Access::Nobody, include_str!("tell_aside.sql")),
        ("_fill_template", Access::Nobody, include_str!("fill_template.sql")),
        ("_fill_path", Access::Nobody, include_str!("fill_path.sql")),
        ("_plan_imports", Access::Nobody, include_str!("plan_imports.sql")),
        ("plan", Access::Readers, include_str!("plan.sql")),
    ];
    let filled = fixed.into_iter().map(|(name, access, template)| Function {
        name: name.to_owned(),
        sql: site.fill(template),
        access,
    });
    filled.chain(strict::functions(site)).collect()
}

/// A function that returns what is known of a table.
fn by_table(site: &Site<'_>, name: &str, tables: Map<String, Value>, access: Access) -> Function {
    let sql = format!(
        "create or replace function {}(\"table\" text) returns jsonb\nlanguage sql immutable parallel safe\n\
         set search_path = pg_catalog, pg_temp\nas $body$\n    select {}::jsonb -> $1\n$body$",
        site.name(name),
        literal(&Value::Object(tables).to_string()),
    );
    Function { name: name.to_owned(), sql, access }
}

/// Functions that tell others what is selected of the catalogue.
pub(super) fn described(site: &Site<'_>, catalog: &Catalog) -> [Function; 2] {
    [columns_of(site, catalog), calls_of(site, catalog)]
}

/// The functions and triggers of a mirror table: judgement, capture, refusals. Columns that are
/// there and not mirrored any more take no values.
pub(super) fn machinery(
    site: &Site<'_>,
    resource: &Resource,
    hidden: &[&str],
) -> (Vec<Function>, Vec<Trigger>) {
    let (mut functions, mut triggers) = judge(site, resource, hidden);
    if let Some((function, of_function)) = capture(site, resource, hidden) {
        functions.push(function);
        triggers.extend(of_function);
    }
    triggers.extend(strict::before_insert(site, resource));
    triggers.extend(refusals(site, resource));
    (functions, triggers)
}

/// Names of the functions that a table may have.
pub(super) fn function_names(table: &str) -> [String; 3] {
    [judge_name(table), refuse_name(table), capture_name(table)]
}
