//! Tables and columns that are not selected any more: they stay and are no longer synced, or are
//! dropped where the goal says so.

use super::{Existing, Goal};
use super::{Plan, conflict::Conflict};
use crate::catalog::{Catalog, Resource};
use crate::pg::ddl;
use crate::pg::ident::{ident, literal};

/// The comment of a table that is not selected any more.
pub(super) const DESELECTED: &str = "Not selected: no longer synced with Auth0; its rows are as they were.";

impl Existing {
    /// Tables and views that setup made and that are not selected any more, views first.
    fn deselected(&self, catalog: &Catalog) -> Vec<&str> {
        let ours = self.ours.iter().map(String::as_str);
        let mut tables: Vec<_> = ours.filter(|table| catalog.get(table).is_none()).collect();
        tables.sort_by_key(|table| (!self.is_view(table), *table));
        tables
    }

    fn is_view(&self, table: &str) -> bool {
        self.relations.get(table).is_some_and(|relation| relation.kind == "v")
    }

    /// Columns of a table that setup made and that are not mirrored any more.
    fn hidden(&self, resource: &Resource) -> Vec<&str> {
        let there = self.columns.get(&resource.table).into_iter().flatten();
        there
            .filter(|(name, _)| !resource.columns.contains_key(*name) && *name != "extra")
            .filter(|(_, column)| column.comment.as_deref().is_some_and(ddl::is_ours))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn is_synced(&self, table: &str) -> bool {
        let comment = self.relations.get(table).and_then(|relation| relation.comment.as_deref());
        comment != Some(DESELECTED)
    }

    fn is_hidden(&self, table: &str, column: &str) -> bool {
        let column = self.columns.get(table).and_then(|columns| columns.get(column));
        column.and_then(|column| column.comment.as_deref()).is_some_and(ddl::is_hidden)
    }

    /// What of somebody else's hangs on a table (or one column of it), by name.
    fn users(&self, table: &str, column: Option<&str>, of_keys_alone: bool) -> Vec<&str> {
        let mut users: Vec<&str> = self
            .uses
            .iter()
            .filter(|used| used.of == table && used.our_view.is_none())
            .filter(|used| column.is_none() || used.column.as_deref() == column)
            .filter(|used| !of_keys_alone || used.what.starts_with("foreign key"))
            .map(|used| used.what.as_str())
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

impl Plan<'_> {
    /// Columns of a table that are there and not mirrored any more.
    pub(super) fn hidden(&self, resource: &Resource) -> Vec<&str> {
        self.existing.hidden(resource)
    }

    /// Stops syncing the tables that are not selected any more.
    pub(super) fn deselect(&mut self, catalog: &Catalog) {
        let schema = self.site.schema;
        for table in self.existing.deselected(catalog) {
            let forget = format!(
                "delete from _auth0_sync.mirror where schema = {0} and \"table\" = {1};\n\
                 delete from _auth0_sync.backfill where schema = {0} and \"table\" = {1}",
                literal(schema),
                literal(table)
            );
            let begun = self.changes.len();
            if !self.existing.relations.contains_key(table) {
                self.change(format!("forget {schema}.{table}, which somebody has dropped"), forget);
            } else if self.drop {
                let word = if self.existing.is_view(table) { "view" } else { "table" };
                self.change(
                    format!("drop {word} {schema}.{table}"),
                    format!("drop {word} {}", self.site.name(table)),
                );
                self.drop_functions(table, &[]);
                self.change(String::new(), forget);
                self.fold(begun, None);
            } else if !self.existing.is_view(table) {
                self.stop(table);
                self.fold(begun, Some(format!("no longer sync {schema}.{table}; its rows stay")));
            }
        }
    }

    fn stop(&mut self, table: &str) {
        let triggers = ddl::deselected(self.site, table);
        for trigger in &triggers {
            self.trigger(trigger);
        }
        let kept: Vec<_> = triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        self.drop_triggers(table, &kept);
        self.drop_functions(table, &[]);
        if self.existing.is_synced(table) {
            // The triggers' locks keep new changes away; what came before them is seen here.
            self.change(String::new(), self.nothing_unsettled(table, None));
            let sql = format!(
                "comment on table {} is {};\ndelete from _auth0_sync.backfill where schema = {} and \"table\" = {}",
                self.site.name(table),
                literal(DESELECTED),
                literal(self.site.schema),
                literal(table)
            );
            self.change(String::new(), sql);
        }
    }

    /// Empties the columns that are not mirrored any more, or drops them.
    pub(super) fn hide(&mut self, resource: &Resource) {
        let (table, name) = (resource.table.as_str(), self.site.name(&resource.table));
        let existing = self.existing;
        for column in existing.hidden(resource) {
            let what = format!("{}.{table}.{column}", self.site.schema);
            let known = existing.columns.get(table).and_then(|columns| columns.get(column));
            let comment = known.and_then(|known| known.comment.as_deref()).unwrap_or_default();
            let was_hidden = ddl::is_hidden(comment);
            let marked = format!(
                "comment on column {name}.{} is {}",
                ident(column),
                literal(&ddl::hidden_comment(comment))
            );
            if !resource.is_table() {
                if !self.drop && !was_hidden {
                    self.change(format!("hide column {what}: it shows NULL"), marked);
                }
                continue;
            }
            let mut sql = Vec::new();
            if !was_hidden {
                sql.push(self.nothing_unsettled(table, Some(column)));
            }
            if self.drop {
                sql.push(format!("alter table {name} drop column {}", ident(column)));
                let change =
                    super::Change { what: format!("drop column {what}"), sql: sql.join(";\n"), alone: false };
                self.last.push(change);
            } else if !was_hidden || existing.stale.contains(&(table.to_owned(), column.to_owned())) {
                // Values that nobody keeps up to date would deceive.
                sql.push(format!("update {name} set {0} = null where {0} is not null", ident(column)));
                sql.push(marked);
                self.change(format!("hide column {what}: it is emptied"), sql.join(";\n"));
            }
        }
    }

    fn nothing_unsettled(&self, table: &str, column: Option<&str>) -> String {
        let named = column
            .map(|column| format!(" and (before ? {0} or after ? {0})", literal(column)))
            .unwrap_or_default();
        let message = format!("[Auth0] {}.{table} has unsettled changes", self.site.schema);
        format!(
            "do $body$ begin if exists (select from {} where \"table\" = {} and settled_at is null{named}) then \
             raise exception using errcode = '55006', message = {}; end if; end $body$",
            self.site.name("_sync_cdc"),
            literal(table),
            literal(&message)
        )
    }
}

/// What keeps tables and columns from being no longer mirrored, or from being dropped.
pub(super) fn conflicts(goal: &Goal<'_>, existing: &Existing) -> Vec<Conflict> {
    let mut found = Vec::new();
    let schema = goal.schema;
    let settle = "let the service settle them (see `auth0-sync status`), then run setup again";
    let mut hangs = |what: &str, users: Vec<&str>| {
        if !users.is_empty() {
            found.push(Conflict {
                what: format!("{what} cannot go: {} hangs on it", users.join(", ")),
                mend: "drop that first, or select it again".to_owned(),
            });
        }
    };
    for table in existing.deselected(goal.catalog) {
        if goal.drop {
            hangs(&format!("{schema}.{table}"), existing.users(table, None, false));
        }
    }
    for resource in goal.catalog.iter() {
        let table = resource.table.as_str();
        let hidden = existing.hidden(resource);
        if goal.drop && !resource.is_table() && !hidden.is_empty() {
            hangs(&format!("view {schema}.{table}"), existing.users(table, None, false));
            continue;
        }
        for column in hidden {
            // An emptied column leaves views whole; what refers to its values it does not.
            let users = existing.users(table, Some(column), !goal.drop);
            hangs(&format!("column {schema}.{table}.{column}"), users);
        }
    }
    for table in existing.deselected(goal.catalog) {
        let number = existing.unsettled.get(table).map_or(0, |unsettled| unsettled.number);
        if number > 0 && existing.is_synced(table) {
            found.push(Conflict {
                what: format!("{schema}.{table} is no longer selected and has unsettled changes: {number}"),
                mend: settle.to_owned(),
            });
        }
    }
    for resource in goal.catalog.iter() {
        let Some(unsettled) = existing.unsettled.get(&resource.table) else { continue };
        for column in existing.hidden(resource) {
            if unsettled.columns.contains(column) && !existing.is_hidden(&resource.table, column) {
                found.push(Conflict {
                    what: format!("unsettled changes of {schema}.{} name column {column}", resource.table),
                    mend: settle.to_owned(),
                });
            }
        }
    }
    found
}
