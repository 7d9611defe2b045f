//! The transactions of the simulated Postgres that lock a row, look, and write.

use serde_json::Value;

use super::Flaw;
use super::database::{Database, Mutation, busy, hangs_on, internal};
use super::tables::{LINK, PLACE};
use crate::catalog::RowKey;
use crate::catalog::Target;
use crate::error::Result;
use crate::pg::mirror::{
    Freshness, News, Operation, Row, Tick, Unsettled, Usable, base_of, is_fresh, rebase, usable,
};
use crate::pg::to_read::ToRead;
use crate::writeback::call::Verdict;
use crate::writeback::lanes::{Node, Work};
use crate::writeback::settlement::{self, Note, Settled, Settlement, notes, settlement};

impl Database {
    pub(super) fn unsettled(&self, node: &Node) -> Vec<Unsettled> {
        let of_row = self.mutations.values().filter(|mutation| !mutation.settled && mutation.node == *node);
        let unsettled = of_row.map(|mutation| Unsettled {
            id: mutation.id,
            operation: mutation.operation,
            before: mutation.before.clone(),
            after: mutation.after.clone(),
        });
        unsettled.collect()
    }

    pub(super) fn settle(&mut self, work: &Work, verdict: &Verdict, also: &[Target]) -> Result<Settled> {
        let (mut node, resource) = (work.node.clone(), self.resource(&work.node));
        self.lock(&node)?;
        let unsettled = self.unsettled(&node);
        if unsettled.iter().filter(|mutation| work.ids.contains(&mutation.id)).count() != work.ids.len() {
            return Err(internal("mutations to settle are not unsettled any more"));
        }
        let base = base_of(resource, self.rows.get(&node), &unsettled);
        let Settlement { mut news, mut settled, error } =
            settlement(resource, work, verdict.clone(), base.as_ref());
        if let (Some(Flaw::OldAnswersAreTaken), Verdict::Applied(answer), News::Dropped { ids }) =
            (self.flaw, verdict, &news)
        {
            news = News::Applied { ids: ids.clone(), answer: answer.clone() };
        }
        if let Some(made) = &settled.rekeyed {
            self.rekey(&node, made)?;
            node.1 = made.clone();
        }
        let cancelled = self.put(&node, news);
        let notes = notes(work, error.as_ref(), &cancelled);
        settled.ids = notes.iter().map(|(id, ..)| *id).collect();
        settled.also.extend_from_slice(also);
        self.write_down(notes)?;
        self.keep(&work.node, &mut settled);
        Ok(settled)
    }

    pub(super) fn cancel(&mut self, work: &Work) -> Result<Settled> {
        self.lock(&work.node)?;
        let ids: Vec<i64> = self.unsettled(&work.node).iter().map(|mutation| mutation.id).collect();
        if !work.ids.iter().all(|id| ids.contains(id)) {
            return Err(internal("a mutation settled twice"));
        }
        let cancelled = self.put(&work.node, News::Dropped { ids: work.ids.clone() });
        let mut settled = settlement::cancelled(self.resource(&work.node), work, &cancelled);
        self.write_down(settled.ids.iter().map(|id| (*id, "cancelled", None)).collect())?;
        self.keep(&work.node, &mut settled);
        Ok(settled)
    }

    /// Applies a reading; false where it has to be read again.
    pub(super) fn apply(
        &mut self,
        freshness: &Freshness,
        node: &Node,
        read: Option<Row>,
        began: Tick,
    ) -> Result<bool> {
        let resource = self.resource(node);
        self.lock(node)?;
        let unsettled = self.unsettled(node);
        let base = base_of(resource, self.rows.get(node), &unsettled);
        let fresh = self.flaw == Some(Flaw::ReadingsAreAlwaysFresh)
            || is_fresh(freshness, self.catalog, resource, &node.1, began);
        if read.as_ref().is_some_and(|row| self.is_unclaimed(node, row)) {
            return Ok(false);
        }
        let first = unsettled.first().map(|mutation| mutation.operation);
        match usable(resource, read, base.as_ref(), first, fresh) {
            Usable::Now(news) => {
                if news == News::Absent && self.flaw != Some(Flaw::WhatHasGoneIsForgotten) {
                    freshness.gone(&node.0, &node.1);
                }
                if !self.put(node, news).is_empty() {
                    return Err(internal("a reading cancels mutations"));
                }
                freshness.applied(&node.0, &node.1, began);
                Ok(true)
            }
            Usable::Never => Ok(true),
            Usable::Later => Ok(false),
        }
    }

    /// A row that is not in the mirror may be what a create under way has made.
    fn is_unclaimed(&self, node: &Node, row: &Row) -> bool {
        let create = |mutation: &Mutation| {
            mutation.operation == Operation::Insert
                && matches!(mutation.state, "sending" | "verifying")
                && mutation.node.0 == PLACE
                && mutation.after.as_ref().and_then(|after| after.get("name")) == row.get("name")
        };
        node.0 == PLACE
            && !self.rows.contains_key(node)
            && self.unsettled(node).is_empty()
            && self.mutations.values().any(create)
    }

    /// The row's lock, and those of the rows that hang on it.
    fn lock(&self, node: &Node) -> Result<()> {
        let mut hang = self.rows.keys().filter(|link| hangs_on(link, node));
        if self.is_held(node) || hang.any(|link| self.is_held(link)) { Err(busy()) } else { Ok(()) }
    }

