//! The steps of a piece of work, from claim to settlement, as `worker` takes them.

use std::time::Duration;

use serde_json::Value;

use super::Flaw;
use super::service::{Stage, Worker, words};
use super::tenant::wire;
use super::trouble::Trouble;
use super::world::World;
use crate::auth0::{Now, Request, TransportError, Wire, decide};
use crate::catalog::{Resource, RowKey, Target};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Freshness, Row, has_gone_since};
use crate::pg::to_read::ToRead;
use crate::writeback::call::{Deed, Found, Step, Verdict, after_call, after_read_back, not_read_back};
use crate::writeback::late::{provisional, with};
use crate::writeback::readback::{Way, way};
use crate::writeback::recognise::{BETWEEN_LOOKS, LOOKS, is_alike};
use crate::writeback::request::{Content, build, says_nothing, values};
use crate::writeback::settlement::{Settled, made_key, may_have_gone, takes_away, unheard};
use crate::writeback::shown;
use crate::writeback::standing::Standing;
use crate::writeback::worker::Ended;

impl World {
    /// One step of a piece of work.
    pub(super) fn work<'f>(&mut self, mut worker: Worker<'f>, freshness: &'f Freshness) -> Worker<'f> {
        let resource = self.catalog.resource(&worker.work.node.0).unwrap();
        let ids = worker.work.ids.clone();
        let stage = std::mem::replace(&mut worker.stage, Stage::Ask);
        worker.stage = match stage {
            Stage::Cancel { cause } => match self.statement(|db| db.cancel(&worker.work)) {
                Ok(settled) => {
                    self.say(|| format!("{:?} are cancelled, for {cause} was refused", settled.ids));
                    Stage::Ended(Ok(Ended::Settled(settled)))
                }
                Err(error) => self.later(&mut worker, Stage::Cancel { cause }, error),
            },
            Stage::Ask => match self.statement(|db| Ok(db.standing(&ids))) {
                Ok(Standing::Pending) => Stage::first(&worker.work),
                Ok(Standing::Sent) => Stage::Claim { uncertain: true },
                Ok(Standing::Settled { .. }) if self.flaw == Some(Flaw::UnheardSettlementsAreForgotten) => {
                    Stage::Landed(Settled { ids: ids.clone(), ..Settled::default() })
                }
                Ok(Standing::Settled { key, reverted }) => {
                    let row = Target::suspected(self.catalog, &worker.work.node.0, key.clone());
                    let mut settled = unheard(&worker.work, key, reverted);
                    settled.to_read.extend(row.map(ToRead::unkept));
                    Stage::Landed(settled)
                }
                Err(error) => Stage::Ended(Err(error)),
            },
            Stage::Claim { uncertain } => self.claim(&mut worker, uncertain, freshness),
            Stage::Leave(request) => match self.strikes(20, &Trouble::ON_THE_WAY) {
                Some(Trouble::NeverLeft) => {
                    Stage::Answer(request, Err(TransportError::Connect("refused".into())))
                }
                Some(_) => Stage::Answer(request, Err(TransportError::Broken("reset".into()))),
                None => Stage::Arrive(request),
            },
            Stage::Arrive(request) => {
                let answer = self.arrive(&request, &ids);
                Stage::Answer(request, answer)
            }
            Stage::Answer(request, answer) => self.answered(&worker, resource, &request, &answer),
            Stage::Doubt(at) => match self.statement(|db| db.doubt(&ids)) {
                Ok(()) => {
                    (worker.at, worker.looks) = (at, 0);
                    worker.tries += 1;
                    Stage::LookBack
                }
                Err(error) => Stage::Ended(Err(error)),
            },
            Stage::LookBack => self.look_back(&worker, resource),
            Stage::Listed(rows) => {
                let known = |row: &Row| {
                    let key = RowKey::of(resource, row);
                    key.is_none_or(|key| self.db.rows.contains_key(&(resource.table.clone(), key)))
                };
                let new = rows.into_iter().find(|row| !known(row));
                match new {
                    Some(row) => self.found(&worker, Found::Row(row)),
                    None if worker.looks + 1 < LOOKS => {
                        worker.looks += 1;
                        worker.at = self.now + BETWEEN_LOOKS;
                        Stage::LookBack
                    }
                    None => self.found(&worker, Found::Nothing),
                }
            }
            Stage::PutBack { at, alone, holds } => match self.statement(|db| db.put_back(&ids)) {
                Ok(()) => Stage::Ended(Ok(Ended::Back { at, alone, holds })),
                Err(error) => Stage::Ended(Err(error)),
            },
            Stage::Settle(verdict) => match self.settle(&worker, &verdict, freshness) {
                Ok(settled) => {
                    self.say(|| format!("{:?} settle: {}", settled.ids, short(&verdict)));
                    Stage::Landed(settled)
                }
                Err(error) => self.later(&mut worker, Stage::Settle(verdict), error),
            },
            Stage::Landed(mut settled) => {
                let key = settled.rekeyed.as_ref().unwrap_or(&worker.work.node.1);
                let gone = self.gone_since(&worker, key, freshness);
                settled.to_read.extend(gone.map(ToRead::unkept));
                if let Some(new) = &settled.rekeyed {
                    freshness.settled(&worker.work.node.0, new);
                }
                Stage::Ended(Ok(Ended::Settled(settled)))
            }
            Stage::Ended(ended) => Stage::Ended(ended),
        };
        if worker.has_ended() {
            worker.flight = None;
        }
        worker
    }

