//! The tenant's rows, logs and own secrets, in memory, with every change written to the journal
//! before it is acknowledged. It knows tables by name and nothing of what they mean.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::events::{Kept, Log};
use super::index::Indexed;
use super::journal::Journal;
use super::recent::Recent;
use super::rules::Fields;
use super::table::Table;
use crate::error::Result;

/// One row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Row {
    /// What the API shows.
    #[serde(rename = "b")]
    pub(super) body: Fields,
    /// What it never shows: passwords.
    #[serde(rename = "h", default, skip_serializing_if = "Fields::is_empty")]
    pub(super) hidden: Fields,
    /// Position in the order of creation; checkpoints point at it.
    #[serde(rename = "n")]
    pub(super) number: u64,
}

impl Row {
    /// The text in a field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str)
    }
}

/// One step of a change; the journal holds them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// A row is there, with these contents.
    Put(String, String, Row),
    /// A row is gone.
    Remove(String, String),
    /// A tenant log entry is there.
    Log(Value),
    /// One of the tenant's own values is this.
    Own(String, String),
    /// The tenant log is empty.
    ForgetLogs,
    /// Rows, logs and events are gone; the tenant's own values stay.
    Clear,
    /// An event has been told.
    Event(Arc<Kept>),
    /// Events up to this number have gone.
    Gone(u64),
}

/// A row before and after a step.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Its table.
    pub(super) table: String,
    /// Its key.
    pub(super) key: String,
    /// What it was; none where it is new.
    pub(super) old: Option<Row>,
    /// What it is; none where it is gone.
    pub(super) new: Option<Row>,
}

/// Everything that the emulator keeps.
#[derive(Debug, Default)]
pub(super) struct Store {
    tables: HashMap<String, Table>,
    logs: Vec<Value>,
    own: HashMap<String, String>,
    last_number: u64,
    journal: Option<Journal>,
    pending: Vec<Step>,
    events: Log,
    /// Tables whose changes are remembered until they are taken.
    watched: HashSet<String>,
    changes: Vec<Change>,
    /// What tables have indexes of.
    indexed: HashMap<String, Vec<Indexed>>,
    /// Grows with every change of a row.
    version: u64,
    /// What was found last.
    pub(super) recent: Recent,
}

static EMPTY: std::sync::LazyLock<Table> = std::sync::LazyLock::new(Table::default);

impl Store {
    /// The store that is kept in `folder`; it keeps no changes there before `keep`.
    ///
    /// # Errors
    /// `io`, naming the file.
    pub(super) fn open(folder: &Path) -> Result<Store> {
        let mut store = Store::default();
        Journal::read(folder, |step| store.apply(step))?;
        Ok(store)
    }

    /// Keeps everything in `folder`, at once as a whole, and from now on every change.
    ///
    /// # Errors
    /// `io`, naming the file.
    pub(super) fn keep(&mut self, folder: &Path) -> Result<()> {
        self.journal = Some(Journal::rewrite(folder, self.snapshot())?);
        Ok(())
    }

    /// Gives tables these indexes.
    pub(super) fn index(&mut self, indexed: HashMap<String, Vec<Indexed>>) {
        for (table, rows) in &mut self.tables {
            rows.index(indexed.get(table).map_or(&[], Vec::as_slice));
        }
        self.indexed = indexed;
    }

    /// Grows with every change of a row.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// How many rows have been looked at.
    pub(super) fn visited(&self) -> u64 {
        self.tables.values().map(Table::visited).sum()
    }

