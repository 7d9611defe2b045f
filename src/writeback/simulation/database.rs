//! The simulated Postgres: mirror rows, `_sync_cdc`, clients' transactions with their locks, and the
//! log that the replication stream reads. Every statement of the service is one step, as its locks make it.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::Flaw;
use super::tables::{LINK, PLACE, THING, name};
use crate::catalog::{Catalog, Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::ledger::Token;
use crate::pg::mirror::{Operation, Row};
use crate::writeback::lanes::{Node, Queued, Terms};
use crate::writeback::request::{Content, join, under};
use crate::writeback::standing::Standing;
use crate::writeback::store::{Which, references};

/// A row of `_sync_cdc`.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    pub(super) id: i64,
    /// When its commit came into sight, counted.
    seen: u64,
    /// The place of its commit in the log.
    commit: usize,
    pub(super) node: Node,
    pub(super) operation: Operation,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
    pub(super) state: &'static str,
    pub(super) settled: bool,
    /// Its client has taken it back before it left.
    pub(super) discarded: bool,
    request_id: Option<String>,
}

/// A transaction of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// Rows that it has written, and locks therefore.
    rows: BTreeMap<Node, Option<Row>>,
    mutations: Vec<Mutation>,
    /// Its mutations are held until somebody releases or discards them.
    pub(super) holds: bool,
    /// It has written its commit into the log, and others do not see it yet.
    pub(super) logged: bool,
}

impl Session {
    pub(super) fn new(holds: bool) -> Self {
        Session { holds, ..Session::default() }
    }
}

/// A commit in the log.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) lsn: u64,
    pub(super) ids: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) catalog: &'static Catalog,
    pub(super) rows: BTreeMap<Node, Row>,
    pub(super) mutations: BTreeMap<i64, Mutation>,
    pub(super) sessions: Vec<Session>,
    pub(super) log: Vec<Commit>,
    /// Settled mutations in the order of their NOTIFY.
    pub(super) told: Vec<i64>,
    /// Rows that were written since somebody looked.
    pub(super) touched: Vec<Node>,
    /// Rows that are to be read, until they have been.
    pub(super) to_read: BTreeMap<i64, Node>,
    /// The stored position in the tenant log.
    pub(super) position: u64,
    /// Provisional keys of places, with those that Auth0 has made.
    pub(super) made: BTreeMap<String, RowKey>,
    /// Commits whose mutations are or were held; true where that has ended.
    pub(super) held: BTreeMap<usize, bool>,
    next_id: i64,
    sight: u64,
    pub(super) flaw: Option<Flaw>,
}

pub(super) fn busy() -> Error {
    Error::new(Kind::DatabaseBusy, "a client holds the row")
}

pub(super) fn internal(what: &str) -> Error {
    Error::new(Kind::Internal, what)
}

impl Database {
    pub(super) fn new(catalog: &'static Catalog, flaw: Option<Flaw>) -> Self {
        Database {
            catalog,
            rows: BTreeMap::new(),
            mutations: BTreeMap::new(),
            sessions: Vec::new(),
            log: Vec::new(),
            told: Vec::new(),
            touched: Vec::new(),
            to_read: BTreeMap::new(),
            position: 0,
            made: BTreeMap::new(),
            held: BTreeMap::new(),
            next_id: 0,
            sight: 0,
            flaw,
        }
    }

