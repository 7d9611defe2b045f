//! The steps of the dispatcher and of those who read: statements and answers around the decisions.

use std::time::Duration;

use super::Flaw;
use super::database::Database;
use super::service::{Page, Reader, Service, Stage, Worker};
use super::tables::name;
use super::trouble::Trouble;
use super::world::World;
use crate::catalog::Target;
use crate::error::{Error, Kind, Result};
use crate::ledger::Token;
use crate::pg::mirror::Reading;
use crate::pg::to_read::ToRead;
use crate::retry::pause;
use crate::writeback::at_once::queued;
use crate::writeback::desk::Beside;
use crate::writeback::lanes::{Next, Node};
use crate::writeback::late::orphans;

/// Calls that the service makes at a time.
const CALLS: usize = 4;

impl World {
    /// One step of the dispatcher; true where the database did not let it go on.
    pub(super) fn dispatch(&mut self, service: &mut Service<'_>) -> bool {
        match service.page.take() {
            Some(Page::Mutations { page, rest, limit, holds }) => {
                match self.is_ahead(service) {
                    Some(false) => {}
                    // It is read again when the lanes have heard.
                    Some(true) => return false,
                    None => return true,
                }
                let named: Vec<Node> = orphans(service.desk.lanes(), &page).into_keys().collect();
                let mut beside = Beside { rest, ..Beside::default() };
                match self.statement(|db| db.replace_late(&named)) {
                    // With other keys now: the page is read again.
                    Ok(renamed) if !renamed.is_empty() => return false,
                    Err(error) if error.kind() == Kind::DatabaseUnavailable => return true,
                    Err(error) if error.kind() == Kind::DatabaseBusy => {
                        let these = page
                            .iter()
                            .filter(|queued| queued.references.iter().any(|(node, _)| named.contains(node)));
                        beside.busy.extend(these.map(|queued| queued.id));
                    }
                    _ => {}
                }
                if holds && self.flaw != Some(Flaw::NothingWaitsForWhatIsHeld) {
                    let Ok(held) = self.statement(|db| Ok(db.held_before(&page))) else { return true };
                    beside.held = Some(held);
                }
                service.desk.loaded(page, limit, beside, self.now);
                return false;
            }
            Some(Page::Nothing) => {
                let sees = service.desk.wanted(self.now).is_some_and(|segment| self.db.sees(&segment.which));
                service.desk.found_nothing(sees, self.now);
                return false;
            }
            None => {}
        }
        // Else it could not be seen a moment ago.
        if let Some((id, commit)) = service.desk.alone(self.now)
            && self.chance.percent(50)
        {
            return self.at_once(service, id, commit);
        }
        self.load_or_start(service)
    }

    /// What comes alone is claimed where it would be loaded; true where the database did not let it go on.
    fn at_once(&mut self, service: &mut Service<'_>, id: i64, commit: Token) -> bool {
        let fresh = format!("sim-{}", self.steps);
        let Ok(claimed) = self.statement(|db| db.claim_alone(id, &fresh)) else { return true };
        let Some((node, (content, request_id))) = claimed else { return self.load_or_start(service) };
        let Some(queued) = queued(self.catalog, id, &node.0, &content, commit) else {
            return self.statement(|db| db.put_back(&[id])).is_err() || self.load_or_start(service);
        };
        service.desk.loaded(vec![queued], 2, Beside::default(), self.now);
        if let Next::Work(work) = service.desk.next(service.workers.len(), CALLS, self.now) {
            self.say(|| format!("{id} comes alone"));
            let tries = service.desk.tries(&work);
            let mut worker = Worker::new(work, tries, Stage::Ask, self.now);
            worker.stage = self.claimed(&mut worker, content, &request_id, false, service.freshness);
            service.workers.push(worker);
            return false;
        }
        self.statement(|db| db.put_back(&[id])).is_err()
    }

