//! Which rows a list has: by an index where one helps, by looking at every row where none does, and
//! without looking again where the same list was read a moment ago. It shows nothing.

use serde_json::Value;

use super::index::Indexed;
use super::keys;
use super::packed::Held;
use super::paging::{self, Items, Window};
use super::problem::Problem;
use super::rules::{Derived, Fields, Filter, Rules, Search};
use super::search::{Order, Place, Query};
use super::show::Shape;
use super::store::{Row, Store};
use super::table::Table;
use super::world::{Request, Scene};
use crate::catalog::{List, Resource};

/// A row with its key.
pub(super) type Keyed<'s> = (&'s String, &'s Row);

/// The rows that have these values.
pub(super) fn having<'s>(store: &'s Store, resource: &Resource, wanted: &Fields) -> Vec<Keyed<'s>> {
    let table = store.table(&resource.table);
    match candidates(table, resource, wanted, 0) {
        Some(numbers) => {
            let rows = numbers.filter_map(|number| table.numbered(number));
            rows.filter(|(key, row)| keys::has(resource, key, row, wanted)).collect()
        }
        None => table.iter().filter(|(key, row)| keys::has(resource, key, row, wanted)).collect(),
    }
}

/// The rows whose field is this text but for the case.
pub(super) fn named<'s>(
    store: &'s Store,
    table: &str,
    field: &'s str,
    text: &'s str,
) -> Box<dyn Iterator<Item = Keyed<'s>> + 's> {
    let rows = store.table(table);
    let lower = text.to_lowercase();
    let same = move |(_, row): &Keyed| row.text(field).is_some_and(|own| own.to_lowercase() == lower);
    match rows.indexed(&Indexed::Text(field.to_owned())) {
        Some(index) => Box::new(index.with(text, 0).filter_map(|number| rows.numbered(number)).filter(same)),
        None => Box::new(rows.iter().filter(same)),
    }
}

/// Keys of the rows of which a part is this.
pub(super) fn keys_with<'s>(
    store: &'s Store,
    resource: &'s Resource,
    column: &'s str,
    text: &'s str,
) -> Box<dyn Iterator<Item = &'s String> + 's> {
    let table = store.table(&resource.table);
    let same = move |key: &&String| keys::part(resource, key, column) == Some(text);
    let place = resource.key.iter().position(|key| key == column).unwrap_or_default();
    match table.indexed(&Indexed::Part(place)) {
        Some(index) => {
            let keys = index.with(text, 0).filter_map(|number| table.held(number));
            Box::new(keys.map(|(key, _)| key).filter(same))
        }
        None => Box::new(table.keys().filter(same)),
    }
}

/// Numbers of the rows that may have these values, larger than `after` and ascending; none where
/// every row may.
fn candidates<'t>(
    table: &'t Table,
    resource: &Resource,
    wanted: &Fields,
    after: u64,
) -> Option<Box<dyn Iterator<Item = u64> + 't>> {
    if let Some(key) = keys::own_key(resource, wanted, &Fields::new()).filter(|_| !resource.key.is_empty()) {
        return Some(Box::new(table.number(&key).filter(|number| *number > after).into_iter()));
    }
    wanted.iter().find_map(|(name, value)| {
        let text = value.as_str()?;
        let of = match resource.key.iter().position(|key| key == name) {
            Some(place) => Indexed::Part(place),
            None => Indexed::Text(resource.field(name).to_owned()),
        };
        let index = table.indexed(&of)?;
        Some(Box::new(index.with(text, after)) as Box<dyn Iterator<Item = u64>>)
    })
}

/// What a list is asked for.
struct Asked<'a> {
    scene: Scene<'a>,
    resource: &'a Resource,
    wanted: &'a Fields,
    filters: Vec<(&'a Filter, Vec<&'a str>)>,
    query: Option<Query<'a>>,
    order: Option<Order<'a>>,
}

/// The rows of a list that the page asked for has, or more of them.
///
/// # Errors
/// Auth0's refusal of a parameter.
pub(super) fn rows<'s>(
    scene: Scene<'s>,
    shape: Shape<'s>,
    list: &List,
    wanted: &Fields,
) -> Result<Items<Keyed<'s>>, Problem> {
    let ((resource, rules), request) = (shape, scene.request);
    let how = rules.search.as_ref().unwrap_or_else(|| Search::any());
    let window = paging::window(request, list, rules)?;
    let text = request.param("q").filter(|text| !text.trim().is_empty());
    let asked = Asked {
        scene,
        resource,
        wanted,
        filters: filters(request, rules),
        query: text.map(|text| Query::parse(text, how)).transpose()?,
        order: request.param("sort").map(|order| Order::parse(order, how)).transpose()?,
    };
    let table = scene.store.table(&resource.table);
    if let (Window::After { number, take }, None) = (window, asked.order) {
        // One more than the page has says whether another follows.
        let rows: Vec<_> = asked.after(table, number).take(take.max(1) + 1).collect();
        return Ok(Items { total: rows.len(), skipped: 0, rows });
    }
    let (skipped, take) = match window {
        Window::Page { start, take } => (start, take),
        _ => (0, usize::MAX),
    };
    if let Some(rows) = asked.straight(table, skipped, take) {
        return Ok(Items { total: table.len(), skipped, rows });
    }
    let find = || Ok::<_, Problem>(asked.found(table));
    let numbers = scene.store.recent.or_find(asked.name(), scene.store.version(), find)?;
    let here = numbers.iter().skip(skipped).take(take);
    let rows = here.filter_map(|number| Some((*number, table.numbered(*number)?))).collect();
    Ok(Items { total: numbers.len(), skipped, rows })
}

