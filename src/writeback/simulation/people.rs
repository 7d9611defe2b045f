//! Clients of Postgres, and other people at Auth0.

use serde_json::{Map, Value, json};

use super::database::Session;
use super::tables::{LINK, PLACE, THING, images, name};
use super::tenant::{BAD, KEEP};
use super::world::World;
use crate::catalog::RowKey;
use crate::pg::mirror::Row;
use crate::writeback::lanes::Node;

/// Transactions that are open at a time.
const SESSIONS: usize = 3;

impl World {
    /// Rows that are there when the schedule begins, the same on both sides.
    pub(super) fn furnish(&mut self) {
        let rows = [(THING, "thing_a"), (THING, "thing_b"), (PLACE, "place_a"), (PLACE, "place_b")];
        for (table, key) in rows {
            let row = json!({"id": key, "name": key, "meta": {"a": 0}});
            self.tenant.other(&(table.to_owned(), RowKey::single(key)), row.as_object().cloned());
        }
        let link = (LINK.to_owned(), RowKey(vec!["place_a".into(), "thing_a".into()]));
        self.tenant.other(&link, json!({"place_id": "place_a", "thing_id": "thing_a"}).as_object().cloned());
        self.tenant.notices.clear();
        for node in self.tenant.rows.keys() {
            self.db.rows.extend(self.tenant.shown(node).map(|row| (node.clone(), row)));
            self.known.insert(node.clone(), 0);
        }
    }

    fn value(&mut self, whose: &str) -> Value {
        self.values += 1;
        Value::String(format!("{whose}{}", self.values))
    }

    /// One step of a client: begins, writes, commits, aborts.
    pub(super) fn client(&mut self) {
        let open = self.db.sessions.len();
        if self.writes_left > 0 && (open == 0 || (open < SESSIONS && self.chance.percent(30))) {
            let holds = self.holding && self.chance.percent(30);
            self.db.sessions.push(Session::new(holds));
            return;
        }
        let session = self.chance.below(open);
        if self.db.sessions.get(session).is_none_or(|session| session.logged) {
            self.say(|| "a commit comes into sight".to_owned());
            self.db.end(session);
            return;
        }
        match self.chance.below(10) {
            0..=5 if self.writes_left > 0 => self.client_writes(session),
            6 => {
                self.say(|| "a transaction is aborted".to_owned());
                self.db.end(session);
            }
            _ if self.db.has_written(session) => {
                self.db.log_commit(session);
                let ids = self.db.log.last().map(|commit| commit.ids.clone());
                let holds = self.db.sessions.get(session).is_some_and(|session| session.holds);
                self.say(|| format!("a client commits {ids:?}{}", if holds { ", held" } else { "" }));
            }
            _ => self.db.end(session),
        }
    }

    /// Somebody releases or discards what a transaction has held.
    pub(super) fn end_hold(&mut self) {
        let open: Vec<usize> = self.open_holds().collect();
        let Some(commit) = self.chance.pick(&open) else { return };
        let discards = self.chance.percent(30);
        self.say(|| format!("held changes are {}", if discards { "discarded" } else { "released" }));
        self.db.end_hold(commit, discards);
        self.woken = true;
    }

    pub(super) fn open_holds(&self) -> impl Iterator<Item = usize> {
        self.db.held.iter().filter(|(_, ended)| !**ended).map(|(commit, _)| *commit)
    }

    fn client_writes(&mut self, session: usize) {
        self.writes_left -= 1;
        let table = [THING, THING, PLACE, LINK][self.chance.below(4)];
        let there = self.db.sees_rows(session, table);
        let (node, new) = match self.chance.below(10) {
            0..=2 => match self.new_row(session, table) {
                Some((node, row)) => (node, Some(row)),
                None => return,
            },
            3 | 4 => match self.chance.pick(&there) {
                Some(node) => (node, None),
                None => return,
            },
            _ => {
                let Some(node) = self.chance.pick(&there).filter(|node| node.0 != LINK) else { return };
                let Some(Some(mut row)) = self.db.sees_row(session, &node) else { return };
                self.change(&mut row, "mine", true);
                (node, Some(row))
            }
        };
        let resource = self.catalog.resource(table).unwrap();
        let shown = new.clone();
        let id = self.db.write(session, &node, new, |old, new| images(resource, old, new));
        if let Some(id) = id {
            let row = shown.map(|row| json!(row).to_string());
            self.say(|| format!("a client writes {id}: {} = {row:?}", name(&node)));
        }
    }