    /// One step of the dispatcher with nothing at hand.
    fn load_or_start(&mut self, service: &mut Service<'_>) -> bool {
        let Some(ahead) = self.is_ahead(service) else { return true };
        service.desk.due(self.now);
        if let Some(segment) = service.desk.wanted(self.now).filter(|_| !ahead) {
            let (limit, which, commit, seen) =
                (segment.limit, segment.which.clone(), segment.commit, segment.seen);
            let load = |db: &mut Database| Ok(db.load(&which, limit, Some(commit)));
            let Ok((page, rest)) = self.statement(load) else { return true };
            let nothing = page.is_empty() && !seen;
            let holds = !page.is_empty() && !self.db.held.is_empty();
            service.page =
                Some(if nothing { Page::Nothing } else { Page::Mutations { page, rest, limit, holds } });
            return false;
        }
        service.wake = loop {
            match service.desk.next(service.workers.len(), CALLS, self.now) {
                Next::Work(work) => {
                    let tries = service.desk.tries(&work);
                    let stage = if work.uncertain { Stage::Ask } else { Stage::first(&work) };
                    service.workers.push(Worker::new(work, tries, stage, self.now));
                }
                Next::WaitUntil(at) => break Some(at),
                Next::Idle => break None,
            }
        };
        let ended = service.workers.iter().enumerate().filter(|(_, worker)| worker.has_ended());
        let ended: Vec<usize> = ended.map(|(n, _)| n).collect();
        if let Some(n) = self.chance.pick(&ended) {
            let Worker { work, stage, .. } = service.workers.remove(n);
            let Stage::Ended(ended) = stage else { return false };
            let follows = service.desk.took(work, ended, self.now);
            if service.desk.is_to_look() {
                let Ok(snapshot) = self.statement(|db| Ok(db.snapshot())) else { return true };
                service.desk.rescan(snapshot, self.now);
            }
            for (work, cause) in follows.cancel {
                service.workers.push(Worker::new(work, 0, Stage::Cancel { cause }, self.now));
            }
            for ToRead { id, target } in follows.to_read {
                if let Target::Row { table, key } = target {
                    service.ask((table, key), None, id);
                }
            }
        } else if let Some(arrival) = service.arrivals.pop_front() {
            if service.desk.arrived(arrival, self.now) {
                let Ok(snapshot) = self.statement(|db| Ok(db.snapshot())) else { return true };
                service.desk.rescan(snapshot, self.now);
            }
            if service.desk.is_behind() {
                let told = service.desk.told();
                let Ok(mut unseen) = self.statement(|db| Ok(db.unseen(&told))) else { return true };
                if self.flaw == Some(Flaw::FoldsForgetWhatIsUnseen) {
                    unseen.clear();
                }
                let Ok(snapshot) = self.statement(|db| Ok(db.snapshot())) else { return true };
                self.say(|| "what has been told is folded".to_owned());
                service.desk.fold(snapshot, &unseen, self.now);
            }
        } else {
            service.stirred = false;
        }
        false
    }

    /// Whether the table has a key that the lanes have not heard of; none where it cannot be asked.
    fn is_ahead(&mut self, service: &Service<'_>) -> Option<bool> {
        let arriving: Vec<String> =
            service.desk.lanes().arriving().into_iter().map(|(_, key)| key.0[0].clone()).collect();
        if arriving.is_empty() || self.flaw == Some(Flaw::PagesRunAhead) {
            return Some(false);
        }
        self.statement(|db| Ok(arriving.iter().any(|key| db.made.contains_key(key)))).ok()
    }

    /// A statement or transaction of the service.
    pub(super) fn statement<T>(&mut self, act: impl FnOnce(&mut Database) -> Result<T>) -> Result<T> {
        let broke = || Error::new(Kind::DatabaseUnavailable, "the connection broke");
        match self.strikes(5, &Trouble::IN_A_STATEMENT) {
            Some(Trouble::StatementFailed) => Err(broke()),
            Some(_) => act(&mut self.db).and_then(|_| Err(broke())),
            None => act(&mut self.db),
        }
    }

    /// One step of a reading; none where it is done.
    pub(super) fn read<'f>(
        &mut self,
        service: &mut Service<'f>,
        mut reader: Reader<'f>,
    ) -> Option<Reader<'f>> {
        let node = reader.target.node.clone();
        let Some(began) = reader.reading.as_ref().map(Reading::began) else {
            reader.reading = Some(service.freshness.begin());
            return Some(reader);
        };
        let Some(read) = reader.read.take() else {
            reader.read = Some(self.tenant.shown(&node));
            return Some(reader);
        };
        let freshness = service.freshness;
        match self.statement(|db| db.apply(freshness, &node, read, began)) {
            Ok(true) => {
                self.say(|| format!("{} is read", name(&node)));
                for batch in reader.target.batches {
                    service.batches.ended(batch);
                }
                self.db.to_read.retain(|id, _| !reader.target.kept.contains(id));
                self.db.position = service.batches.done().copied().unwrap_or(0).max(self.db.position);
                None
            }
            Ok(false) | Err(_) => {
                (reader.reading, reader.tries) = (None, reader.tries + 1);
                reader.at =
                    self.now + pause(reader.tries, Duration::from_millis(20), Duration::from_secs(10));
                Some(reader)
            }
        }
    }
}
