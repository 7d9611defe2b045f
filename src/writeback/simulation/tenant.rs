//! The simulated Auth0: rows, their history, other people's changes, and a book of what each
//! mutation did, which no real tenant keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::tables::{LINK, PLACE, THING, name};
use crate::auth0::{Request, Wire};
use crate::catalog::{Catalog, Resource, RowKey, path_matches};
use crate::pg::mirror::{Row, row_from_answer};
use crate::writeback::call::holds;
use crate::writeback::lanes::Node;

/// Values that Auth0 refuses, and rows that it does not delete.
pub(super) const BAD: &str = "bad";
pub(super) const KEEP: &str = "keep";

/// What a mutation did at Auth0.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) node: Node,
    /// The length of the row's history then.
    pub(super) at: usize,
    /// Other people's changes of the row until then.
    others: u64,
}

#[derive(Debug)]
pub(super) struct Tenant {
    catalog: &'static Catalog,
    pub(super) rows: BTreeMap<Node, Row>,
    /// Every state that a row has had, in the mirror's shape.
    pub(super) history: BTreeMap<Node, Vec<Option<Row>>>,
    /// Other people's changes, as the tenant log tells them.
    pub(super) notices: Vec<Node>,
    pub(super) done: BTreeMap<i64, Deed>,
    /// Mutations that were refused by themselves.
    pub(super) refused: BTreeMap<i64, u32>,
    others: BTreeMap<Node, u64>,
    last: BTreeMap<Node, i64>,
    made: u64,
    clock: i64,
    puts: u64,
    /// What must never happen.
    pub(super) broken: Option<String>,
}

impl Tenant {
    pub(super) fn new(catalog: &'static Catalog) -> Self {
        Tenant {
            catalog,
            rows: BTreeMap::new(),
            history: BTreeMap::new(),
            notices: Vec::new(),
            done: BTreeMap::new(),
            refused: BTreeMap::new(),
            others: BTreeMap::new(),
            last: BTreeMap::new(),
            made: 0,
            clock: 1_767_225_600_000,
            puts: 0,
            broken: None,
        }
    }

