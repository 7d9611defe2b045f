//! What a list is asked for: the values of its placeholders, from rows of other tables and from
//! fixed values. All values of one call of a list are a set's name.

use std::collections::VecDeque;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::Context;
use crate::catalog::{ColumnType, Each, List, Resource, ResourceKind, RowKey};
use crate::error::Result;
use crate::pg::mirror::{PROVISIONAL, Row};
use crate::pg::{fault, ident, literal, qualified};

/// Parents that are read from the mirror at a time.
const AT_A_TIME: usize = 5_000;

/// Whether the table is listed in one way alone. What is listed from several sides are links, and
/// calls of their own make them: nothing new hangs on a new row.
pub(super) fn is_one_way(resource: &Resource) -> bool {
    resource.list.windows(2).all(|lists| matches!(lists, [a, b] if a.path == b.path))
}

/// The values of a set as columns of its rows.
pub(super) fn values(list: &List, set: &[String]) -> Row {
    let names = list.names().into_iter().map(str::to_owned);
    names.zip(set.iter().cloned().map(Value::String)).collect()
}

/// Every set that a list is asked for, in order and some at a time: there may be a million parents.
struct Sets<'a> {
    list: &'a List,
    /// What the last parent supplied.
    after: Option<Vec<String>>,
    ended: bool,
}

impl<'a> Sets<'a> {
    fn of(list: &'a List) -> Self {
        Sets { list, after: None, ended: false }
    }

    /// The next ones; none at the end.
    async fn next(&mut self, context: &Context) -> Result<Vec<Vec<String>>> {
        while !self.ended {
            let Some(parent) = &self.list.parent else {
                self.ended = true;
                return times_each(context, self.list, Vec::new(), vec![Vec::new()]).await;
            };
            let parent = context.catalog.resource(parent)?;
            let supplied = self.list.supplied(parent);
            let part = Part::After(self.after.as_deref());
            let rows = from_parent(context, self.list, parent, &supplied, part).await?;
            self.ended = rows.len() < AT_A_TIME;
            self.after = rows.last().cloned();
            let columns = supplied.iter().map(|(name, _)| *name).collect();
            let sets = times_each(context, self.list, columns, rows).await?;
            if !sets.is_empty() {
                return Ok(sets);
            }
        }
        Ok(Vec::new())
    }
}

/// The lists of a group with all their sets, one after the other.
pub(super) struct Work<'a> {
    lists: VecDeque<&'a List>,
    sets: Option<Sets<'a>>,
    ready: VecDeque<Vec<String>>,
}

impl<'a> Work<'a> {
    /// What has to be read of a table by a group of its lists.
    pub(super) fn of(resource: &'a Resource, group: &[usize]) -> Self {
        let lists = group.iter().filter_map(|n| resource.list.get(*n)).collect();
        Work { lists, sets: None, ready: VecDeque::new() }
    }

    /// The next list and set.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn next(&mut self, context: &Context) -> Result<Option<(&'a List, Vec<String>)>> {
        loop {
            if let (Some(sets), Some(set)) = (&self.sets, self.ready.pop_front()) {
                return Ok(Some((sets.list, set)));
            }
            if let Some(sets) = &mut self.sets {
                self.ready.extend(sets.next(context).await?);
            }
            if self.ready.is_empty() {
                let Some(list) = self.lists.pop_front() else {
                    self.sets = None;
                    return Ok(None);
                };
                self.sets = Some(Sets::of(list));
            }
        }
    }
}

/// How many sets a list is asked for.
///
/// # Errors
/// Database errors.
pub(super) async fn count(context: &Context, list: &List) -> Result<u64> {
    let mut count = 1;
    if let Some(parent) = &list.parent {
        let parent = context.catalog.resource(parent)?;
        let (columns, conditions) = (columns(list, parent), conditions(list, parent));
        let sql = format!(
            "select count(*) from (select distinct {} from {} t where {}) x",
            columns.join(", "),
            qualified(&context.schema, &parent.table),
            conditions.join(" and "),
        );
        let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
        for values in list.only.values() {
            query = query.bind(values);
        }
        let counted = query.fetch_one(&context.database.pool).await;
        count = counted.map_err(fault("cannot count the parents of a list"))?.cast_unsigned();
    }
    let names = list.names();
    for (_, each) in list.each.iter().filter(|(name, _)| names.contains(&name.as_str())) {
        count = count.saturating_mul(match each {
            Each::Values(found) => found.len() as u64,
            Each::Of { table, column } => distinct(context, table, column).await?.len() as u64,
        });
    }
    Ok(count)
}

