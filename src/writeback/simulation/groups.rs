//! Claims and settlements that go together, as [`crate::writeback::together`] brings them: one statement, or one
//! transaction, for all of them. Who is left out, and everybody where it fails, goes on alone.

use tokio::time::Instant;

use super::Flaw;
use super::database::Database;
use super::service::{Service, Stage, Worker};
use super::world::World;
use crate::catalog::Target;
use crate::error::Result;
use crate::pg::mirror::{LockedRow, Pending};
use crate::writeback::call::Verdict;
use crate::writeback::lanes::Work;
use crate::writeback::settle_many::{Outcome, outcome};
use crate::writeback::settlement::{Settled, takes_away};

impl World {
    /// Lets those who are as far as one of the workers take that step with it; false where it is the only one.
    pub(super) fn together(&mut self, service: &mut Service<'_>, one: usize) -> bool {
        let now = self.now;
        let settles = match service.workers.get(one).map(|worker| &worker.stage) {
            Some(Stage::Settle(_)) => true,
            Some(Stage::Claim { uncertain: false }) => false,
            _ => return false,
        };
        let waits = |worker: &Worker<'_>, at: Instant| match worker.stage {
            Stage::Settle(_) => settles && worker.at <= at,
            Stage::Claim { uncertain } => !settles && !uncertain && worker.at <= at,
            _ => false,
        };
        let places: Vec<usize> =
            (0..service.workers.len()).filter(|place| waits(&service.workers[*place], now)).collect();
        if places.len() < 2 {
            return false;
        }
        if settles {
            self.settle_together(service, &places);
        } else {
            self.claim_together(service, &places);
        }
        true
    }

    fn settle_together(&mut self, service: &mut Service<'_>, places: &[usize]) {
        let judged = |place: &usize| match &service.workers[*place] {
            worker @ Worker { work, stage: Stage::Settle(verdict), .. } => {
                let also = self.may_have_gone(worker, verdict, service.freshness);
                Some((work.clone(), verdict.clone(), also))
            }
            _ => None,
        };
        let all: Vec<(Work, Verdict, Vec<Target>)> = places.iter().filter_map(judged).collect();
        let remembers = self.flaw != Some(Flaw::WhatHasGoneIsForgotten);
        for (work, ..) in all.iter().filter(|(work, verdict, _)| remembers && takes_away(work, verdict)) {
            service.freshness.gone(&work.node.0, &work.node.1);
        }
        let Ok(done) = self.statement(|db| db.settle_many(&all)) else { return };
        for (place, settled) in places.iter().zip(done) {
            if let Some(settled) = settled {
                self.say(|| format!("{:?} settle together", settled.ids));
                service.workers[*place].stage = Stage::Landed(settled);
            }
        }
    }

    fn claim_together(&mut self, service: &mut Service<'_>, places: &[usize]) {
        let fresh = format!("sim-{}", self.steps);
        let ids: Vec<Vec<i64>> =
            places.iter().map(|place| service.workers[*place].work.ids.clone()).collect();
        let claim = |db: &mut Database| {
            let claims = ids.iter().enumerate();
            Ok(claims.map(|(n, ids)| db.claim(ids, false, &format!("{fresh}-{n}")).ok()).collect::<Vec<_>>())
        };
        let Ok(done) = self.statement(claim) else { return };
        for (place, claimed) in places.iter().zip(done) {
            let Some((content, request_id)) = claimed else { continue };
            let mut worker = service.workers.remove(*place);
            worker.stage = self.claimed(&mut worker, content, &request_id, false, service.freshness);
            service.stirred |= worker.has_ended();
            service.workers.insert(*place, worker);
        }
    }
}

impl Database {
    /// Settles those whose rows are there and free, by the decisions of the service; none for the others.
    fn settle_many(&mut self, all: &[(Work, Verdict, Vec<Target>)]) -> Result<Vec<Option<Settled>>> {
        let mut done = Vec::new();
        for (work, verdict, also) in all {
            done.push(match self.decided(work, verdict) {
                Some(Outcome { visible, befores, notes, mut settled }) => {
                    self.rows.insert(work.node.clone(), visible);
                    self.rebased(befores);
                    self.touched.push(work.node.clone());
                    self.write_down(notes)?;
                    settled.also.extend_from_slice(also);
                    self.keep(&work.node, &mut settled);
                    Some(settled)
                }
                None => None,
            });
        }
        Ok(done)
    }

    fn decided(&self, work: &Work, verdict: &Verdict) -> Option<Outcome> {
        if self.is_held(&work.node) && self.flaw != Some(Flaw::GroupsTakeHeldRows) {
            return None;
        }
        let pending = |mutation| Pending { mutation, txid: String::new(), atomic: false };
        let row = LockedRow {
            visible: self.rows.get(&work.node)?.clone(),
            unsettled: self.unsettled(&work.node).into_iter().map(pending).collect(),
        };
        outcome(self.resource(&work.node), work, verdict.clone(), &row)
    }
}