    /// A row to insert, under a key that is new or has been deleted.
    fn new_row(&mut self, session: usize, table: &str) -> Option<(Node, Row)> {
        let mut row = Row::new();
        if table == LINK {
            let (places, things) = (self.db.sees_rows(session, PLACE), self.db.sees_rows(session, THING));
            let (place, thing) = (self.chance.pick(&places)?, self.chance.pick(&things)?);
            let key = vec![place.1.0[0].clone(), thing.1.0[0].clone()];
            row.insert("place_id".to_owned(), Value::String(key[0].clone()));
            row.insert("thing_id".to_owned(), Value::String(key[1].clone()));
            let node = (LINK.to_owned(), RowKey(key));
            return self.db.sees_row(session, &node)?.is_none().then_some((node, row));
        }
        let before: Vec<Node> = self.tenant.history.keys().filter(|node| node.0 == THING).cloned().collect();
        let again = if table == THING && self.chance.percent(30) { self.chance.pick(&before) } else { None };
        // What others have made and we do not know yet is theirs.
        let again = again.filter(|node| self.known.contains_key(node));
        let again = again.filter(|node| self.db.sees_row(session, node) == Some(None));
        self.values += 1;
        let made = if table == THING { "thing" } else { "new" };
        let node = again.unwrap_or((table.to_owned(), RowKey::single(format!("{made}_{}", self.values))));
        row.insert("id".to_owned(), Value::String(node.1.0[0].clone()));
        let first = if self.chance.percent(12) { BAD } else { "mine" };
        let value = self.value(first);
        row.insert("name".to_owned(), value);
        if self.chance.percent(30) {
            let value = self.value("mine");
            row.insert("meta".to_owned(), json!({"a": value}));
        }
        Some((node, row))
    }

    /// Changes a column or two; `bad` where Auth0 may refuse it.
    fn change(&mut self, row: &mut Row, whose: &str, bad: bool) {
        for _ in 0..=self.chance.below(2) {
            match self.chance.below(4) {
                0 => {
                    let whose = if bad && self.chance.percent(20) { BAD } else { whose };
                    let value = self.value(whose);
                    row.insert("name".to_owned(), value);
                }
                1 => match self.chance.below(3) {
                    0 => {
                        row.shift_remove("label");
                    }
                    1 => {
                        row.insert("label".to_owned(), Value::String(KEEP.to_owned()));
                    }
                    _ => {
                        let value = self.value(whose);
                        row.insert("label".to_owned(), value);
                    }
                },
                _ => {
                    let key = ["a", "b", "c"][self.chance.below(3)];
                    let mut object: Map<String, Value> =
                        row.get("meta").and_then(Value::as_object).cloned().unwrap_or_default();
                    if self.chance.percent(30) {
                        object.shift_remove(key);
                    } else {
                        object.insert(key.to_owned(), self.value(whose));
                    }
                    row.insert("meta".to_owned(), Value::Object(object));
                }
            }
        }
    }

    /// Somebody else changes something at Auth0.
    pub(super) fn other(&mut self) {
        self.others_left -= 1;
        let there: Vec<Node> = self.tenant.rows.keys().cloned().collect();
        let picked = self.chance.pick(&there);
        let (node, row) = match (self.chance.below(10), picked) {
            (0..=1, Some(node)) => (node, None),
            (2..=7, Some(node)) if node.0 != LINK => {
                let mut row = self.tenant.rows[&node].clone();
                self.change(&mut row, "theirs", false);
                (node, Some(row))
            }
            _ => match self.other_row(&there) {
                Some((node, row)) => (node, Some(row)),
                None => return,
            },
        };
        self.say(|| {
            format!("somebody else: {} = {:?}", name(&node), row.as_ref().map(|row| json!(row).to_string()))
        });
        self.tenant.other(&node, row);
    }

    fn other_row(&mut self, there: &[Node]) -> Option<(Node, Row)> {
        let mut row = Row::new();
        if self.chance.percent(40) {
            let of = |table: &str| there.iter().filter(|node| node.0 == table).cloned().collect::<Vec<_>>();
            let (place, thing) = (self.chance.pick(&of(PLACE))?, self.chance.pick(&of(THING))?);
            let key = RowKey(vec![place.1.0[0].clone(), thing.1.0[0].clone()]);
            row.insert("place_id".to_owned(), Value::String(key.0[0].clone()));
            row.insert("thing_id".to_owned(), Value::String(key.0[1].clone()));
            let node = (LINK.to_owned(), key);
            return (!there.contains(&node)).then_some((node, row));
        }
        self.values += 1;
        let (table, key) = match self.chance.percent(50) {
            true => (THING, format!("other_{}", self.values)),
            false => (PLACE, self.tenant.make()),
        };
        row.insert("id".to_owned(), Value::String(key.clone()));
        let value = self.value("theirs");
        row.insert("name".to_owned(), value);
        Some(((table.to_owned(), RowKey::single(key)), row))
    }
}
