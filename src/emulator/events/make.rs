//! From a change of a row to the event that tells of it, as the catalogue describes it.

use chrono::{DateTime, TimeDelta, Utc};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::EventOptions;
use super::log::Kept;
use crate::catalog::{EventKind, Resource};
use crate::emulator::rules::{Fields, Rules};
use crate::emulator::store::{Row, Store};
use crate::emulator::template::{Context, put_at};
use crate::emulator::world::World;
use crate::emulator::{ids, keys};

/// What the tenant's own values call the id of the stream that its events come from.
const STREAM: &str = "told_on";

/// Whose events they are.
#[derive(Clone, Copy, Debug)]
pub(in crate::emulator) struct Teller<'a> {
    /// Host of the tenant.
    pub(in crate::emulator) host: &'a str,
    /// Its name.
    pub(in crate::emulator) tenant: &'a str,
    /// When it happens.
    pub(in crate::emulator) now: DateTime<Utc>,
}

/// Turns what has changed since the last call into events: one a row, by what it was and is.
pub(in crate::emulator) fn note(world: &World, store: &mut Store, teller: Teller, options: &EventOptions) {
    let mut changes: IndexMap<(String, String), (Option<Row>, Option<Row>)> = IndexMap::new();
    for change in store.take_changes() {
        let known = changes.entry((change.table, change.key)).or_insert((change.old, None));
        known.1 = change.new;
    }
    for ((table, key), (old, new)) in &changes {
        let Some((resource, rules)) = world.shape(table) else { continue };
        let (kind, row) = match (old, new) {
            (None, Some(new)) => (EventKind::Created, new),
            (Some(old), Some(new)) if old.body != new.body => (EventKind::Updated, new),
            (Some(old), None) => (EventKind::Deleted, old),
            _ => continue,
        };
        let Some(name) = resource.event.as_ref().and_then(|event| event.named(kind)) else { continue };
        let before = old.as_ref().filter(|_| kind == EventKind::Updated);
        let object = object(store, (resource, rules), kind, key, (before, row), teller);
        let stream = store.own(STREAM).map_or_else(|| ids::shaped("est_{22}"), str::to_owned);
        store.set_own(STREAM, &stream);
        let event = json!({
            "specversion": "1.0",
            "type": name,
            "source": format!("urn:auth0:{}.auth0app.com", teller.tenant),
            "id": ids::shaped("evt_{22}"),
            "time": ids::time(teller.now),
            "data": {"object": object},
            "a0tenant": teller.tenant,
            "a0stream": stream,
        });
        let (number, kind, at) = (store.events().last() + 1, name.to_owned(), teller.now.timestamp_millis());
        store.tell(Kept { number, kind, at, text: event.to_string() });
    }
    let retention = TimeDelta::from_std(options.retention).unwrap_or(TimeDelta::MAX);
    let oldest = teller.now.checked_sub_signed(retention).map_or(i64::MIN, |time| time.timestamp_millis());
    store.events_mut().forget(oldest);
}

/// What the event shows of the row.
fn object(
    store: &Store,
    (resource, rules): (&Resource, &Rules),
    kind: EventKind,
    key: &str,
    (before, row): (Option<&Row>, &Row),
    teller: Teller,
) -> Value {
    let mut object = Fields::new();
    let Some(event) = &resource.event else { return Value::Object(object) };
    for (column, place) in &event.key {
        if let Some(value) = keys::value(resource, key, row, column) {
            put_at(&mut object, place, value);
        }
    }
    for column in event.shows.iter().filter(|column| !rules.event.hides(kind, column)) {
        let field = resource.field(column);
        let value = row.body.get(field);
        let same = before.is_some_and(|before| before.body.get(field) == value);
        let empty = value.and_then(Value::as_object).is_some_and(|object| object.is_empty());
        if event.partial && same || empty && rules.hidden_when_empty.iter().any(|name| name == field) {
            continue;
        }
        if let Some(value) = value {
            object.insert(field.to_owned(), value.clone());
        }
    }
    let named = named(store, resource, key, row);
    let context = Context {
        host: teller.host,
        tenant: teller.tenant,
        now: teller.now,
        row: Some(&named),
        ..Context::default()
    };
    for (place, template) in rules.event.of(kind) {
        if let Some(value) = context.value(template) {
            put_at(&mut object, place, value);
        }
    }
    Value::Object(object)
}

/// The row with its key columns, and below the name of its table each row that those refer to.
fn named(store: &Store, resource: &Resource, key: &str, row: &Row) -> Fields {
    let mut fields = keys::columns(resource, key);
    fields.extend(row.body.clone());
    for column in &resource.key {
        let table = resource.columns.get(column).and_then(|column| column.references.as_deref());
        let far = table.zip(keys::part(resource, key, column));
        if let Some((table, row)) = far.and_then(|(table, key)| Some((table, store.get(table, key)?))) {
            fields.insert(table.to_owned(), Value::Object(row.body.clone()));
        }
    }
    fields
}