    /// The row, where it may have gone with another since its call left.
    fn gone_since(&self, worker: &Worker<'_>, key: &RowKey, freshness: &Freshness) -> Option<Target> {
        let table = &worker.work.node.0;
        let (resource, began) = (self.catalog.resource(table).ok()?, worker.flight.as_ref()?.began());
        let gone = may_have_gone(&worker.work, resource)
            && has_gone_since(freshness, self.catalog, resource, key, began);
        gone.then(|| Target::suspected(self.catalog, table, key.clone())).flatten()
    }

    /// The same before it settles, under the key that it will have.
    pub(super) fn may_have_gone(
        &self,
        worker: &Worker<'_>,
        verdict: &Verdict,
        freshness: &Freshness,
    ) -> Vec<Target> {
        let work = &worker.work;
        let made = self.catalog.resource(&work.node.0).ok().and_then(|of| made_key(of, work, verdict));
        self.gone_since(worker, made.as_ref().unwrap_or(&work.node.1), freshness).into_iter().collect()
    }

    fn settle(&mut self, worker: &Worker<'_>, verdict: &Verdict, freshness: &Freshness) -> Result<Settled> {
        let (work, also) = (&worker.work, self.may_have_gone(worker, verdict, freshness));
        if takes_away(work, verdict) && self.flaw != Some(Flaw::WhatHasGoneIsForgotten) {
            freshness.gone(&work.node.0, &work.node.1);
        }
        self.statement(|db| db.settle(work, verdict, &also))
    }

    /// While a client holds the row it is tried again; any other error is the dispatcher's.
    fn later(&mut self, worker: &mut Worker<'_>, stage: Stage, error: Error) -> Stage {
        if error.kind() == Kind::DatabaseBusy {
            worker.at = self.now + Duration::from_millis(50);
            return stage;
        }
        self.say(|| format!("{:?}: {error}", worker.work.ids));
        Stage::Ended(Err(error))
    }

