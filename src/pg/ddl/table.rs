//! Columns and comments of a mirror table.

use crate::catalog::{Column, Resource};

/// One column as DDL sees it.
pub(in crate::pg) struct ColumnDef {
    pub(in crate::pg) name: String,
    pub(in crate::pg) sql_type: &'static str,
    pub(in crate::pg) comment: String,
}

/// The catalogue's columns in order, and `extra`.
pub(in crate::pg) fn columns(resource: &Resource) -> Vec<ColumnDef> {
    let described = resource.columns.iter().map(|(name, column)| ColumnDef {
        name: name.clone(),
        sql_type: column.kind.sql(),
        comment: comment(column),
    });
    let extra = ColumnDef {
        name: "extra".to_owned(),
        sql_type: "jsonb",
        comment: "Fields that Auth0 sends and this version of auth0-sync does not know. (read-only)"
            .to_owned(),
    };
    described.chain([extra]).collect()
}

fn comment(column: &Column) -> String {
    format!("{} ({})", column.comment, column.class.as_str())
}

/// The comment of the table.
pub(in crate::pg) fn table_comment(resource: &Resource) -> String {
    let mut able = vec!["read"];
    able.extend(resource.create.is_some().then_some("insert"));
    able.extend(resource.update.is_some().then_some("update"));
    able.extend(resource.delete.is_some().then_some("delete"));
    format!("{} ({})", resource.comment, able.join(", "))
}