/// Every set that a list is asked for below one row of the parent.
///
/// # Errors
/// Database errors.
pub(super) async fn below(context: &Context, list: &List, of: &RowKey) -> Result<Vec<Vec<String>>> {
    let Some(parent) = &list.parent else { return Ok(Vec::new()) };
    let parent = context.catalog.resource(parent)?;
    let supplied = list.supplied(parent);
    let rows = from_parent(context, list, parent, &supplied, Part::Of(of)).await?;
    times_each(context, list, supplied.iter().map(|(name, _)| *name).collect(), rows).await
}

/// Sets from what parents supply: each row of values so far meets each value of the next column.
async fn times_each<'a>(
    context: &Context,
    list: &'a List,
    mut columns: Vec<&'a str>,
    mut rows: Vec<Vec<String>>,
) -> Result<Vec<Vec<String>>> {
    let names = list.names();
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

/// Which rows of the parent.
enum Part<'a> {
    /// The one with this key.
    Of(&'a RowKey),
    /// Some of those behind the row that supplied these values; none: from the first on.
    After(Option<&'a [String]>),
}

impl Part<'_> {
    fn values(&self) -> &[String] {
        match self {
            Part::Of(key) => &key.0,
            Part::After(values) => values.unwrap_or_default(),
        }
    }
}

/// The columns of the parent `t` that supply placeholders, as text.
fn columns(list: &List, parent: &Resource) -> Vec<String> {
    list.supplied(parent).iter().map(|(_, column)| scalar(parent, column)).collect()
}

/// Which rows of the parent `t` have such a list; the values of [`List::only`] are `$1` and so on.
fn conditions(list: &List, parent: &Resource) -> Vec<String> {
    let text = |column: &str| scalar(parent, column);
    let mut conditions: Vec<String> = Vec::new();
    for (_, column) in list.supplied(parent) {
        conditions.push(format!("{} is not null", text(column)));
        // Auth0 does not know a provisional key; a client chooses what it watches.
        if parent.kind != ResourceKind::Watch && parent.key.iter().any(|key| key == column) {
            let provisional = literal(PROVISIONAL);
            conditions.push(format!("not pg_catalog.starts_with({}, {provisional})", text(column)));
        }
    }
    for (n, column) in list.only.keys().enumerate() {
        conditions.push(format!("{} = any (${})", text(column), n + 1));
    }
    conditions
}

async fn from_parent(
    context: &Context,
    list: &List,
    parent: &Resource,
    supplied: &[(&str, &str)],
    part: Part<'_>,
) -> Result<Vec<Vec<String>>> {
    let (columns, mut conditions) = (columns(list, parent), conditions(list, parent));
    let first = list.only.len() + 1;
    let values: Vec<_> = (0..part.values().len()).map(|n| format!("${}", first + n)).collect();
    match part {
        Part::Of(_) => {
            let key = parent.key.iter().zip(&values);
            conditions.extend(key.map(|(column, value)| format!("t.{} = {value}", ident(column))));
        }
        Part::After(None) => {}
        Part::After(Some(_)) => {
            conditions.push(format!("({}) > ({})", columns.join(", "), values.join(", ")));
        }
    }
    let sql = format!(
        "select distinct {} from {} t where {} order by {} limit {AT_A_TIME}",
        columns.join(", "),
        qualified(&context.schema, &parent.table),
        conditions.join(" and "),
        (1..=columns.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", "),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for values in list.only.values() {
        query = query.bind(values);
    }
    for value in part.values() {
        query = query.bind(value);
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