    pub(super) fn resource(&self, node: &Node) -> &'static Resource {
        self.catalog.resource(&node.0).unwrap()
    }

    pub(super) fn is_held(&self, node: &Node) -> bool {
        self.sessions.iter().any(|session| session.rows.contains_key(node))
    }

    // What clients do.

    /// The row as a session sees it; none where another session holds it.
    pub(super) fn sees_row(&self, session: usize, node: &Node) -> Option<Option<Row>> {
        let mut others = self.sessions.iter().enumerate().filter(|(n, _)| *n != session);
        if others.any(|(_, other)| other.rows.contains_key(node)) {
            return None;
        }
        let own = self.sessions.get(session).and_then(|own| own.rows.get(node));
        Some(own.cloned().unwrap_or_else(|| self.rows.get(node).cloned()))
    }

    /// Rows of a table that a session sees.
    pub(super) fn sees_rows(&self, session: usize, table: &str) -> Vec<Node> {
        let own = self.sessions.get(session).map(|own| &own.rows);
        let staged = own.into_iter().flatten().filter(|(_, row)| row.is_some()).map(|(node, _)| node);
        let gone = |node: &Node| own.is_some_and(|own| own.get(node).is_some_and(Option::is_none));
        let mut found: Vec<Node> =
            self.rows.keys().filter(|node| !gone(node)).chain(staged).cloned().collect();
        found.retain(|node| node.0 == table);
        found.sort();
        found.dedup();
        found
    }

    /// A client's write of one row, captured as the triggers do it; the id of its mutation.
    pub(super) fn write(
        &mut self,
        session: usize,
        node: &Node,
        new: Option<Row>,
        images: impl FnOnce(&Row, &Row) -> Option<(Row, Row)>,
    ) -> Option<i64> {
        let old = self.sees_row(session, node)?;
        let (operation, before, after) = match (old, &new) {
            (None, Some(new)) => (Operation::Insert, None, Some(new.clone())),
            (Some(old), None) => (Operation::Delete, Some(old), None),
            (Some(old), Some(new)) => {
                let (before, after) = images(&old, new)?;
                (Operation::Update, Some(before), Some(after))
            }
            (None, None) => return None,
        };
        let holds = self.sessions.get(session)?.holds;
        self.next_id += 1;
        let mutation = Mutation {
            id: self.next_id,
            seen: 0,
            commit: 0,
            node: node.clone(),
            operation,
            before,
            after,
            state: if holds { "held" } else { "pending" },
            settled: false,
            discarded: false,
            request_id: None,
        };
        let own = self.sessions.get_mut(session)?;
        own.rows.insert(node.clone(), new);
        own.mutations.push(mutation);
        Some(self.next_id)
    }

    pub(super) fn has_written(&self, session: usize) -> bool {
        self.sessions.get(session).is_some_and(|session| !session.mutations.is_empty())
    }

    /// Writes a session's commit into the log: from here on it is durable, and the stream may tell it.
    pub(super) fn log_commit(&mut self, session: usize) {
        let Some(own) = self.sessions.get_mut(session) else { return };
        own.logged = true;
        own.mutations.iter_mut().for_each(|mutation| mutation.commit = self.log.len());
        let lsn = 100 + 10 * self.log.len() as u64;
        self.log.push(Commit { lsn, ids: own.mutations.iter().map(|mutation| mutation.id).collect() });
    }

    /// Ends a session: what it has logged comes into sight, all else is undone.
    pub(super) fn end(&mut self, session: usize) {
        let own = self.sessions.remove(session);
        if !own.logged {
            return;
        }
        self.sight += 1;
        for (node, row) in own.rows {
            match row {
                Some(row) => self.rows.insert(node.clone(), row),
                None => self.rows.remove(&node),
            };
            self.touched.push(node);
        }
        for mutation in own.mutations {
            if own.holds {
                self.held.insert(mutation.commit, false);
            }
            self.mutations.insert(mutation.id, Mutation { seen: self.sight, ..mutation });
        }
    }

    /// A restart of the server: what is in the log is there, what is not is gone.
    pub(super) fn restart(&mut self) {
        while !self.sessions.is_empty() {
            self.end(0);
        }
    }

    /// Lets the held mutations of a commit go, or takes them back.
    pub(super) fn end_hold(&mut self, commit: usize, discards: bool) {
        self.held.insert(commit, true);
        for mutation in self.mutations.values_mut().filter(|mutation| mutation.commit == commit) {
            if mutation.state == "held" {
                (mutation.state, mutation.discarded) = ("pending", discards);
            }
        }
    }

    // What the service does outside of settling.

    pub(super) fn snapshot(&self) -> String {
        self.sight.to_string()
    }

    /// A page, and those beyond it that a call of these may have carried.
    pub(super) fn load(
        &self,
        which: &Which,
        limit: i64,
        commit: Option<Token>,
    ) -> (Vec<Queued>, Vec<Queued>) {
        let wanted = |mutation: &&Mutation| match which {
            Which::Ids(ids) => ids.contains(&mutation.id),
            Which::Snapshot { snapshot, after } => {
                mutation.id > *after && mutation.seen <= snapshot.parse::<u64>().unwrap()
            }
            Which::Transaction { xid, after, last } => {
                let commit = self.log.get(*xid as usize);
                mutation.id > *after
                    && mutation.id <= *last
                    && commit.is_some_and(|commit| commit.ids.contains(&mutation.id))
            }
        };
        let unsettled =
            self.mutations.values().filter(|mutation| !mutation.settled && mutation.state != "held");
        let limit = usize::try_from(limit).unwrap();
        let page: Vec<&Mutation> = unsettled.filter(wanted).take(limit).collect();
        let last = page.last().map_or(i64::MAX, |mutation| mutation.id);
        let doubtful = |mutation: &Mutation| matches!(mutation.state, "sending" | "verifying");
        let calls: HashSet<&String> = page
            .iter()
            .filter(|mutation| doubtful(mutation))
            .filter_map(|mutation| mutation.request_id.as_ref())
            .collect();
        let same_call = |mutation: &&Mutation| {
            doubtful(mutation) && mutation.request_id.as_ref().is_some_and(|id| calls.contains(id))
        };
        let beyond = self.mutations.range(last.saturating_add(1)..).map(|(_, mutation)| mutation);
        let queued = |mutation: &Mutation| self.queued(mutation, commit);
        let rest = beyond.filter(|_| page.len() >= limit).filter(same_call).map(queued).collect();
        (page.into_iter().map(queued).collect(), rest)
    }

    fn queued(&self, mutation: &Mutation, commit: Option<Token>) -> Queued {
        let image = mutation.after.as_ref().or(mutation.before.as_ref());
        let image = image.map_or(Value::Null, |image| Value::Object(image.clone()));
        let resource = self.resource(&mutation.node);
        let references = match self.flaw {
            Some(Flaw::ParentsDoNotComeFirst) => Vec::new(),
            _ => references(self.catalog, resource, &mutation.node.1, &image),
        };
        Queued {
            id: mutation.id,
            node: mutation.node.clone(),
            operation: mutation.operation,
            references,
            uncertain: mutation.state != "pending",
            terms: Terms { discarded: mutation.discarded.then(|| "somebody".to_owned()), ..Terms::default() },
            commit,
        }
    }

    /// Mutations of these rows, and of those that they reference, that are or were held.
    pub(super) fn held_before(&self, page: &[Queued]) -> Vec<(Node, i64)> {
        let named = page.iter().flat_map(|queued| {
            std::iter::once(&queued.node).chain(queued.references.iter().map(|(node, _)| node))
        });
        let named: HashSet<&Node> = named.collect();
        let held = self.mutations.values().filter(|mutation| {
            !mutation.settled && self.held.contains_key(&mutation.commit) && named.contains(&mutation.node)
        });
        held.map(|mutation| (mutation.node.clone(), mutation.id)).collect()
    }

    pub(super) fn sees(&self, which: &Which) -> bool {
        match which {
            Which::Ids(ids) => ids.first().is_none_or(|id| self.mutations.contains_key(id)),
            Which::Transaction { after, .. } => self.mutations.contains_key(&(after + 1)),
            Which::Snapshot { .. } => true,
        }
    }

    pub(super) fn unseen(&self, ids: &[i64]) -> HashSet<i64> {
        ids.iter().copied().filter(|id| !self.mutations.contains_key(id)).collect()
    }

    pub(super) fn standing(&self, ids: &[i64]) -> Standing {
        let count = |wanted: fn(&Mutation) -> bool| {
            let these = ids.iter().filter_map(|id| self.mutations.get(id));
            these.filter(|mutation| wanted(mutation)).count() as i64
        };
        let key = self.mutations[&ids[0]].node.1.clone();
        let reverted = count(|mutation| matches!(mutation.state, "reverted" | "cancelled"));
        let pending = count(|mutation| mutation.state == "pending");
        Standing::of(key, count(|mutation| mutation.settled), reverted, pending)
    }

    /// Moves those of `ids` that are in one of these states to another one; how many they are.
    fn advance(&mut self, ids: &[i64], from: &[&str], to: &'static str) -> usize {
        let mut moved = 0;
        for id in ids {
            if let Some(mutation) = self.mutations.get_mut(id).filter(|m| from.contains(&m.state)) {
                mutation.state = to;
                moved += 1;
            }
        }
        moved
    }

    pub(super) fn claim(
        &mut self,
        ids: &[i64],
        uncertain: bool,
        request_id: &str,
    ) -> Result<(Content, String)> {
        let (from, to) = match uncertain {
            true => (["sending", "verifying"], "verifying"),
            false => (["pending", "verifying"], "sending"),
        };
        let claimed = self.advance(ids, &from, to);
        let rows: Vec<Mutation> = ids.iter().filter_map(|id| self.mutations.get(id)).cloned().collect();
        let Some(last) = rows.last().filter(|_| claimed == ids.len()) else {
            return Err(internal("mutations to send are owned by somebody else"));
        };
        let resource = self.resource(&last.node);
        let request_id =
            last.request_id.clone().filter(|_| uncertain).unwrap_or_else(|| request_id.to_owned());
        for id in ids {
            if let Some(mutation) = self.mutations.get_mut(id) {
                mutation.request_id = Some(request_id.clone());
            }
        }
        let image = |image: &Option<Row>| image.clone().unwrap_or_default();
        let content = Content {
            operation: last.operation,
            key: last.node.1.to_json(resource),
            before: under(resource, rows.iter().map(|row| image(&row.before))),
            after: join(resource, rows.iter().map(|row| image(&row.after))),
            write_only: Map::new(),
        };
        Ok((content, request_id))
    }

    /// The claim of an UPDATE that nothing stands before.
    pub(super) fn claim_alone(
        &mut self,
        id: i64,
        request_id: &str,
    ) -> Result<Option<(Node, (Content, String))>> {
        let own = self
            .mutations
            .get(&id)
            .filter(|own| own.state == "pending" && own.operation == Operation::Update);
        let Some(node) = own.filter(|own| !own.discarded).map(|own| own.node.clone()) else {
            return Ok(None);
        };
        let stands = |earlier: &Mutation| !earlier.settled && earlier.node == node;
        let waits = self.mutations.range(..id).any(|(_, earlier)| stands(earlier)) || !self.held.is_empty();
        if waits && self.flaw != Some(Flaw::WhatComesAloneAsksNobody) {
            return Ok(None);
        }
        Ok(Some((node, self.claim(&[id], false, request_id)?)))
    }

    pub(super) fn put_back(&mut self, ids: &[i64]) -> Result<()> {
        self.advance(ids, &["sending", "verifying"], "pending");
        Ok(())
    }

    pub(super) fn doubt(&mut self, ids: &[i64]) -> Result<()> {
        self.advance(ids, &["sending"], "verifying");
        Ok(())
    }

    /// The unsettled mutation that a call for `ids` must wait for: the insert of a row that their
    /// row hangs on, or an earlier one of a row that hangs on theirs.
    pub(super) fn stands_before(&self, ids: &[i64]) -> Option<String> {
        let own = self.mutations.get(ids.first()?)?;
        // What another transaction has not shown yet stands in nobody's way.
        let before = |other: &&Mutation| {
            let shown = other.commit < own.commit && other.seen < own.seen;
            !other.settled && other.id < own.id && (other.commit == own.commit || shown)
        };
        let earlier = self.mutations.values().filter(before);
        let stands = |other: &&Mutation| match own.operation {
            Operation::Insert => other.operation == Operation::Insert && hangs_on(&own.node, &other.node),
            Operation::Delete => hangs_on(&other.node, &own.node),
            Operation::Update => false,
        };
        // What is held keeps back what comes after it of its row, and what hangs on that, but not a delete above it;
        // neither does what it keeps back.
        let kept_back = |other: &Mutation| {
            let mut earlier = self.mutations.range(..=other.id).map(|(_, mutation)| mutation);
            let before = |node: &Node| *node == other.node || hangs_on(&other.node, node);
            earlier.any(|mutation| before(&mutation.node) && self.held.contains_key(&mutation.commit))
        };
        let free = |other: &&Mutation| own.operation == Operation::Delete && kept_back(other);
        let mut standing = earlier.filter(|other| !ids.contains(&other.id) && !free(other)).filter(stands);
        standing.next().map(|other| format!("{} of {}", other.id, name(&other.node)))
    }
}

/// Whether a link has the row as one of its ends.
pub(super) fn hangs_on(link: &Node, row: &Node) -> bool {
    let end = match row.0.as_str() {
        PLACE => 0,
        THING => 1,
        _ => return false,
    };
    link.0 == LINK && link.1.0[end] == row.1.0[0]
}