    fn snapshot(&self) -> impl Iterator<Item = Step> + '_ {
        let own = self.own.iter().map(|(key, value)| Step::Own(key.clone(), value.clone()));
        let rows = self.tables.iter().flat_map(|(table, rows)| {
            rows.scan(0).map(move |(key, number, held)| {
                Step::Put(table.clone(), key.clone(), held.row(number).into_owned())
            })
        });
        let events = self.events.iter().cloned().map(Step::Event);
        let events = std::iter::once(Step::Gone(self.events.gone())).chain(events);
        own.chain(rows).chain(self.logs.iter().cloned().map(Step::Log)).chain(events)
    }

    fn apply(&mut self, step: Step) {
        if matches!(step, Step::Put(..) | Step::Remove(..) | Step::Clear) {
            self.version += 1;
        }
        match step {
            Step::Put(table, key, row) => {
                self.last_number = self.last_number.max(row.number);
                let indexed = self.indexed.get(&table).map_or(&[][..], Vec::as_slice);
                self.tables.entry(table).or_insert_with(|| Table::new(indexed)).put(key, row);
            }
            Step::Remove(table, key) => {
                self.tables.get_mut(&table).map(|rows| rows.remove(&key));
            }
            Step::Log(entry) => self.logs.push(entry),
            Step::Own(key, value) => {
                self.own.insert(key, value);
            }
            Step::ForgetLogs => self.logs.clear(),
            Step::Clear => {
                self.tables.clear();
                self.logs.clear();
                // Whoever read up to now has missed something: no offset of before holds any more.
                self.events.skip(self.events.last() + 2);
            }
            Step::Event(event) => self.events.push(event),
            Step::Gone(number) => self.events.skip(number),
        }
    }

    fn change(&mut self, step: Step) {
        self.remember(&step);
        if self.journal.is_some() {
            self.pending.push(step.clone());
        }
        self.apply(step);
    }

    /// Remembers what a step changes in a watched table.
    fn remember(&mut self, step: &Step) {
        let (table, key, new) = match step {
            Step::Put(table, key, row) => (table, key, Some(row)),
            Step::Remove(table, key) => (table, key, None),
            _ => return,
        };
        if self.watched.contains(table) {
            let (old, new) = (self.get(table, key).cloned(), new.cloned());
            self.changes.push(Change { table: table.clone(), key: key.clone(), old, new });
        }
    }

    /// From now on changes of these tables are remembered.
    pub(super) fn watch(&mut self, tables: HashSet<String>) {
        self.watched = tables;
    }

    /// What has changed in watched tables since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The events that can be read.
    pub(super) fn events(&self) -> &Log {
        &self.events
    }

    /// The same, to forget old ones.
    pub(super) fn events_mut(&mut self) -> &mut Log {
        &mut self.events
    }

    /// Tells an event.
    pub(super) fn tell(&mut self, event: Kept) {
        self.change(Step::Event(Arc::new(event)));
    }

    /// Writes what changed since the last call; only then may a caller be told.
    ///
    /// # Errors
    /// `io`: the journal cannot be written.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.tables.values_mut().for_each(Table::rest);
        match &mut self.journal {
            Some(journal) if !self.pending.is_empty() => journal.append(&std::mem::take(&mut self.pending)),
            _ => Ok(()),
        }
    }

    /// The rows of a table.
    pub(super) fn table(&self, table: &str) -> &Table {
        self.tables.get(table).unwrap_or(&EMPTY)
    }

    /// One row.
    pub(super) fn get(&self, table: &str, key: &str) -> Option<&Row> {
        self.table(table).get(key)
    }

    /// Stores a row; a new one comes last.
    pub(super) fn put(&mut self, table: &str, key: &str, body: Fields, hidden: Fields) {
        let number = self.get(table, key).map_or(self.last_number + 1, |row| row.number);
        self.change(Step::Put(table.to_owned(), key.to_owned(), Row { body, hidden, number }));
    }

    /// Removes a row; says whether it was there.
    pub(super) fn remove(&mut self, table: &str, key: &str) -> bool {
        let there = self.get(table, key).is_some();
        if there {
            self.change(Step::Remove(table.to_owned(), key.to_owned()));
        }
        there
    }

    /// Tenant logs, oldest first.
    pub(super) fn logs(&self) -> &[Value] {
        &self.logs
    }

    /// Appends a tenant log entry.
    pub(super) fn log(&mut self, entry: Value) {
        self.change(Step::Log(entry));
    }

    /// Drops the tenant log, as Auth0 does with what is older than the plan allows.
    pub(super) fn forget_logs(&mut self) {
        self.change(Step::ForgetLogs);
    }

    /// One of the tenant's own values.
    pub(super) fn own(&self, key: &str) -> Option<&str> {
        self.own.get(key).map(String::as_str)
    }

    /// Sets one of the tenant's own values.
    pub(super) fn set_own(&mut self, key: &str, value: &str) {
        if self.own(key) != Some(value) {
            self.change(Step::Own(key.to_owned(), value.to_owned()));
        }
    }

    /// Removes all rows and logs.
    pub(super) fn clear(&mut self) {
        self.change(Step::Clear);
    }
}
