//! The simulated service: what stands around the decisions, as steps between which anything may happen.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::time::Instant;

use crate::auth0::{Request, TransportError, Wire};
use crate::error::{Kind, Result};
use crate::ledger::{Ledger, Token};
use crate::pg::mirror::{Flight, Freshness, Reading, Row};
use crate::writeback::backlog::Limits;
use crate::writeback::call::{Holds, Verdict};
use crate::writeback::desk::Desk;
use crate::writeback::dispatch::Arrival;
use crate::writeback::lanes::{Node, Queued, Work};
use crate::writeback::request::Content;
use crate::writeback::settlement::Settled;
use crate::writeback::worker::Ended;

/// How far a piece of work has got, and what comes next.
#[derive(Debug)]
pub(super) enum Stage {
    /// To be reverted without a call.
    Cancel { cause: i64 },
    /// A call may have left before: how far had it got?
    Ask,
    /// To be claimed.
    Claim { uncertain: bool },
    /// The request is to leave.
    Leave(Request),
    /// It is on its way.
    Arrive(Request),
    /// The answer, or its absence, is on its way back.
    Answer(Request, std::result::Result<Wire, TransportError>),
    /// The doubt is to be noted.
    Doubt(Instant),
    /// The row is to be read back.
    LookBack,
    /// What a list shows of the row that a create made, or not.
    Listed(Vec<Row>),
    /// The mutations are to be put back.
    PutBack { at: Instant, alone: bool, holds: Holds },
    /// To be settled.
    Settle(Verdict),
    /// Settled; the call is not in flight any more from the next step on.
    Landed(Settled),
    /// Waits for the dispatcher.
    Ended(Result<Ended>),
}

/// A piece of work under way.
#[derive(Debug)]
pub(super) struct Worker<'f> {
    pub(super) work: Work,
    pub(super) tries: u32,
    pub(super) stage: Stage,
    pub(super) content: Option<Content>,
    pub(super) flight: Option<Flight<'f>>,
    /// Nothing happens before.
    pub(super) at: Instant,
    /// How often a list has been looked at.
    pub(super) looks: u32,
}

impl Stage {
    /// What comes first of work that has not left.
    pub(super) fn first(work: &Work) -> Stage {
        match &work.terms.discarded {
            Some(by) => {
                Stage::Settle(Verdict::Unfit { kind: Kind::Discarded, message: format!("discarded by {by}") })
            }
            None => Stage::Claim { uncertain: false },
        }
    }
}

impl Worker<'_> {
    pub(super) fn new(work: Work, tries: u32, stage: Stage, at: Instant) -> Self {
        Worker { work, tries, stage, content: None, flight: None, at, looks: 0 }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }
}

/// A row that is to be read, for batches of the tenant log.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) node: Node,
    pub(super) batches: Vec<Token>,
    /// What keeps it over a kill.
    pub(super) kept: Vec<i64>,
}

/// A row that is being read.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    pub(super) target: Target,
    pub(super) reading: Option<Reading<'f>>,
    /// What Auth0 answered.
    pub(super) read: Option<Option<Row>>,
    pub(super) at: Instant,
    pub(super) tries: u32,
}

/// A page that was read and is not in the lanes yet.
#[derive(Debug)]
pub(super) enum Page {
    Mutations { page: Vec<Queued>, rest: Vec<Queued>, limit: i64, holds: bool },
    Nothing,
}

/// One life of the service.
#[derive(Debug)]
pub(super) struct Service<'f> {
    pub(super) freshness: &'f Freshness,
    pub(super) desk: Desk,
    pub(super) page: Option<Page>,
    pub(super) arrivals: VecDeque<Arrival>,
    pub(super) workers: Vec<Worker<'f>>,
    pub(super) readers: Vec<Reader<'f>>,
    pub(super) targets: VecDeque<Target>,
    /// Batches of the tenant log.
    pub(super) batches: Ledger<u64>,
    /// How many notices have been heard.
    pub(super) heard: u64,
    /// When the dispatcher is to look again.
    pub(super) wake: Option<Instant>,
    /// Something has happened since the dispatcher looked.
    pub(super) stirred: bool,
}

impl<'f> Service<'f> {
    pub(super) fn new(freshness: &'f Freshness, limits: Limits, heard: u64) -> Self {
        Service {
            freshness,
            desk: Desk::limited(limits),
            page: None,
            arrivals: VecDeque::new(),
            workers: Vec::new(),
            readers: Vec::new(),
            targets: VecDeque::new(),
            batches: Ledger::default(),
            heard,
            wake: None,
            stirred: true,
        }
    }

    /// Asks for a row; one that waits is asked for once.
    pub(super) fn ask(&mut self, node: Node, batch: Option<Token>, kept: Option<i64>) {
        if let Some(batch) = batch {
            self.batches.queued(batch);
        }
        match self.targets.iter_mut().find(|target| target.node == node) {
            Some(target) => {
                target.batches.extend(batch);
                target.kept.extend(kept);
            }
            None => {
                let (batches, kept) = (batch.into_iter().collect(), kept.into_iter().collect());
                self.targets.push_back(Target { node, batches, kept });
            }
        }
    }

    /// Whether nothing is left to do.
    pub(super) fn rests(&self) -> bool {
        self.page.is_none()
            && self.arrivals.is_empty()
            && self.workers.is_empty()
            && self.readers.is_empty()
            && self.targets.is_empty()
            && self.desk.has_loaded()
            && self.desk.report(0).held == 0
    }

    /// The next time at which something may happen that waits now.
    pub(super) fn next_time(&self, now: Instant) -> Option<Instant> {
        let workers = self.workers.iter().filter(|worker| !worker.has_ended()).map(|worker| worker.at);
        let readers = self.readers.iter().map(|reader| reader.at);
        let waits = workers.chain(readers).chain(self.wake).chain(self.desk.not_before());
        waits.filter(|at| *at > now).min()
    }
}

/// The request in a few words, for the trace.
pub(super) fn words(request: &Request) -> String {
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    format!("{} {} {body}", request.method, request.path)
}
