//! Columns and comments of a mirror table, and the statement of a view.

use super::Site;
use crate::catalog::{Column, Lifecycle, Resource, ResourceKind};
use crate::pg::ident::ident;

/// One column as DDL sees it.
pub(in crate::pg) struct ColumnDef {
    pub(in crate::pg) name: String,
    pub(in crate::pg) sql_type: &'static str,
    pub(in crate::pg) comment: String,
}

/// The catalogue's columns in order, and `extra` where Auth0 sends rows.
pub(in crate::pg) fn columns(resource: &Resource) -> Vec<ColumnDef> {
    let described = resource.columns.iter().map(|(name, column)| ColumnDef {
        name: name.clone(),
        sql_type: column.kind.sql(),
        comment: comment(column),
    });
    let extra = resource.is_table().then(|| ColumnDef {
        name: "extra".to_owned(),
        sql_type: "jsonb",
        comment: "Fields that Auth0 sends and this version of auth0-sync does not know. (read-only)"
            .to_owned(),
    });
    described.chain(extra).collect()
}

fn comment(column: &Column) -> String {
    format!("{} ({})", column.comment, column.class.as_str())
}

/// How the comment of a column ends that is not mirrored any more.
const HIDDEN: &str = " (hidden: not synced)";

/// What the comments of columns end with that setup made; a column without it is somebody else's.
const MARKS: [&str; 5] = [" (read-only)", " (create-only)", " (writable)", " (write-only)", HIDDEN];

/// Whether setup made the column with this comment.
pub(in crate::pg) fn is_ours(comment: &str) -> bool {
    MARKS.iter().any(|mark| comment.ends_with(mark))
}

/// Whether the column with this comment is not mirrored any more.
pub(in crate::pg) fn is_hidden(comment: &str) -> bool {
    comment.ends_with(HIDDEN)
}

/// The comment of such a column, from the one that it had.
pub(in crate::pg) fn hidden_comment(comment: &str) -> String {
    let text = MARKS.iter().find_map(|mark| comment.strip_suffix(mark)).unwrap_or(comment);
    format!("{text}{HIDDEN}")
}

/// The comment of the table or view.
pub(in crate::pg) fn table_comment(resource: &Resource) -> String {
    let mut able = vec!["read"];
    able.extend(resource.inserts().then_some("insert"));
    able.extend(resource.updates().then_some("update"));
    able.extend(resource.deletes().then_some("delete"));
    let able = match (resource.kind, &resource.view) {
        (ResourceKind::Retired, _) => "always empty".to_owned(),
        (ResourceKind::Command, _) => "each row inserted is one call".to_owned(),
        (_, Some(view)) => format!("another side of {}", view.of),
        _ => able.join(", "),
    };
    let release = match resource.lifecycle {
        Lifecycle::Available => "",
        Lifecycle::EarlyAccess => "; early access at Auth0",
        Lifecycle::Beta => "; beta at Auth0",
        Lifecycle::Ended => "; Auth0 ended it",
    };
    format!("{} ({able}{release})", resource.comment)
}

/// The statement that makes a view or changes it. Columns that it has already (`there`: name and
/// type, in order) stay where they are, so that whatever hangs on it holds; those that are no more
/// show NULL.
pub(in crate::pg) fn view(
    site: &Site<'_>,
    resource: &Resource,
    there: &[(String, String)],
) -> Option<String> {
    let view = resource.view.as_ref()?;
    let shown = |name: &str| format!("t.{} as {}", ident(resource.field(name)), ident(name));
    let old = there.iter().map(|(name, sql_type)| match resource.columns.contains_key(name) {
        true => shown(name),
        false => format!("null::{sql_type} as {}", ident(name)),
    });
    let new = resource.columns.keys().filter(|name| !there.iter().any(|(old, _)| old == *name));
    let columns: Vec<_> = old.chain(new.map(|name| shown(name))).collect();
    let condition = view.has.as_ref().map(|has| format!(" where t.{} is not null", ident(has)));
    Some(format!(
        "create or replace view {} as select {} from {} t{}",
        site.name(&resource.table),
        columns.join(", "),
        site.name(&view.of),
        condition.unwrap_or_default(),
    ))
}
