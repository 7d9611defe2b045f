//! What a list is asked for: the values of its placeholders, from rows of other tables and from
//! fixed values. All values of one call of a list are a set's name.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Row as _};

use super::Context;
use crate::catalog::{Catalog, ColumnType, Each, List, Resource, ResourceKind, RowKey};
use crate::error::Result;
use crate::pg::mirror::Row;
use crate::pg::{fault, ident, qualified};

/// Lists that together show the whole table, by their index; the preferred group first. Lists of
/// tables that are not selected are left out.
pub(super) fn groups(catalog: &Catalog, resource: &Resource) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (n, list) in resource.list.iter().enumerate() {
        if !list.sources().all(|table| catalog.get(table).is_some()) {
            continue;
        }
        match groups.iter_mut().find(|(path, _)| *path == list.path) {
            Some((_, group)) if list.parent.is_some() => group.push(n),
            _ => groups.push((&list.path, vec![n])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Whether the table is listed in one way alone. What is listed from several sides are links, and
/// calls of their own make them: nothing new hangs on a new row.
pub(super) fn is_one_way(resource: &Resource) -> bool {
    resource.list.windows(2).all(|lists| matches!(lists, [a, b] if a.path == b.path))
}

/// Placeholder → column of the parent, for those that the parent supplies.
pub(super) fn supplied<'a>(list: &'a List, parent: &'a Resource) -> Vec<(&'a str, &'a str)> {
    let mut key = parent.key.iter();
    let names = list.names().into_iter().filter(|name| !list.each.contains_key(*name));
    let pairs = names.map(|name| {
        let column = list.from.get(name).or_else(|| key.next());
        column.map(|column| (name, column.as_str()))
    });
    pairs.flatten().collect()
}

/// The values of a set as columns of its rows.
pub(super) fn values(list: &List, set: &[String]) -> Row {
    let names = list.names().into_iter().map(str::to_owned);
    names.zip(set.iter().cloned().map(Value::String)).collect()
}

/// The name of the set that has this row, where the row tells it.
pub(super) fn set_of(list: &List, row: &Map<String, Value>) -> Option<Vec<String>> {
    list.names().into_iter().map(|name| Some(row.get(name)?.as_str()?.to_owned())).collect()
}

/// Every set that the list is asked for.
///
/// # Errors
/// Database errors.
pub(super) async fn all(context: &Context, list: &List) -> Result<Vec<Vec<String>>> {
    below(context, list, None).await
}

/// The same for one row of the parent.
///
/// # Errors
/// Database errors.
pub(super) async fn below(context: &Context, list: &List, of: Option<&RowKey>) -> Result<Vec<Vec<String>>> {
    let names = list.names();
    // Column by column: each row of values so far meets each value of the next.
    let mut columns: Vec<&str> = Vec::new();
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    if let Some(parent) = &list.parent {
        let parent = context.catalog.resource(parent)?;
        let supplied = supplied(list, parent);
        rows = from_parent(context, list, parent, &supplied, of).await?;
        columns.extend(supplied.iter().map(|(name, _)| *name));
    }
    for (name, each) in list.each.iter().filter(|(name, _)| names.contains(&name.as_str())) {
        let found = match each {
            Each::Values(found) => found.clone(),
            Each::Of { table, column } => distinct(context, table, column).await?,
        };
        columns.push(name);
        rows = rows
            .iter()
            .flat_map(|row| found.iter().map(move |v| [row.as_slice(), std::slice::from_ref(v)].concat()))
            .collect();
    }
    let order: Vec<_> = names.iter().filter_map(|name| columns.iter().position(|c| c == name)).collect();
    Ok(rows.iter().map(|row| order.iter().filter_map(|n| row.get(*n).cloned()).collect()).collect())
}

async fn from_parent(
    context: &Context,
    list: &List,
    parent: &Resource,
    supplied: &[(&str, &str)],
    of: Option<&RowKey>,
) -> Result<Vec<Vec<String>>> {
    let text = |column: &str| scalar(parent, column);
    let mut conditions: Vec<String> = Vec::new();
    for (_, column) in supplied {
        conditions.push(format!("{} is not null", text(column)));
        // Auth0 does not know a provisional key; a client chooses what it watches.
        if parent.kind != ResourceKind::Watch && parent.key.iter().any(|key| key == column) {
            conditions.push(format!("not pg_catalog.starts_with({}, 'new_')", text(column)));
        }
    }
    for (n, column) in list.only.keys().enumerate() {
        conditions.push(format!("{} = any (${})", text(column), n + 1));
    }
    if of.is_some() {
        let first = list.only.len() + 1;
        let key = parent.key.iter().enumerate();
        conditions.extend(key.map(|(n, column)| format!("t.{} = ${}", ident(column), first + n)));
    }
    let columns: Vec<_> = supplied.iter().map(|(_, column)| text(column)).collect();
    let sql = format!(
        "select distinct {} from {} t where {} order by {}",
        columns.join(", "),
        qualified(&context.schema, &parent.table),
        conditions.join(" and "),
        (1..=columns.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", "),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for values in list.only.values() {
        query = query.bind(values);
    }
    for part in of.into_iter().flat_map(|key| &key.0) {
        query = query.bind(part);
    }
    let rows =
        query.fetch_all(&context.database.pool).await.map_err(fault("cannot read the parents of a list"))?;
    Ok(rows.iter().map(|row| (0..supplied.len()).map(|n| row.get(n)).collect()).collect())
}

/// The distinct values of a column of text or of an array of it.
async fn distinct(context: &Context, table: &str, column: &str) -> Result<Vec<String>> {
    let resource = context.catalog.resource(table)?;
    let value = match resource.columns.get(column).map(|column| column.kind) {
        Some(ColumnType::TextArray) => format!("pg_catalog.unnest(t.{})", ident(column)),
        _ => scalar(resource, column),
    };
    let sql = format!(
        "select distinct v from (select {value} v from {} t) x where v is not null order by 1",
        qualified(&context.schema, table)
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read the values of a list"))
}

/// A column's value as text; NULL where it is an object or an array.
fn scalar(resource: &Resource, column: &str) -> String {
    let name = format!("t.{}", ident(column));
    match resource.columns.get(column).map(|column| column.kind) {
        Some(ColumnType::Jsonb) => format!(
            "(case when pg_catalog.jsonb_typeof({name}) in ('string', 'number', 'boolean') then {name} #>> '{{}}' end)"
        ),
        Some(ColumnType::Text) | None => name,
        Some(_) => format!("{name}::text"),
    }
}