    /// Applies news by the rebase rule; mutations that it cancels come back.
    fn put(&mut self, node: &Node, news: News) -> Vec<i64> {
        let resource = self.resource(node);
        let rebased = rebase(resource, self.rows.get(node), &self.unsettled(node), news);
        match rebased.visible {
            Some(row) => self.rows.insert(node.clone(), row),
            None => self.rows.remove(node),
        };
        self.rebased(rebased.befores);
        if rebased.base.is_none() {
            let alone = |link: &&Node| hangs_on(link, node) && self.unsettled(link).is_empty();
            let links: Vec<Node> = self.rows.keys().filter(alone).cloned().collect();
            for link in links {
                self.rows.remove(&link);
                self.touched.push(link);
            }
        }
        self.touched.push(node.clone());
        rebased.cancelled
    }

    /// Writes what lies under mutations now.
    pub(super) fn rebased(&mut self, befores: Vec<(i64, Row)>) {
        for (id, before) in befores {
            if self.flaw == Some(Flaw::ImagesAreNotRebased) {
                continue;
            }
            if let Some(mutation) = self.mutations.get_mut(&id) {
                mutation.before = Some(before);
            }
        }
    }

    /// A provisional key gives way to the one that Auth0 made, in rows and in unsettled mutations.
    fn rekey(&mut self, node: &Node, made: &RowKey) -> Result<()> {
        if self.rows.contains_key(&(PLACE.to_owned(), made.clone())) {
            return Err(internal("two rows with one key"));
        }
        self.made.insert(node.1.0[0].clone(), made.clone());
        self.replace_key(&node.1, made);
        Ok(())
    }

    /// The same for what named the row and came into sight too late; false where a client holds one of these.
    pub(super) fn replace_late(&mut self, named: &[Node]) -> Result<Vec<(String, String)>> {
        let made = named.iter().filter_map(|(_, key)| Some((key.clone(), self.made.get(&key.0[0])?.clone())));
        let made: Vec<(RowKey, RowKey)> = made.collect();
        for (old, made) in &made {
            let place = (PLACE.to_owned(), old.clone());
            let links: Vec<&Node> = self.rows.keys().filter(|link| hangs_on(link, &place)).collect();
            let renamed =
                |link: &&Node| (link.0.clone(), RowKey(vec![made.0[0].clone(), link.1.0[1].clone()]));
            // A client may have just inserted what one of them is to become.
            if links.iter().any(|link| self.is_held(link) || self.is_held(&renamed(link))) {
                return Err(busy());
            }
            if links.iter().any(|link| self.rows.contains_key(&renamed(link))) {
                return Err(internal("two rows with one key"));
            }
            self.replace_key(old, made);
        }
        Ok(made.into_iter().map(|(old, made)| (old.0[0].clone(), made.0[0].clone())).collect())
    }

    fn replace_key(&mut self, old: &RowKey, made: &RowKey) {
        let (old, new) = (old.0[0].clone(), made.0[0].clone());
        let rename = |node: &Node| {
            let mut node = node.clone();
            let names = (node.0 == PLACE || node.0 == LINK) && node.1.0[0] == old;
            if names {
                node.1.0[0].clone_from(&new);
            }
            names.then_some(node)
        };
        let column = |table: &str| if table == PLACE { "id" } else { "place_id" };
        let renamed: Vec<(Node, Node)> =
            self.rows.keys().filter_map(|node| Some((node.clone(), rename(node)?))).collect();
        for (from, to) in renamed {
            if let Some(mut row) = self.rows.remove(&from) {
                row.insert(column(&to.0).to_owned(), Value::String(new.clone()));
                self.rows.insert(to.clone(), row);
            }
            self.touched.extend([from, to]);
        }
        for mutation in self.mutations.values_mut().filter(|mutation| !mutation.settled) {
            let Some(node) = rename(&mutation.node) else { continue };
            let column = column(&node.0);
            mutation.node = node;
            for image in [&mut mutation.before, &mut mutation.after].into_iter().flatten() {
                if image.contains_key(column) {
                    image.insert(column.to_owned(), Value::String(new.clone()));
                }
            }
        }
    }

    /// Keeps what is to be read, with what has settled.
    pub(super) fn keep(&mut self, node: &Node, settled: &mut Settled) {
        for target in settled.targets(self.catalog, node) {
            let id = self.to_read.last_key_value().map_or(1, |(last, _)| last + 1);
            if let Target::Row { table, key } = &target {
                if self.flaw == Some(Flaw::WhatIsToBeReadIsForgotten) {
                    settled.to_read.push(ToRead::unkept(target));
                    continue;
                }
                self.to_read.insert(id, (table.clone(), key.clone()));
            }
            settled.to_read.push(ToRead { id: Some(id), target });
        }
    }

    pub(super) fn write_down(&mut self, notes: Vec<Note>) -> Result<()> {
        for (id, state, _) in notes {
            match self.mutations.get_mut(&id).filter(|mutation| !mutation.settled) {
                Some(mutation) => {
                    (mutation.settled, mutation.state) = (true, state);
                    self.told.push(id);
                }
                None => return Err(internal("a mutation settled twice")),
            }
        }
        Ok(())
    }
}
