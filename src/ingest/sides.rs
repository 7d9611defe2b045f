//! From which side a table is read: what hangs on two tables is listed below either, and the side
//! that takes fewer calls is read.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::{Context, Method, sets};
use crate::catalog::{List, Paging, Resource, list_groups};
use crate::error::Result;
use crate::pg::{fault, ident, qualified};

/// Lists that together show a table, and what reading them takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    /// Their indexes into [`Resource::list`].
    pub(super) group: Vec<usize>,
    /// Calls, by estimate.
    pub(super) calls: u64,
}

impl Side {
    /// How the table is filled from this side.
    pub(super) fn method(&self, resource: &Resource) -> Method {
        let sliced = self.group.iter().any(|n| resource.list[*n].slice_by.is_some());
        if sliced { Method::Search } else { Method::List }
    }
}

/// The sides of a table, the one that takes the fewest calls first; of equal ones that which the
/// catalogue prefers. A side whose parents the mirror does not have comes last: it would not show
/// everything.
///
/// # Errors
/// Database errors.
pub(super) async fn sides(context: &Context, resource: &Resource) -> Result<Vec<Side>> {
    let absent = absent(context).await?;
    let known = size(context, resource).await?;
    let mut sides = Vec::new();
    for group in list_groups(&context.catalog, resource) {
        let lists: Vec<&List> = group.iter().filter_map(|n| resource.list.get(*n)).collect();
        let mut asked = 0;
        for list in &lists {
            asked += sets::count(context, list).await?;
        }
        let whole = !lists.iter().flat_map(|list| list.sources()).any(|table| absent.contains(table));
        sides.push((group, asked, whole));
    }
    let most = sides.iter().map(|(_, asked, _)| *asked).max().unwrap_or(0);
    let sides = sides.into_iter().map(|(group, asked, whole)| {
        let lists = group.iter().filter_map(|n| resource.list.get(*n));
        let calls = calls(lists, asked, links(known, most));
        (whole, Side { group, calls })
    });
    Ok(cheapest_first(sides.collect()))
}

/// How many rows are expected where the mirror has `known` and one side has `most` parents: a link
/// for each, until more is known.
pub(super) fn links(known: u64, most: u64) -> u64 {
    known.max(most)
}

/// The calls that lists take which are asked for `asked` sets with so many rows in all.
pub(super) fn calls<'a>(lists: impl Iterator<Item = &'a List>, asked: u64, rows: u64) -> u64 {
    let pages: Vec<u64> = lists
        .filter(|list| !matches!(list.paging, Paging::None | Paging::Single))
        .map(|list| u64::from(list.per_page.max(1)))
        .collect();
    // A set of its own has at least one page; more of them where the rows fill it.
    let page = pages.into_iter().min();
    match asked {
        0 => 0,
        1 => page.map_or(1, |page| rows.div_ceil(page).max(1)),
        _ => asked + page.map_or(0, |page| rows / page),
    }
}

/// A side that shows everything before one that does not, then by calls; nothing at all is as much
/// as one call, so that an empty tenant is read as the catalogue prefers.
fn cheapest_first(mut sides: Vec<(bool, Side)>) -> Vec<Side> {
    sides.sort_by_key(|(whole, side)| (!whole, side.calls.max(1)));
    sides.into_iter().map(|(_, side)| side).collect()
}

/// Tables of which the mirror may lack rows.
pub(super) async fn absent(context: &Context) -> Result<HashSet<String>> {
    let tables: Vec<String> = sqlx::query_scalar(include_str!("sql/absent_in_backfill.sql"))
        .bind(&context.schema)
        .fetch_all(&context.database.pool)
        .await
        .map_err(fault("cannot read which tables are filled"))?;
    Ok(tables.into_iter().collect())
}

/// How many rows of a table the mirror has that Auth0 can know.
///
/// # Errors
/// Database errors.
pub(super) async fn size(context: &Context, resource: &Resource) -> Result<u64> {
    let known = resource.key.iter().map(|key| format!("not pg_catalog.starts_with({}, 'new_')", ident(key)));
    let sql = format!(
        "select count(*) from {} where {}",
        qualified(&context.schema, &resource.table),
        known.collect::<Vec<_>>().join(" and ")
    );
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&context.database.pool)
        .await
        .map_err(fault("cannot count the rows of a table"))?;
    Ok(count.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// The calls of both sides of a table with so many parents and links.
    fn both(table: &str, (first, second): (u64, u64), links: u64) -> (u64, u64) {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.get(table).unwrap();
        let side = |n: usize, asked| calls(std::iter::once(&resource.list[n]), asked, links);
        (side(0, first), side(1, second))
    }

    #[test]
    fn a_side_costs_a_call_for_each_parent_and_for_each_further_page() {
        assert_eq!(both("user_role", (10, 1_000_000), 1_000_000), (10_010, 1_010_000));
        assert_eq!(both("user_role", (500, 20), 20), (500, 20));
        assert_eq!(both("user_role", (0, 20), 20), (0, 20));
        assert_eq!(both("user_role", (1, 20), 350), (4, 23));
    }

    #[test]
    fn the_cheapest_side_comes_first_unless_it_would_miss_rows() {
        let side = |n: usize, calls| Side { group: vec![n], calls };
        let order = |sides: Vec<(bool, Side)>| {
            cheapest_first(sides).into_iter().map(|side| side.group[0]).collect::<Vec<_>>()
        };
        assert_eq!(order(vec![(true, side(0, 9)), (true, side(1, 3))]), [1, 0]);
        assert_eq!(order(vec![(true, side(0, 9)), (false, side(1, 3))]), [0, 1]);
        assert_eq!(order(vec![(true, side(0, 3)), (true, side(1, 3))]), [0, 1], "as the catalogue prefers");
        assert_eq!(order(vec![(true, side(0, 1)), (true, side(1, 0))]), [0, 1], "there is nothing to save");
    }
}
