//! Which rows a query has to look at: what indexes say of it. A plan may name rows that do not
//! answer; it never leaves one out that does.

use super::value::{Bound, Test};
use super::{Node, Query};
use crate::catalog::Resource;
use crate::emulator::index::Indexed;
use crate::emulator::keys;
use crate::emulator::rules::Derived;
use crate::emulator::store::Store;
use crate::emulator::table::Table;
use crate::emulator::world::World;

/// The table that is searched.
#[derive(Clone, Copy, Debug)]
pub(in crate::emulator) struct Place<'a> {
    pub(in crate::emulator) world: &'a World,
    pub(in crate::emulator) store: &'a Store,
    pub(in crate::emulator) resource: &'a Resource,
}

/// Rows by number, ascending.
#[derive(Debug)]
pub(in crate::emulator) struct Plan {
    pub(in crate::emulator) numbers: Vec<u64>,
    /// All of them answer: none need be looked at.
    pub(in crate::emulator) exact: bool,
}

impl Plan {
    fn new(numbers: impl Iterator<Item = u64>, exact: bool) -> Plan {
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        Plan { numbers, exact }
    }
}

impl Query<'_> {
    /// The rows that may answer; none where every row may.
    pub(in crate::emulator) fn plan(&self, place: Place) -> Option<Plan> {
        self.planned(&self.node, place)
    }

    fn planned(&self, node: &Node, place: Place) -> Option<Plan> {
        match node {
            Node::All(nodes) => {
                let plans = nodes.iter().filter_map(|node| self.planned(node, place));
                let least = plans.min_by_key(|plan| plan.numbers.len())?;
                Some(Plan { exact: false, ..least })
            }
            Node::Any(nodes) => {
                let plans: Vec<Plan> =
                    nodes.iter().map(|node| self.planned(node, place)).collect::<Option<_>>()?;
                let exact = plans.iter().all(|plan| plan.exact);
                Some(Plan::new(plans.into_iter().flat_map(|plan| plan.numbers), exact))
            }
            Node::Not(_) | Node::Field(None, _) => None,
            Node::Field(Some(field), test) => match self.how.derived.get(field) {
                Some(Derived::After { .. }) => None,
                Some(Derived::Link { table, column, by }) => linked(place, (table, column, by), test),
                None => {
                    let table = place.store.table(&place.resource.table);
                    keyed(place.resource, table, field, test)
                        .or_else(|| timed(table, field, test))
                        .or_else(|| texted(table, field, test))
                }
            },
        }
    }
}

/// The row whose key is asked for.
fn keyed(resource: &Resource, table: &Table, field: &str, test: &Test) -> Option<Plan> {
    let ([key], Test::Equal(term)) = (resource.key.as_slice(), test) else { return None };
    (resource.field(key) == field).then(|| Plan::new(table.number(&term.text).into_iter(), true))
}

/// Rows with a time between two, where all times are known.
fn timed(table: &Table, field: &str, test: &Test) -> Option<Plan> {
    let index = table.indexed(&Indexed::Moment(field.to_owned())).filter(|index| index.is_exact())?;
    let (low, high) = match test {
        Test::Equal(term) => term.span?,
        Test::Range { low, high } => {
            let low = low.as_ref().map_or(Some(i64::MIN), |Bound { term, closed }| {
                let (first, last) = term.span?;
                Some(if *closed { first } else { last + 1 })
            });
            let high = high.as_ref().map_or(Some(i64::MAX), |Bound { term, closed }| {
                let (first, last) = term.span?;
                Some(if *closed { last } else { first - 1 })
            });
            (low?, high?)
        }
        _ => return None,
    };
    Some(Plan::new(index.between(low, high), true))
}

/// Rows with a text, where all are texts.
fn texted(table: &Table, field: &str, test: &Test) -> Option<Plan> {
    let Test::Equal(term) = test else { return None };
    let index = table.indexed(&Indexed::Text(field.to_owned())).filter(|index| index.is_whole())?;
    // A time is found by a part of it, too.
    term.span.is_none().then(|| Plan::new(index.with(&term.text, 0), false))
}

/// Rows that links name.
fn linked(place: Place, (table, column, by): (&str, &str, &str), test: &Test) -> Option<Plan> {
    let Test::Equal(term) = test else { return None };
    let resource = place.world.catalog.get(table)?;
    let part = |name: &str| resource.key.iter().position(|key| key == name);
    let (links, rows) = (place.store.table(table), place.store.table(&place.resource.table));
    let index = links.indexed(&Indexed::Part(part(column)?))?;
    part(by)?;
    let numbers = index.with(&term.text, 0).filter_map(|link| {
        let (key, _) = links.held(link)?;
        rows.number(keys::part(resource, key, by)?)
    });
    Some(Plan::new(numbers, false))
}