fn filters<'a>(request: &'a Request, rules: &'a Rules) -> Vec<(&'a Filter, Vec<&'a str>)> {
    let asked = rules.filter.iter().map(|(parameter, filter)| {
        let asked = request.query.iter().filter(|(name, _)| name == parameter);
        (filter, asked.map(|(_, value)| value.as_str()).collect::<Vec<_>>())
    });
    asked.filter(|(_, values)| !values.is_empty()).collect()
}

impl<'a> Asked<'a> {
    /// What tells it from other lists.
    fn name(&self) -> String {
        let request = self.scene.request;
        let paging = ["page", "per_page", "take", "from", "include_totals", "fields", "include_fields"];
        let query = request.query.iter().filter(|(name, _)| !paging.contains(&name.as_str()));
        let wanted = Value::Object(self.wanted.clone());
        format!("{} {wanted} {:?}", self.resource.table, query.collect::<Vec<_>>())
    }

    /// Whether the list has every row.
    fn has_all(&self) -> bool {
        self.wanted.is_empty() && self.filters.is_empty() && self.query.is_none()
    }

    fn has(&self, key: &str, number: u64, held: &Held) -> bool {
        let linked = |link: &Derived| self.linked(key, link);
        if !self.query.as_ref().is_none_or(|query| query.matches(held.view(), &linked)) {
            return false;
        }
        if self.wanted.is_empty() && self.filters.is_empty() {
            return true;
        }
        // Where the key alone decides, the row need not be opened.
        if self.filters.is_empty() && self.wanted.keys().all(|name| self.resource.key.contains(name)) {
            let part = |name: &str| keys::part(self.resource, key, name);
            return self.wanted.iter().all(|(name, value)| part(name) == value.as_str());
        }
        let row = held.row(number);
        keys::has(self.resource, key, &row, self.wanted)
            && self.filters.iter().all(|(filter, asked)| filtered(self.resource, filter, asked, key, &row))
    }

    fn linked(&self, key: &str, link: &Derived) -> Vec<String> {
        let Derived::Link { table, column, by } = link else { return Vec::new() };
        let Some(links) = self.scene.world.catalog.get(table) else { return Vec::new() };
        let found = keys_with(self.scene.store, links, by, key);
        found.filter_map(|link| keys::part(links, link, column)).map(str::to_owned).collect()
    }

    /// Its rows with larger numbers, ascending, looked at as they are taken.
    fn after<'t>(&self, table: &'t Table, number: u64) -> impl Iterator<Item = (u64, Keyed<'t>)> {
        let some = candidates(table, self.resource, self.wanted, number);
        let some = some.map(|numbers| numbers.filter_map(|number| Some((number, table.held(number)?))));
        let all = some.is_none().then(|| table.scan(number).map(|(key, number, held)| (number, (key, held))));
        let rows = some.into_iter().flatten().chain(all.into_iter().flatten());
        let rows = rows.filter(|(number, (key, held))| self.has(key, *number, held));
        rows.filter_map(|(number, _)| Some((number, table.numbered(number)?)))
    }

    /// A page that can be reached without looking at other rows.
    fn straight<'t>(&self, table: &'t Table, skipped: usize, take: usize) -> Option<Vec<(u64, Keyed<'t>)>> {
        if !self.has_all() {
            return None;
        }
        let Some(order) = self.order else {
            let rows = table.skip(skipped).take(take);
            return Some(rows.map(|(key, row)| (row.number, (key, row))).collect());
        };
        let index = table.indexed(&Indexed::Moment(order.field.to_owned()))?;
        if !index.is_exact() || index.len() != table.len() {
            return None;
        }
        let numbers = index.between(i64::MIN, i64::MAX);
        let row = |number| Some((number, table.numbered(number)?));
        Some(match order.reverse {
            true => numbers.rev().skip(skipped).take(take).filter_map(row).collect(),
            false => numbers.skip(skipped).take(take).filter_map(row).collect(),
        })
    }

    /// Numbers of all its rows, in order.
    fn found(&self, table: &Table) -> Vec<u64> {
        let scene = self.scene;
        let place = Place { world: scene.world, store: scene.store, resource: self.resource };
        let plan = self.query.as_ref().and_then(|query| query.plan(place));
        let unlimited = self.wanted.is_empty() && self.filters.is_empty();
        let has = |number: &u64| table.held(*number).is_some_and(|(key, held)| self.has(key, *number, held));
        let numbers: Vec<u64> = match (plan, candidates(table, self.resource, self.wanted, 0)) {
            (Some(plan), _) if plan.exact && unlimited => plan.numbers,
            (Some(plan), _) => plan.numbers.into_iter().filter(has).collect(),
            (None, Some(numbers)) => numbers.filter(has).collect(),
            (None, None) => {
                let all = table.scan(0).filter(|(key, number, held)| self.has(key, *number, held));
                all.map(|(_, number, _)| number).collect()
            }
        };
        let Some(order) = self.order else { return numbers };
        let keyed = numbers.into_iter().filter_map(|number| {
            let (_, held) = table.held(number)?;
            Some((order.key(held.view()), number))
        });
        let mut keyed: Vec<_> = keyed.collect();
        order.sort(&mut keyed);
        keyed.into_iter().map(|(_, number)| number).collect()
    }
}

fn filtered(resource: &Resource, filter: &Filter, asked: &[&str], key: &str, row: &Row) -> bool {
    let value = keys::value(resource, key, row, &filter.field).or_else(|| filter.absent.clone());
    let Some(value) = value else { return false };
    let texts: Vec<String> = match &value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => vec![other.to_string()],
    };
    asked.iter().any(|asked| {
        texts.iter().any(|text| match filter.contains {
            true => text.to_lowercase().contains(&asked.to_lowercase()),
            false => asked == text || asked.split(',').any(|part| part == text),
        })
    })
}