    fn resource(&self, node: &Node) -> &'static Resource {
        self.catalog.resource(&node.0).unwrap()
    }

    /// The row as reading shows it, in the mirror's shape.
    pub(super) fn shown(&self, node: &Node) -> Option<Row> {
        self.history.get(node).and_then(|history| history.last().cloned()).flatten()
    }

    /// Rows of a table as a list shows them.
    pub(super) fn list(&self, table: &str) -> Vec<Row> {
        self.rows.keys().filter(|node| node.0 == table).filter_map(|node| self.shown(node)).collect()
    }

    /// Writes a row, or removes it and what hangs on it.
    fn put(&mut self, node: &Node, row: Option<Row>) {
        let resource = self.resource(node);
        let row = row.map(|mut row| {
            // Some changes are made at the same time by its clock.
            self.puts += 1;
            if !self.puts.is_multiple_of(4) {
                self.clock += 1;
            }
            if resource.version.is_some() {
                let time = DateTime::from_timestamp_millis(self.clock).unwrap();
                let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
                row.insert("updated_at".to_owned(), Value::String(time));
            }
            row
        });
        let shown = row.clone().map(|row| row_from_answer(resource, &Value::Object(row)));
        self.history.entry(node.clone()).or_default().push(shown);
        match row {
            Some(row) => {
                self.rows.insert(node.clone(), row);
            }
            None => {
                self.rows.remove(node);
                let hangs = |link: &&Node| {
                    link.0 == LINK && link.1.0[usize::from(node.0 == THING)] == node.1.0[0] && node.0 != LINK
                };
                let links: Vec<Node> = self.rows.keys().filter(hangs).cloned().collect();
                for link in links {
                    self.put(&link, None);
                    *self.others.entry(link).or_default() += 1;
                }
            }
        }
    }

    /// Other people's change.
    pub(super) fn other(&mut self, node: &Node, row: Option<Row>) {
        self.put(node, row);
        *self.others.entry(node.clone()).or_default() += 1;
        self.notices.push(node.clone());
    }

    /// A key as Auth0 makes them.
    pub(super) fn make(&mut self) -> String {
        self.made += 1;
        format!("place_{}", self.made)
    }

    /// Answers a request; `ids` are the mutations that it carries, for the book.
    pub(super) fn answer(&mut self, request: &Request, ids: &[i64]) -> Wire {
        match self.serve(request, ids) {
            Ok(Value::Null) => wire(204, None),
            Ok(row) => wire(200, Some(&row)),
            Err((status, message)) => {
                if request.method != Method::GET && status != 404 && ids.len() == 1 {
                    *self.refused.entry(ids[0]).or_default() += 1;
                }
                wire(status, Some(&json!({"error": "refused", "message": message})))
            }
        }
    }

    fn serve(&mut self, request: &Request, ids: &[i64]) -> Result<Value, (u16, &'static str)> {
        let body = request.body.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        let (resource, values) = self.route(request).ok_or((404, "no such path"))?;
        let node = |values: &Row| Some((resource.table.clone(), RowKey::of(resource, values)?));
        let bad = body.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with(BAD));
        if request.method == Method::POST {
            return self.create(resource, values, body, bad, ids);
        }
        let node = node(&values).ok_or((404, "no such row"))?;
        let there = self.rows.get(&node).cloned().ok_or((404, "no such row"))?;
        if request.method == Method::GET {
            return Ok(Value::Object(there));
        }
        if request.method == Method::DELETE {
            if there.get("label").and_then(Value::as_str) == Some(KEEP) {
                return Err((403, "it is to be kept"));
            }
            self.put(&node, None);
            self.book(&node, ids);
            return Ok(Value::Null);
        }
        if bad {
            return Err((400, "a bad name"));
        }
        self.put(&node, Some(patched(there, &body)));
        self.book(&node, ids);
        Ok(Value::Object(self.rows[&node].clone()))
    }

    fn route(&self, request: &Request) -> Option<(&'static Resource, Row)> {
        self.catalog.iter().find_map(|resource| {
            let call = match request.method.as_str() {
                "POST" => resource.create.as_ref().map(|create| &create.call),
                "PATCH" => resource.update.as_ref(),
                "DELETE" => resource.delete.as_ref(),
                _ => resource.get.as_ref(),
            };
            Some((resource, path_matches(&call?.path, &request.path)?))
        })
    }

    fn create(
        &mut self,
        resource: &'static Resource,
        values: Row,
        body: Row,
        bad: bool,
        ids: &[i64],
    ) -> Result<Value, (u16, &'static str)> {
        let mut row = patched(values, &body);
        if bad {
            return Err((400, "a bad name"));
        }
        if resource.table == LINK {
            let part =
                |column: &str| RowKey::single(row.get(column).and_then(Value::as_str).unwrap_or_default());
            let ends = [(PLACE.to_owned(), part("place_id")), (THING.to_owned(), part("thing_id"))];
            if !ends.iter().all(|end| self.rows.contains_key(end)) {
                return Err((404, "one end of the link is not there"));
            }
        }
        if resource.table == PLACE {
            row.insert("id".to_owned(), Value::String(self.make()));
        }
        let node = (resource.table.clone(), RowKey::of(resource, &row).ok_or((400, "a key is missing"))?);
        if self.rows.contains_key(&node) {
            return Err((409, "the row exists"));
        }
        self.put(&node, Some(row));
        self.book(&node, ids);
        Ok(Value::Object(self.rows[&node].clone()))
    }

    /// Notes what mutations did; twice, or out of order, is the end.
    fn book(&mut self, node: &Node, ids: &[i64]) {
        for id in ids {
            let again = self.done.contains_key(id);
            if let Some(before) = self.done.get(id) {
                let others = self.others.get(&before.node).copied().unwrap_or_default();
                // After somebody else's change reading back cannot tell: the last writer wins.
                if others == before.others {
                    self.broken = Some(format!("mutation {id} was applied twice, to {}", name(node)));
                }
            }
            let at = self.history.get(node).map_or(0, Vec::len);
            let others = self.others.get(node).copied().unwrap_or_default();
            self.done.insert(*id, Deed { node: node.clone(), at, others });
            let last = self.last.entry(node.clone()).or_default();
            if *last > *id && !again {
                self.broken = Some(format!("mutation {id} of {} was applied after {last}", name(node)));
            }
            *last = (*last).max(*id);
        }
    }

    /// Whether the row has shown all of this at some time.
    pub(super) fn has_had(&self, node: &Node, wanted: &Row) -> bool {
        let shows = |row: &Row| wanted.iter().all(|(column, value)| holds(row.get(column), value));
        self.history.get(node).into_iter().flatten().flatten().any(shows)
    }

    /// Whether the row was gone at some time after its history had this length.
    pub(super) fn was_gone(&self, node: &Node, since: usize) -> bool {
        self.history.get(node).is_none_or(|history| history.iter().skip(since).any(Option::is_none))
    }
}

/// Fields over a row; null removes one, objects merge by their first level, an empty one empties.
fn patched(mut row: Row, body: &Map<String, Value>) -> Row {
    for (field, value) in body {
        match (row.get_mut(field), value) {
            (Some(Value::Object(there)), Value::Object(more)) if !more.is_empty() => {
                there.extend(more.clone());
                there.retain(|_, part| !part.is_null());
            }
            (_, Value::Null) => {
                row.shift_remove(field);
            }
            (_, Value::Object(more)) => {
                let more = more.iter().filter(|(_, part)| !part.is_null());
                let whole = more.map(|(key, part)| (key.clone(), part.clone())).collect();
                row.insert(field.clone(), Value::Object(whole));
            }
            (_, value) => {
                row.insert(field.clone(), value.clone());
            }
        }
    }
    row
}

pub(super) fn wire(status: u16, body: Option<&Value>) -> Wire {
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    Wire { status, headers: HeaderMap::new(), body }
}
