//! One budget for the API: every call waits here until the tenant's limits let it leave. Shared by
//! all clones of a client.
//!
//! [`gate`] and [`bucket`] decide and know no clock; here stand the clock and those who wait. It never
//! makes a call, and a token request is not its business: it only counts them.

mod bucket;
mod gate;
mod hold;
mod report;
#[cfg(test)]
mod simulation_tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::gate::{Gate, Place, Taken};
pub(super) use self::hold::{DEFAULT_HOLD, hold};
pub use self::report::{BucketReport, BudgetReport, Calls, Flow};
use super::settings::Settings;
use super::transport::Now;
use crate::catalog::{Limits, share};
use crate::error::Result;

/// What a call is for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A client's write, and what settles it.
    Write,
    /// Something that changed at Auth0 is read again.
    Refetch,
    /// Everything is compared.
    Sweep,
    /// A table is filled.
    Backfill,
}

impl Lane {
    /// Every lane, the most urgent first.
    pub const ALL: [Lane; 4] = [Lane::Write, Lane::Refetch, Lane::Sweep, Lane::Backfill];

    /// Its name on the status page, in metrics and in `_auth0_sync.calls`.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Write => "write",
            Lane::Refetch => "refetch",
            Lane::Sweep => "sweep",
            Lane::Backfill => "backfill",
        }
    }
}

/// The budget of one tenant; clones are the same.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    plan: Option<String>,
    reserve_percent: u8,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    gate: Gate<Arc<Waiter>>,
    calls: Calls,
}

/// One who waits.
#[derive(Debug, Default)]
struct Waiter {
    /// Raised when the tokens are taken, and when it becomes the head of its queue.
    called: Notify,
    taken: Mutex<Option<Taken>>,
}

impl Waiter {
    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets go who may leave, and wakes who has come to the head of a queue to watch the clock.
    fn settle(&mut self, now: Instant) {
        self.gate.advance(now);
        while let Some((taken, waiter)) = self.gate.next(now) {
            *waiter.taken() = Some(taken);
            waiter.called.notify_one();
        }
    }

    fn wake_heads(&self) {
        for waiter in self.gate.heads() {
            waiter.called.notify_one();
        }
    }
}

impl Budget {
    /// A budget with full buckets.
    ///
    /// # Errors
    /// `config` where there is no such plan.
    pub fn new(settings: &Settings) -> Result<Budget> {
        let limits = Limits::load()?;
        let plan = settings.plan.as_deref().map(|name| limits.plan(name)).transpose()?;
        let gate = Gate::new(&limits, plan, share(settings.reserve_percent), Instant::now());
        let plan = plan.map(|plan| plan.name.clone());
        let state = Mutex::new(State { gate, calls: Calls::default() });
        Ok(Budget(Arc::new(Shared { limits, plan, reserve_percent: settings.reserve_percent, state })))
    }

    /// Waits until a call may leave. A waiter that is dropped gives its place to the next one.
    pub async fn permit(
        &self,
        lane: Lane,
        method: &Method,
        path: &str,
        query: &[(String, String)],
    ) -> Permit {
        let group = self.group(method, path, query);
        let waiter = Arc::new(Waiter::default());
        let place = {
            let mut state = self.lock();
            let place = state.gate.enter(group, lane, Arc::clone(&waiter));
            state.settle(Instant::now());
            place
        };
        let mut waiting = Waiting { budget: self, place, waiter, done: false };
        loop {
            let wake = {
                let mut state = self.lock();
                if let Some(taken) = waiting.waiter.taken().take() {
                    waiting.done = true;
                    return Permit { budget: self.clone(), taken, left: false };
                }
                let now = Instant::now();
                state.settle(now);
                match state.gate.wake(place, now) {
                    // Its own turn has come in this very moment.
                    _ if waiting.waiter.taken().is_some() => continue,
                    wake => wake,
                }
            };
            match wake {
                Some(until) => tokio::select! {
                    () = waiting.waiter.called.notified() => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                None => waiting.waiter.called.notified().await,
            }
        }
    }

    /// When such a call could leave, if no other waited; none where it could now.
    pub fn free_at(&self, method: &Method, path: &str) -> Option<Instant> {
        let (mut state, now) = (self.lock(), Instant::now());
        state.settle(now);
        state.gate.free_at(self.group(method, path, &[]), now)
    }

    /// The name of the group that limits a call, where one does.
    pub fn group(&self, method: &Method, path: &str, query: &[(String, String)]) -> Option<&str> {
        self.0.limits.group(method.as_str(), path, |name| query.iter().any(|(other, _)| other == name))
    }

    /// A request to the token endpoint, which no bucket limits.
    pub(super) fn token_asked(&self) {
        self.lock().calls.tokens += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One in a queue; dropped, it leaves it.
struct Waiting<'a> {
    budget: &'a Budget,
    place: Place,
    waiter: Arc<Waiter>,
    done: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if !self.done {
            if !state.gate.leave(self.place)
                && let Some(taken) = self.waiter.taken().take()
            {
                state.gate.put_back(taken);
            }
            state.settle(Instant::now());
        }
        // The next in the queue has nobody else to wake it in time.
        state.wake_heads();
    }
}

/// Leave for one call. Dropped before [`Permit::leaves`], its tokens go back.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    taken: Taken,
    left: bool,
}

impl Permit {
    /// The call leaves now: whatever comes of it, it counts.
    pub fn leaves(&mut self) {
        if !self.left {
            self.left = true;
            self.budget.lock().calls.by_lane[self.taken.lane as usize] += 1;
        }
    }

    /// The answer has come: what it says of the limit is taken.
    pub fn answered(mut self, status: u16, headers: &HeaderMap, now: Now) {
        self.leaves();
        let told = hold::read(status, headers, now.unix);
        let mut state = self.budget.lock();
        if told.refused {
            state.calls.throttled[self.taken.lane as usize] += 1;
        }
        let smaller = state.gate.told(self.taken, told, DEFAULT_HOLD, now.instant);
        state.settle(now.instant);
        state.wake_heads();
        drop(state);
        if let (Some(bucket), Some(plan)) = (smaller, &self.budget.0.plan) {
            let limit = told.limit.unwrap_or_default();
            tracing::warn!(plan, bucket, limit, "Auth0 allows less than the plan says: is auth0.plan right?");
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.left {
            let mut state = self.budget.lock();
            state.gate.put_back(self.taken);
            state.settle(Instant::now());
            state.wake_heads();
        }
    }
}
