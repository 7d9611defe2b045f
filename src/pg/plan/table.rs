//! What one mirror table or view lacks.

use super::deselect::DESELECTED;
use super::{MARK, Plan, mark};
use crate::catalog::Resource;
use crate::pg::ddl;
use crate::pg::ident::{ident, literal};

impl Plan<'_> {
    /// Everything of one table or view. Of a new one, or one that is selected again, it is one change.
    pub(super) fn resource(&mut self, resource: &Resource) {
        let table = &resource.table;
        let begun = self.changes.len();
        let is_new = !self.existing.columns.contains_key(table);
        if resource.is_table() {
            self.table(resource);
            self.machinery(resource);
        } else {
            self.view(resource);
        }
        self.hide(resource);
        let wanted = ddl::table_comment(resource);
        let comment = self.existing.relations.get(table).and_then(|there| there.comment.as_deref());
        if comment != Some(wanted.as_str()) {
            let word = if resource.is_table() { "table" } else { "view" };
            let name = self.site.name(table);
            self.change(
                format!("comment on {word} {}.{table}", self.site.schema),
                format!("comment on {word} {name} is {}", literal(&wanted)),
            );
        }
        self.grant(table);
        if is_new {
            self.fold(begun, None);
        } else if comment == Some(DESELECTED) {
            self.fold(begun, Some(format!("sync {}.{table} again", self.site.schema)));
        }
    }

    /// Makes one change of those since `begun`, called so or as the first of them.
    pub(super) fn fold(&mut self, begun: usize, what: Option<String>) {
        let all = self.changes.split_off(begun);
        if let Some(first) = all.first().map(|first| first.what.clone()) {
            let sql: Vec<_> = all.into_iter().map(|change| change.sql).collect();
            self.change(what.unwrap_or(first), sql.join(";\n"));
        }
    }

    fn table(&mut self, resource: &Resource) {
        let (schema, table) = (self.site.schema, &resource.table);
        let name = self.site.name(table);
        let columns = ddl::columns(resource);
        let Some(there) = self.existing.columns.get(table) else {
            let list: Vec<_> = columns.iter().map(|c| format!("{} {}", ident(&c.name), c.sql_type)).collect();
            let key: Vec<_> = resource.key.iter().map(|column| ident(column)).collect();
            let mut parts = vec![
                format!("create table {name} ({}, primary key ({}))", list.join(", "), key.join(", ")),
                self.ours(table),
            ];
            parts.extend(resource.is_read().then(|| self.fill_again(table)));
            parts.extend(columns.iter().map(|column| comment_on(&name, column)));
            parts.extend(ddl::indexes(resource).iter().map(|index| index.sql(self.site, table, false)));
            self.change(
                format!("create table {schema}.{table} ({} columns)", columns.len()),
                parts.join(";\n"),
            );
            return;
        };
        let mut fill = resource.is_read() && !self.existing.filled.contains(table);
        for column in &columns {
            let what = format!("{schema}.{table}.{}", column.name);
            match there.get(&column.name) {
                // What Auth0 has in it comes with the next filling.
                None => {
                    fill = resource.is_read();
                    let sql = format!(
                        "alter table {name} add column {} {};\n{}",
                        ident(&column.name),
                        column.sql_type,
                        comment_on(&name, column),
                    );
                    self.change(format!("add column {what}"), sql);
                }
                Some(actual) if actual.comment.as_deref() != Some(column.comment.as_str()) => {
                    let hidden = actual.comment.as_deref().is_some_and(ddl::is_hidden);
                    fill = fill || (hidden && resource.is_read());
                    let verb = if hidden { "sync column" } else { "comment on column" };
                    self.change(format!("{verb} {what}"), comment_on(&name, column));
                }
                Some(_) => {}
            }
        }
        if fill {
            self.change(format!("fill {schema}.{table}"), self.fill_again(table));
        }
        for index in ddl::indexes(resource) {
            if self.existing.indexed.contains(&(table.clone(), index.column.clone())) {
                continue;
            }
            if self.existing.broken_indexes.contains(&index.name) {
                self.alone(
                    format!("drop index {schema}.{}, which is unfinished", index.name),
                    format!("drop index concurrently {}", self.site.name(&index.name)),
                );
            }
            self.alone(
                format!("index {schema}.{table} ({})", index.column),
                index.sql(self.site, table, true),
            );
        }
    }

    /// Functions and triggers, and those that are no longer wanted.
    fn machinery(&mut self, resource: &Resource) {
        let hidden = if self.drop { Vec::new() } else { self.hidden(resource) };
        let (functions, triggers) = ddl::machinery(self.site, resource, &hidden);
        for function in &functions {
            self.function(function);
        }
        for trigger in &triggers {
            self.trigger(trigger);
        }
        let kept: Vec<_> = triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        self.drop_triggers(&resource.table, &kept);
        let kept: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
        self.drop_functions(&resource.table, &kept);
    }

    pub(super) fn drop_triggers(&mut self, table: &str, kept: &[&str]) {
        let old = self.existing.triggers.iter().filter(|((of, name), comment)| {
            let ours = comment.as_deref().is_some_and(|comment| comment.starts_with(MARK));
            of == table && ours && !kept.contains(&name.as_str())
        });
        let mut names: Vec<_> = old.map(|((_, name), _)| name.clone()).collect();
        names.sort();
        for trigger in names {
            self.change(
                format!("drop trigger {trigger} on {}.{table}", self.site.schema),
                format!("drop trigger {} on {}", ident(&trigger), self.site.name(table)),
            );
        }
    }

    pub(super) fn drop_functions(&mut self, table: &str, kept: &[&str]) {
        for name in ddl::function_names(table) {
            if self.existing.functions.contains_key(&name) && !kept.contains(&name.as_str()) {
                self.change(
                    format!("drop function {}.{name}", self.site.schema),
                    // Of one name there is one.
                    format!("drop function {}", self.site.name(&name)),
                );
            }
        }
    }

    fn view(&mut self, resource: &Resource) {
        let (schema, table) = (self.site.schema, &resource.table);
        let name = self.site.name(table);
        // A view loses columns only by being made anew; then others get their privileges again.
        let anew = self.drop && !self.hidden(resource).is_empty();
        let there = self.existing.columns.get(table).filter(|_| !anew);
        let shown: Vec<_> = there
            .into_iter()
            .flatten()
            .map(|(column, actual)| (column.clone(), actual.sql_type.clone()))
            .collect();
        let Some(statement) = ddl::view(self.site, resource, &shown) else { return };
        let digest = mark(&statement);
        let known = self.existing.relations.get(table).and_then(|view| view.definition.as_deref());
        if anew || known != Some(digest.as_str()) {
            let mut sql = Vec::new();
            if anew {
                sql.push(format!("drop view {name}"));
            }
            sql.extend([
                statement,
                format!("comment on rule \"_RETURN\" on {name} is {}", literal(&digest)),
                self.ours(table),
            ]);
            if anew {
                sql.push(format!("comment on view {name} is {}", literal(&ddl::table_comment(resource))));
                sql.extend(self.existing.view_grants.get(table).into_iter().flatten().cloned());
            }
            let verb = match self.existing.columns.contains_key(table) {
                false => "create",
                true if anew => "make anew",
                true => "define",
            };
            self.change(
                format!("{verb} view {schema}.{table} ({} columns)", resource.columns.len()),
                sql.join(";\n"),
            );
        }
        for column in ddl::columns(resource) {
            let actual = there.and_then(|there| there.get(&column.name));
            if actual.and_then(|actual| actual.comment.as_ref()) != Some(&column.comment) {
                self.change(
                    format!("comment on column {schema}.{table}.{}", column.name),
                    comment_on(&name, &column),
                );
            }
        }
    }

    fn grant(&mut self, table: &str) {
        if self.existing.granted.get(table) == Some(&true) {
            return;
        }
        let (schema, name) = (self.site.schema, self.site.name(table));
        let reader = ident(&format!("{schema}_reader"));
        let writer = ident(&format!("{schema}_writer"));
        self.change(
            format!("grant on {schema}.{table}"),
            format!(
                "grant select on {name} to {reader}; grant select, insert, update, delete on {name} to {writer}"
            ),
        );
    }

    /// Notes that setup made it.
    fn ours(&self, table: &str) -> String {
        format!(
            "insert into _auth0_sync.mirror (schema, \"table\") values ({}, {}) on conflict do nothing",
            literal(self.site.schema),
            literal(table)
        )
    }

    /// Puts a table into the queue of the backfill, whether it has been filled before or not.
    fn fill_again(&self, table: &str) -> String {
        format!(
            "insert into _auth0_sync.backfill (schema, \"table\", state) values ({}, {}, 'waiting') \
             on conflict (schema, \"table\") do update set state = 'waiting', error = null, finished_at = null",
            literal(self.site.schema),
            literal(table)
        )
    }
}

fn comment_on(table: &str, column: &ddl::ColumnDef) -> String {
    format!("comment on column {table}.{} is {}", ident(&column.name), literal(&column.comment))
}
