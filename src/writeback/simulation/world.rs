//! The seeded scheduler: who takes the next step, and what goes wrong in it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Flaw;
use super::chance::Chance;
use super::database::Database;
use super::service::{Reader, Service, Stage, words};
use super::tables::{described, name};
use super::tenant::Tenant;
use super::trouble::Trouble;
use crate::catalog::Catalog;
use crate::pg::mirror::Freshness;
use crate::writeback::backlog::Limits;
use crate::writeback::dispatch::Arrival;
use crate::writeback::lanes::Node;

/// Rows that are read at a time.
const READERS: usize = 3;
/// A schedule that has not come to rest by then never will.
const MOST_STEPS: u32 = 5_000;
/// Commits that take longer to come into sight than this are another matter.
const SIGHT: Duration = Duration::from_secs(1);

/// Who takes a step.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Client,
    Other,
    Stream,
    Notice,
    Dispatcher,
    Worker(usize),
    NewReader,
    Reader(usize),
    EndHold,
    Wake,
    Time(Instant),
    Trouble,
}

/// How a life of the service ends.
enum End {
    Rest,
    Killed,
}

/// One schedule.
pub(super) struct World {
    pub(super) catalog: &'static Catalog,
    pub(super) flaw: Option<Flaw>,
    pub(super) chance: Chance,
    pub(super) now: Instant,
    began: Instant,
    pub(super) db: Database,
    pub(super) tenant: Tenant,
    pub(super) writes_left: usize,
    pub(super) others_left: usize,
    trouble_left: usize,
    limits: Limits,
    /// Whether some clients hold their changes.
    pub(super) holding: bool,
    /// The service is to hear that something was released or discarded.
    pub(super) woken: bool,
    /// Counts values, so that each is written once.
    pub(super) values: u64,
    /// Commits of the log that the stream has told.
    streamed: usize,
    /// The largest position that the stream has told.
    pub(super) received: u64,
    pub(super) steps: u32,
    /// Row → the place in its history at Auth0 that the mirror has reached.
    pub(super) known: BTreeMap<Node, usize>,
    pub(super) told_checked: usize,
    pub(super) applied_checked: usize,
    /// How often each kind of trouble has been met.
    pub(super) met: BTreeMap<Trouble, u64>,
    traced: bool,
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>, traced: bool) -> Self {
        let mut chance = Chance::new(seed);
        let (now, catalog) = (Instant::now(), described(chance.percent(50)));
        let writes_left = 3 + chance.below(12);
        let others_left = chance.below(8);
        let trouble_left = chance.below(10);
        let holding = chance.percent(25);
        // Memory for a few mutations only, so that the table has to hold the rest.
        let limits = match chance.percent(50) {
            true => Limits::default(),
            false => Limits {
                held: 1 + chance.below(6),
                page: 1 + chance.below(3) as i64,
                segments: 1 + chance.below(3),
            },
        };
        let mut world = World {
            catalog,
            flaw,
            chance,
            now,
            began: now,
            db: Database::new(catalog, flaw),
            tenant: Tenant::new(catalog),
            writes_left,
            others_left,
            trouble_left,
            limits,
            holding,
            woken: false,
            values: 0,
            streamed: 0,
            received: 0,
            steps: 0,
            known: BTreeMap::new(),
            told_checked: 0,
            applied_checked: 0,
            met: BTreeMap::new(),
            traced,
            trace: Vec::new(),
        };
        world.furnish();
        world
    }

    /// Adds a line to the trace, where there is one.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if self.traced {
            let at = (self.now - self.began).as_millis();
            self.trace.push(format!("{:>5} {at:>7} ms  {}", self.steps, text()));
        }
    }

    /// Plays the schedule to its end.
    ///
    /// # Errors
    /// What must never happen and did.
    pub(super) fn play(&mut self) -> Result<(), String> {
        loop {
            let freshness = Freshness::default();
            match self.live(&freshness)? {
                End::Rest => return self.check_end(),
                End::Killed => self.say(|| "the service starts".to_owned()),
            }
        }
    }

    /// One life of the service.
    fn live(&mut self, freshness: &Freshness) -> Result<End, String> {
        self.bring_into_sight();
        // Whatever is pending is read at the start.
        self.woken = false;
        let mut service = Service::new(freshness, self.limits, self.db.position);
        if self.flaw != Some(Flaw::TheStartDoesNotScan) {
            service.desk.rescan(self.db.snapshot(), self.now);
        }
        for (id, node) in &self.db.to_read {
            service.ask(node.clone(), None, Some(*id));
        }
        loop {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err("it does not come to rest".to_owned());
            }
            let turns = self.turns(&service);
            let Some(turn) = self.choose(&turns) else {
                return if service.rests() { Ok(End::Rest) } else { Err("it stands still".to_owned()) };
            };
            if self.take(&mut service, turn) {
                self.die(service);
                return Ok(End::Killed);
            }
            self.check(&mut service)?;
        }
    }

    /// Requests on their way arrive or do not; answers are heard by nobody.
    fn die(&mut self, service: Service<'_>) {
        self.say(|| "the service is killed".to_owned());
        for worker in service.workers {
            if let Stage::Arrive(request) = &worker.stage
                && self.chance.percent(50)
            {
                self.tenant.answer(request, &worker.work.ids);
                self.say(|| format!("  {:?} arrives all the same: {}", worker.work.ids, words(request)));
            }
        }
        self.repeat_stream();
    }

    /// The stream begins anew, a little before where it was.
    fn repeat_stream(&mut self) {
        self.streamed = self.streamed.saturating_sub(self.chance.below(3));
    }

    /// Lets commits come into sight that are in the log.
    fn bring_into_sight(&mut self) {
        while let Some(session) = self.db.sessions.iter().position(|session| session.logged) {
            self.db.end(session);
        }
    }

    /// Who may take a step, with the weight that each has.
    fn turns(&self, service: &Service<'_>) -> Vec<(usize, Turn)> {
        let mut turns = Vec::with_capacity(16);
        let mut add = |weight: usize, may: bool, turn: Turn| {
            if may {
                turns.push((weight, turn));
            }
        };
        add(4, self.writes_left > 0 || !self.db.sessions.is_empty(), Turn::Client);
        add(2, self.others_left > 0, Turn::Other);
        add(1, self.open_holds().next().is_some(), Turn::EndHold);
        add(3, self.woken, Turn::Wake);
        add(4, self.streamed < self.db.log.len(), Turn::Stream);
        add(3, service.heard < self.tenant.notices.len() as u64, Turn::Notice);
        add(6, service.stirred || service.page.is_some(), Turn::Dispatcher);
        for (n, worker) in service.workers.iter().enumerate() {
            add(4, !worker.has_ended() && worker.at <= self.now, Turn::Worker(n));
        }
        add(3, !service.targets.is_empty() && service.readers.len() < READERS, Turn::NewReader);
        for (n, reader) in service.readers.iter().enumerate() {
            add(3, reader.at <= self.now, Turn::Reader(n));
        }
        let busy = self.writes_left > 0 || self.others_left > 0 || !service.workers.is_empty();
        add(1, busy && self.trouble_left > 0, Turn::Trouble);
        if let Some(at) = service.next_time(self.now) {
            add(1, true, Turn::Time(at));
        }
        turns
    }

    fn choose(&mut self, turns: &[(usize, Turn)]) -> Option<Turn> {
        let all: usize = turns.iter().map(|(weight, _)| weight).sum();
        let mut left = self.chance.below(all);
        for (weight, turn) in turns {
            match left.checked_sub(*weight) {
                Some(less) => left = less,
                None => return Some(*turn),
            }
        }
        None
    }

    /// Takes a step; true where the service has been killed in it.
    fn take<'f>(&mut self, service: &mut Service<'f>, turn: Turn) -> bool {
        match turn {
            Turn::Client => self.client(),
            Turn::Other => self.other(),
            Turn::EndHold => self.end_hold(),
            Turn::Wake => {
                self.woken = false;
                service.arrivals.push_back(Arrival::Rescan);
                service.stirred = true;
            }
            Turn::Stream => self.stream(service),
            Turn::Notice => self.notice(service),
            Turn::Dispatcher => return self.dispatch(service),
            Turn::Worker(n) if self.chance.percent(60) && self.together(service, n) => {}
            Turn::Worker(n) => {
                let worker = service.workers.remove(n);
                let worker = self.work(worker, service.freshness);
                service.stirred |= worker.has_ended();
                service.workers.insert(n, worker);
            }
            Turn::NewReader => {
                let Some(target) = service.targets.pop_front() else { return false };
                let (reading, read, at, tries) = (None, None, self.now, 0);
                service.readers.push(Reader { target, reading, read, at, tries });
            }
            Turn::Reader(n) => {
                let reader = service.readers.remove(n);
                if let Some(reader) = self.read(service, reader) {
                    service.readers.insert(n, reader);
                }
            }
            Turn::Time(at) => {
                if at > self.now + SIGHT {
                    self.bring_into_sight();
                }
                self.now = at;
                service.stirred = true;
            }
            Turn::Trouble => return self.trouble(service),
        }
        false
    }

    /// Whether trouble of one of these kinds strikes now, in so many of a hundred cases.
    pub(super) fn strikes(&mut self, part: usize, kinds: &[Trouble]) -> Option<Trouble> {
        if self.trouble_left == 0 || !self.chance.percent(part) {
            return None;
        }
        let trouble = self.chance.pick(kinds)?;
        self.trouble_left -= 1;
        *self.met.entry(trouble).or_default() += 1;
        self.say(|| format!("! {trouble:?}"));
        Some(trouble)
    }

    fn trouble(&mut self, service: &mut Service<'_>) -> bool {
        match self.strikes(10, &Trouble::BY_ITSELF) {
            Some(Trouble::StreamBroke) => self.repeat_stream(),
            Some(Trouble::SlotLost) => {
                // A new slot waits for the transactions that are running.
                self.bring_into_sight();
                self.streamed = self.db.log.len();
                service.arrivals.push_back(Arrival::Rescan);
                service.stirred = true;
            }
            Some(Trouble::ServerRestarted) => {
                self.db.restart();
                self.repeat_stream();
            }
            Some(_) => return true,
            None => {}
        }
        false
    }

    /// The stream tells the next commit, or a position.
    fn stream(&mut self, service: &mut Service<'_>) {
        let Some(commit) = self.db.log.get(self.streamed).cloned() else { return };
        let xid = self.streamed as u32;
        self.streamed += 1;
        self.received = self.received.max(commit.lsn);
        self.say(|| format!("the stream tells {:?}", commit.ids));
        let (first, last) = (commit.ids.first().copied(), commit.ids.last().copied());
        let arrival = match (first, last) {
            (Some(first), Some(last)) if self.chance.percent(20) => {
                Arrival::Large { lsn: commit.lsn, xid, first, last }
            }
            _ => Arrival::Commit { lsn: commit.lsn, ids: commit.ids, rows: None },
        };
        service.arrivals.push_back(arrival);
        if self.streamed == self.db.log.len() && self.chance.percent(20) {
            service.arrivals.push_back(Arrival::Quiet { lsn: commit.lsn + 5 });
        }
        service.stirred = true;
    }

    /// The tenant log tells of somebody else's change.
    fn notice(&mut self, service: &mut Service<'_>) {
        let Some(node) = self.tenant.notices.get(service.heard as usize).cloned() else { return };
        service.heard += 1;
        self.say(|| format!("the tenant log names {}", name(&node)));
        let batch = service.batches.received(service.heard);
        service.ask(node, Some(batch), None);
        service.batches.loaded(batch);
        if self.chance.percent(10) {
            let again = self.chance.pick(&self.tenant.notices[..service.heard as usize]);
            again.into_iter().for_each(|node| service.ask(node, None, None));
        }
    }
}
