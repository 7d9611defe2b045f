//! What filling tables takes, before it begins: calls, and minutes at the limits of the plan. The
//! number of parents is asked for by one cheap call where a list tells it, else taken from the
//! mirror. It decides nothing: which side is read is decided when the parents are there.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use serde_json::Map;

use super::sides::{self, calls};
use super::{Context, Method, sets};
use crate::auth0::{Lane, list_request};
use crate::catalog::{Each, Limits, List, Paging, Plan, Resource, ResourceKind, list_groups};
use crate::error::Result;
use crate::pg::fault;

/// Tables that take no more calls than this are not told one by one.
const FEW: u64 = 5;
/// A job is looked at once for so many rows at least. How fast Auth0's exports are is told nowhere; the
/// pauses between looks grow to seconds, so this is on the safe side.
const ROWS_A_LOOK: u64 = 50_000;

/// The limits that calls keep to.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Groups of calls.
    pub limits: Limits,
    /// The tenant's subscription.
    pub plan: Plan,
    /// What is left to the tenant's other applications, in percent.
    pub reserve: u8,
}

impl Rates {
    /// How many calls of this kind a minute are let through; none where nothing limits them.
    pub(super) fn a_minute(&self, method: &str, path: &str) -> Option<f64> {
        self.plan.per_minute(self.limits.group(method, path, |_| false), self.reserve)
    }
}

/// What filling tables takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Table by table.
    pub tables: Vec<Expected>,
    /// Calls in all.
    pub calls: u64,
    /// More calls may be needed: not every number of parents could be known.
    pub at_least: bool,
    /// How long they take together; none where the plan is not known.
    pub minutes: Option<f64>,
}

/// What filling one table takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Mirror table.
    pub table: String,
    /// How it is filled.
    pub method: Method,
    /// Rows that Auth0 has, where it told.
    pub rows: Option<u64>,
    /// Calls.
    pub calls: u64,
    /// More calls may be needed.
    pub at_least: bool,
    /// How long these take alone; none where the plan is not known.
    pub minutes: Option<f64>,
}

/// A number, and whether it is more than a lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Size {
    number: u64,
    sure: bool,
}

impl Size {
    fn times(self, other: Size) -> Size {
        Size { number: self.number.saturating_mul(other.number), sure: self.sure && other.sure }
    }

    fn plus(self, other: Size) -> Size {
        Size { number: self.number.saturating_add(other.number), sure: self.sure && other.sure }
    }
}

/// Estimates what filling `tables` takes. What cannot be asked for is a lower bound; it writes nothing.
///
/// # Errors
/// Database errors.
pub async fn estimate(context: &Context, tables: &[&Resource]) -> Result<Estimate> {
    let tables: Vec<&Resource> = tables.iter().copied().filter(|resource| resource.is_read()).collect();
    let sizes = sizes(context, &tables).await?;
    let mut estimate = Estimate::default();
    let mut spent = Vec::new();
    for resource in &tables {
        let mut asked = Vec::new();
        for list in &resource.list {
            asked.push(asked_for(context, list, &tables, &sizes).await?);
        }
        let own = match sizes.get(resource.table.as_str()) {
            Some(size) => *size,
            None => Size { number: sides::size(context, resource).await?, sure: false },
        };
        let groups = list_groups(&context.catalog, resource);
        let (group, mut expected) = match resource.export.is_some() && context.exports.are_wanted() {
            true => (Vec::new(), exported(resource, own)),
            false => expected(resource, &groups, &asked, own),
        };
        if let Some(rates) = &context.rates {
            let call = call_of(resource, &group, expected.method);
            let limit = call.and_then(|(path, list)| {
                rates.limits.group("GET", path, |name| list.is_some_and(|list| list.query.contains_key(name)))
            });
            spent.push((limit, expected.calls));
            expected.minutes = Some(rates.plan.minutes([(limit, expected.calls)], rates.reserve));
        }
        estimate.calls += expected.calls;
        estimate.at_least |= expected.at_least;
        estimate.tables.push(expected);
    }
    estimate.minutes = context.rates.as_ref().map(|rates| rates.plan.minutes(spent, rates.reserve));
    Ok(estimate)
}