    fn claim<'f>(&mut self, worker: &mut Worker<'f>, uncertain: bool, freshness: &'f Freshness) -> Stage {
        let fresh = format!("sim-{}", self.steps);
        match self.statement(|db| db.claim(&worker.work.ids, uncertain, &fresh)) {
            Ok((content, request_id)) => self.claimed(worker, content, &request_id, uncertain, freshness),
            Err(error) => Stage::Ended(Err(error)),
        }
    }

    /// What is claimed gets the keys that Auth0 has made meanwhile, and may leave.
    pub(super) fn claimed<'f>(
        &mut self,
        worker: &mut Worker<'f>,
        mut content: Content,
        request_id: &str,
        uncertain: bool,
        freshness: &'f Freshness,
    ) -> Stage {
        let resource = self.catalog.resource(&worker.work.node.0).unwrap();
        let named = provisional(self.catalog, resource, &content);
        match self.statement(|db| db.replace_late(&named)) {
            Ok(made) => made.iter().for_each(|(old, made)| with(&mut content, old, made)),
            Err(error) if error.kind() == Kind::Internal => {}
            // While a client holds the row.
            Err(error) => return Stage::Ended(Err(error)),
        }
        worker.flight = Some(freshness.send(&worker.work.node.0, &worker.work.node.1));
        let request = build(resource, &content, None, request_id);
        worker.content = Some(content);
        if uncertain {
            return self.stage(Step::ReadBack { at: self.now, kind: Kind::Auth0NoAnswer });
        }
        match request {
            Ok(request) if says_nothing(resource, &request) => Stage::Settle(Verdict::Applied(None)),
            Ok(request) => {
                self.say(|| format!("{:?} leave: {}", worker.work.ids, words(&request)));
                Stage::Leave(request)
            }
            Err(error) => Stage::Settle(Verdict::Unfit { kind: error.kind(), message: error.to_string() }),
        }
    }

    /// The request is at Auth0; what comes back.
    fn arrive(&mut self, request: &Request, ids: &[i64]) -> std::result::Result<Wire, TransportError> {
        if let Some(before) = self.db.stands_before(ids) {
            self.tenant.broken = Some(format!("{ids:?} are sent before {before} has settled"));
        }
        let trouble = self.strikes(40, &Trouble::AT_AUTH0);
        let nothing_happened = match trouble {
            Some(Trouble::Throttled) => Some(429),
            Some(Trouble::TimedOut) => Some(408),
            Some(Trouble::FailedBefore) => Some(503),
            _ => None,
        };
        if let Some(status) = nothing_happened {
            return Ok(wire(status, None));
        }
        let answer = self.tenant.answer(request, ids);
        self.say(|| format!("{ids:?} arrive: {}", answer.status));
        match trouble {
            Some(Trouble::Duplicate) if request.method != "POST" => Ok(self.tenant.answer(request, &[])),
            Some(Trouble::BrokenAnswer) => Ok(Wire { status: 200, body: "<html>".into(), ..answer }),
            Some(Trouble::FailedAfter) => Ok(wire(500, None)),
            Some(_) => Err(TransportError::Timeout("the time is up".into())),
            None => Ok(answer),
        }
    }

    fn answered(
        &mut self,
        worker: &Worker<'_>,
        resource: &Resource,
        request: &Request,
        answer: &std::result::Result<Wire, TransportError>,
    ) -> Stage {
        let Some(content) = &worker.content else { return Stage::Ask };
        let outcome = decide(&request.method, answer, Now { instant: self.now, unix: Duration::ZERO });
        let shown = |answer: &Value| shown::answered(resource, content, answer);
        let step = after_call(outcome, shown, worker.work.ids.len(), worker.tries, self.now);
        let step = match step {
            Step::ReadBack { at, kind } if self.flaw == Some(Flaw::LostAnswersAreGuessed) => {
                Step::SendAgain { at, kind, everybody: false }
            }
            step => step,
        };
        self.stage(step)
    }

    /// Reads a row back, as far as one answer goes.
    fn look_back(&mut self, worker: &Worker<'_>, resource: &Resource) -> Stage {
        let Some(content) = &worker.content else { return Stage::Ask };
        if self.strikes(10, &[Trouble::LostAnswer]).is_some() {
            return self.stage(not_read_back(Kind::Auth0NoAnswer, worker.tries, self.now));
        }
        match way(resource, content) {
            Way::Repeat | Way::Path(_) => self.found(worker, Found::Repeatable),
            Way::Key => {
                let key = RowKey::of(resource, &content.key);
                let row = key.and_then(|key| self.tenant.shown(&(resource.table.clone(), key)));
                self.found(worker, row.map_or(Found::Nothing, Found::Row))
            }
            Way::List(_, columns) => {
                let lags = worker.looks + 1 < LOOKS && self.chance.percent(40);
                let mut rows = if lags { Vec::new() } else { self.tenant.list(&resource.table) };
                rows.retain(|row| is_alike(resource, columns, &values(content), row));
                Stage::Listed(rows)
            }
        }
    }

    fn found(&mut self, worker: &Worker<'_>, found: Found) -> Stage {
        let Some(content) = &worker.content else { return Stage::Ask };
        self.say(|| {
            format!(
                "{:?} read back: {}",
                worker.work.ids,
                if matches!(found, Found::Row(_)) { "a row" } else { "nothing" }
            )
        });
        self.stage(after_read_back(found, content.operation, &content.after, self.now))
    }

    fn stage(&self, step: Step) -> Stage {
        match step.deed(false, self.now) {
            Deed::Settle(verdict) => Stage::Settle(verdict),
            Deed::PutBack { at, alone, holds } => Stage::PutBack { at, alone, holds },
            Deed::ReadBack { at, .. } => Stage::Doubt(at),
        }
    }
}

fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied(_) => "applied".to_owned(),
        Verdict::Refused(refusal) => format!("refused, {refusal}"),
        other => format!("{other:?}"),
    }
}