/// The path by which most of the calls are made.
fn call_of<'a>(
    resource: &'a Resource,
    group: &[usize],
    method: Method,
) -> Option<(&'a str, Option<&'a List>)> {
    if let (Method::Export, Some(export)) = (method, &resource.export) {
        return Some((&export.look.path, None));
    }
    let list = group.first().and_then(|n| resource.list.get(*n));
    match (list, &resource.get) {
        (Some(list), Some(get)) if list.part => Some((&get.path, None)),
        (Some(list), _) => Some((&list.path, Some(list))),
        (None, get) => get.as_ref().map(|get| (get.path.as_str(), None)),
    }
}

/// Rows of the tables that say how often others are listed, and of those whose lists are long.
async fn sizes<'a>(context: &'a Context, tables: &[&'a Resource]) -> Result<HashMap<&'a str, Size>> {
    let sources: HashSet<&str> =
        tables.iter().flat_map(|resource| &resource.list).flat_map(List::sources).collect();
    let is_due = |table: &str| tables.iter().any(|resource| resource.table == table);
    let asked = tables.iter().filter(|resource| {
        sources.contains(resource.table.as_str()) || resource.list.iter().any(|list| list.cap.is_some())
    });
    let totals =
        join_all(asked.map(async |resource| (resource.table.as_str(), total(context, resource).await)));
    let totals: HashMap<&str, u64> =
        totals.await.into_iter().filter_map(|(table, total)| Some((table, total?))).collect();
    let absent = sides::absent(context).await?;
    let mut sizes: HashMap<&str, Size> =
        totals.into_iter().map(|(table, number)| (table, Size { number, sure: true })).collect();
    for table in sources {
        let Some(resource) = context.catalog.get(table).filter(|_| !sizes.contains_key(table)) else {
            continue;
        };
        let sure = !is_due(table) && !absent.contains(table);
        sizes.insert(table, Size { number: sides::size(context, resource).await?, sure });
    }
    Ok(sizes)
}

/// How many rows Auth0 says that a table has, by one call for one row; none where it does not tell.
async fn total(context: &Context, resource: &Resource) -> Option<u64> {
    let tells =
        |list: &&List| list.names().is_empty() && matches!(list.paging, Paging::Offset | Paging::Both);
    let list = resource.list.iter().find(tells)?;
    let request = list_request(list, &Map::new(), Lane::Backfill).ok()?;
    let request = request.query("page", "0").query("per_page", "1").query("include_totals", "true");
    let _turn = context.gate.acquire().await;
    match context.auth0.read(&request).await {
        Ok(answer) => answer.body.get("total")?.as_u64(),
        Err(error) => {
            // The filling meets the same cause, and says so.
            tracing::debug!(table = %resource.table, %error, "Auth0 does not tell how many rows there are");
            None
        }
    }
}

/// How many sets a list is asked for.
async fn asked_for(
    context: &Context,
    list: &List,
    tables: &[&Resource],
    sizes: &HashMap<&str, Size>,
) -> Result<Size> {
    let is_due = |table: &str| tables.iter().any(|resource| resource.table == table);
    let sure = |table: &str| sizes.get(table).is_some_and(|size| size.sure);
    if list.sources().all(|table| context.catalog.get(table).is_some() && !is_due(table)) {
        return Ok(Size { number: sets::count(context, list).await?, sure: list.sources().all(sure) });
    }
    Ok(foreseen(list, sizes))
}

/// The same while the parents are still to be read.
fn foreseen(list: &List, sizes: &HashMap<&str, Size>) -> Size {
    let of = |table: &str| sizes.get(table).copied().unwrap_or_default();
    let parents = match &list.parent {
        None => Size { number: 1, sure: true },
        Some(parent) if list.only.is_empty() => of(parent),
        // Which of them have such a list is seen when they are there.
        Some(_) => Size::default(),
    };
    list.each.values().fold(parents, |sets, each| {
        sets.times(match each {
            Each::Values(values) => Size { number: values.len() as u64, sure: true },
            Each::Of { table, .. } => Size { sure: false, ..of(table) },
        })
    })
}

/// What a table takes by an export: a call that starts the job and looks at it until it is done. Where
/// Auth0 refuses it, it is more.
fn exported(resource: &Resource, own: Size) -> Expected {
    Expected {
        table: resource.table.clone(),
        method: Method::Export,
        rows: own.sure.then_some(own.number),
        calls: 2 + own.number / ROWS_A_LOOK,
        at_least: !own.sure,
        minutes: None,
    }
}

/// What a table takes from its cheapest side, and the lists of that; `asked` has the number of sets
/// of each list, `own` the rows that the table has.
fn expected(resource: &Resource, groups: &[Vec<usize>], asked: &[Size], own: Size) -> (Vec<usize>, Expected) {
    let of_group = |group: &Vec<usize>| {
        let sum = group.iter().filter_map(|n| asked.get(*n));
        sum.fold(Size { number: 0, sure: true }, |sum, size| sum.plus(*size))
    };
    let most = groups.iter().map(|group| of_group(group).number).max().unwrap_or(0);
    let sides = groups.iter().map(|group| {
        let sets = of_group(group);
        let lists: Vec<&List> = group.iter().filter_map(|n| resource.list.get(*n)).collect();
        let below = lists.iter().any(|list| list.parent.is_some());
        let rows = if below { sides::links(own.number, most) } else { own.number };
        let mut size = Size { number: calls(lists.iter().copied(), sets.number, rows), ..sets };
        let is_paged = lists.iter().any(|list| !matches!(list.paging, Paging::None | Paging::Single));
        size.sure &= below || !is_paged || own.sure;
        for list in &lists {
            if let (Some(_), Some(cap)) = (&list.slice_by, list.cap)
                && rows > u64::from(cap)
            {
                // Halving until each slice ends by itself: the first page of each is read twice.
                size.number += 2 + 2 * rows / u64::from(cap);
            }
        }
        if lists.iter().any(|list| list.part) && resource.get.is_some() {
            size.number += rows;
        }
        (group.clone(), size)
    });
    let cheapest = sides.min_by_key(|(_, size)| (!size.sure, size.number.max(1)));
    let (group, size) = match cheapest {
        Some(cheapest) if resource.kind != ResourceKind::Singleton => cheapest,
        _ => (Vec::new(), Size { number: 1, sure: true }),
    };
    let sliced = group.iter().any(|n| resource.list[*n].slice_by.is_some());
    let expected = Expected {
        table: resource.table.clone(),
        method: if sliced { Method::Search } else { Method::List },
        rows: own.sure.then_some(own.number),
        calls: size.number,
        at_least: !size.sure,
        minutes: None,
    };
    (group, expected)
}

/// Estimates what filling these tables takes, tells it and stores it.
///
/// # Errors
/// Database errors.
pub(super) async fn announce(context: &Context, tables: &[&Resource]) -> Result<()> {
    let estimate = estimate(context, tables).await?;
    for table in &estimate.tables {
        let filling = context.progress.of(&table.table);
        filling.expect_calls(table.calls);
        if let Some(rows) = table.rows {
            filling.expect_rows(rows);
        }
        if table.calls > FEW {
            tracing::info!(
                table = %table.table,
                method = table.method.as_str(),
                rows = table.rows,
                calls = table.calls,
                at_least = table.at_least,
                minutes = table.minutes.map(rounded),
                "table to be filled"
            );
        }
    }
    tracing::info!(
        tables = estimate.tables.len(),
        calls = estimate.calls,
        at_least = estimate.at_least,
        minutes = estimate.minutes.map(rounded),
        plan = context.rates.as_ref().map(|rates| rates.plan.name.as_str()),
        "tables are to be filled"
    );
    store(context, &estimate).await
}

/// To one decimal place.
fn rounded(minutes: f64) -> f64 {
    (minutes * 10.0).round() / 10.0
}

async fn store(context: &Context, estimate: &Estimate) -> Result<()> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let tables = &estimate.tables;
    sqlx::query(include_str!("sql/store_estimate_of_backfill.sql"))
        .bind(&context.schema)
        .bind(tables.iter().map(|table| table.table.as_str()).collect::<Vec<_>>())
        .bind(tables.iter().map(|table| table.method.as_str()).collect::<Vec<_>>())
        .bind(tables.iter().map(|table| table.rows.map(number)).collect::<Vec<_>>())
        .bind(tables.iter().map(|table| number(table.calls)).collect::<Vec<_>>())
        .bind(tables.iter().map(|table| table.minutes).collect::<Vec<_>>())
        .execute(&context.database.pool)
        .await
        .map_err(fault("cannot store the estimate of the backfill"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    const SURE: fn(u64) -> Size = |number| Size { number, sure: true };
    const UNSURE: fn(u64) -> Size = |number| Size { number, sure: false };

    /// The lists, calls and certainty of a table whose sources have these sizes.
    fn of(table: &str, sizes: &[(&str, Size)], own: Size) -> (Vec<usize>, u64, bool) {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.get(table).unwrap();
        let sizes: HashMap<&str, Size> = sizes.iter().copied().collect();
        let asked: Vec<_> = resource.list.iter().map(|list| foreseen(list, &sizes)).collect();
        let (group, expected) = expected(resource, &list_groups(&catalog, resource), &asked, own);
        (group, expected.calls, expected.at_least)
    }

    #[test]
    fn links_are_expected_from_the_side_that_takes_fewer_calls() {
        let tenant = [("user", SURE(100_000)), ("role", SURE(40))];
        assert_eq!(of("user_role", &tenant, UNSURE(0)), (vec![0], 40 + 1_000, false));
        let tenant = [("user", SURE(30)), ("role", SURE(400))];
        assert_eq!(of("user_role", &tenant, UNSURE(0)), (vec![1], 30 + 4, false));
    }

    #[test]
    fn a_long_list_takes_a_call_a_page_and_a_search_some_more() {
        assert_eq!(of("role", &[], SURE(0)), (vec![0], 1, false));
        assert_eq!(of("role", &[], SURE(730)).1, 8);
        assert_eq!(of("user", &[], SURE(900)).1, 9);
        let (_, calls, _) = of("user", &[], SURE(1_000_000));
        assert!((12_000..13_000).contains(&calls), "{calls}");
    }

    #[test]
    fn an_export_takes_a_few_calls_however_many_rows_there_are() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.get("user").unwrap();
        let of = |own| {
            let Expected { method, rows, calls, at_least, .. } = exported(resource, own);
            (method, rows, calls, at_least)
        };
        assert_eq!(of(SURE(20)), (Method::Export, Some(20), 2, false));
        assert_eq!(of(SURE(1_000_000)), (Method::Export, Some(1_000_000), 22, false));
        assert_eq!(of(UNSURE(0)), (Method::Export, None, 2, true));
        let (path, _) = call_of(resource, &[], Method::Export).unwrap();
        assert_eq!(path, "/jobs/{id}");
    }

    #[test]
    fn what_is_not_known_makes_a_lower_bound() {
        assert_eq!(of("role", &[], UNSURE(0)), (vec![0], 1, true));
        let unknown = [("user", UNSURE(0))];
        assert_eq!(of("user_authentication_method", &unknown, UNSURE(0)), (vec![0], 0, true));
        let known = [("user", SURE(7_000))];
        assert_eq!(of("user_authentication_method", &known, UNSURE(0)).1, 7_000 + 70);
        assert_eq!(of("tenant", &[], UNSURE(0)), (vec![], 1, false));
    }
}
