//! What the budget shows of itself.

use reqwest::Method;
use serde::Serialize;
use tokio::time::Instant;

use super::bucket::Bucket;
use super::{Budget, Lane};

const LANES: usize = Lane::ALL.len();

/// How many calls left since the start, in the order of [`Lane::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of each lane.
    pub by_lane: [u64; LANES],
    /// Those of them that Auth0 answered 429.
    pub throttled: [u64; LANES],
    /// Requests to the token endpoint, which are no calls of the Management API.
    pub tokens: u64,
}

/// The state of a budget at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetReport {
    /// The plan whose limits are kept; none where answers alone tell.
    pub plan: Option<String>,
    /// What is left to others, in percent.
    pub reserve_percent: u8,
    /// Buckets that calls have used or wait for.
    pub buckets: Vec<BucketReport>,
    /// Calls that wait, by lane.
    pub waiting: LaneCounts,
    /// Calls since the start, by lane.
    pub calls: LaneCounts,
    /// Those that Auth0 answered 429.
    pub throttled: u64,
    /// Requests to the token endpoint.
    pub tokens: u64,
    /// Seconds for which nothing at all leaves.
    pub held_seconds: Option<f64>,
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketReport {
    /// `whole`, `rest`, a group of `limits.toml`, or `of 50` where only its size is known.
    pub name: String,
    /// The most that it holds, reserve included.
    pub limit: u64,
    /// Tokens that come back in a minute, reserve included; none where only answers tell.
    pub per_minute: Option<f64>,
    /// Calls that could leave at once.
    pub available: u64,
    /// Calls in the last minute.
    pub used_last_minute: u32,
    /// Calls that wait for it, by lane.
    pub waiting: LaneCounts,
    /// Seconds for which it lets nothing through.
    pub held_seconds: Option<f64>,
    /// Calls that Auth0 answered 429 because of it.
    pub throttled: u64,
}

/// What a bucket lets through from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// As [`BucketReport::name`].
    pub bucket: String,
    /// Calls that could leave at once.
    pub available: u64,
    /// Calls a second that follow, without the reserve; none where only answers tell.
    pub per_second: Option<f64>,
}

/// A number for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneCounts {
    /// Of clients' writes.
    pub write: u64,
    /// Of what is read again.
    pub refetch: u64,
    /// Of sweeps.
    pub sweep: u64,
    /// Of backfills.
    pub backfill: u64,
}

impl LaneCounts {
    /// That of one lane.
    pub fn of_lane(self, lane: Lane) -> u64 {
        match lane {
            Lane::Write => self.write,
            Lane::Refetch => self.refetch,
            Lane::Sweep => self.sweep,
            Lane::Backfill => self.backfill,
        }
    }

    fn of(counts: [u64; LANES]) -> LaneCounts {
        let [write, refetch, sweep, backfill] = counts;
        LaneCounts { write, refetch, sweep, backfill }
    }
}

impl Budget {
    /// How many calls have left since the start.
    pub fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// What every bucket lets through from now on.
    pub fn flows(&self) -> Vec<Flow> {
        let mut state = self.lock();
        state.settle(Instant::now());
        let flow = |bucket: &Bucket| Flow {
            bucket: bucket.name.clone(),
            available: bucket.available() as u64,
            per_second: bucket.our_rate(),
        };
        state.gate.buckets.iter().map(flow).collect()
    }

    /// The buckets that a call takes a token of each.
    pub fn buckets_of(&self, method: &Method, path: &str) -> Vec<String> {
        let group = self.group(method, path, &[]);
        self.lock().gate.buckets_of(group).map(|bucket| bucket.name.clone()).collect()
    }

    /// What the status page shows.
    pub fn report(&self) -> BudgetReport {
        let (mut state, now) = (self.lock(), Instant::now());
        state.settle(now);
        let gate = &state.gate;
        let seconds =
            |until: Option<Instant>| until.map(|until| until.saturating_duration_since(now).as_secs_f64());
        let counts = |waiting: [usize; LANES]| LaneCounts::of(waiting.map(|count| count as u64));
        let buckets = gate.buckets.iter().enumerate().map(|(n, bucket)| {
            let waiting = gate.waiting(Some(n));
            let report = BucketReport {
                name: bucket.name.clone(),
                limit: bucket.burst as u64,
                per_minute: bucket.per_second.map(|rate| rate * 60.0),
                available: bucket.available() as u64,
                used_last_minute: bucket.used(now),
                waiting: counts(waiting),
                held_seconds: seconds(bucket.held()),
                throttled: bucket.throttled,
            };
            (bucket.taken() > 0 || waiting.iter().any(|count| *count > 0)).then_some(report)
        });
        BudgetReport {
            plan: self.0.plan.clone(),
            reserve_percent: self.0.reserve_percent,
            buckets: buckets.flatten().collect(),
            waiting: counts(gate.waiting(None)),
            calls: LaneCounts::of(state.calls.by_lane),
            throttled: state.calls.throttled.iter().sum(),
            tokens: state.calls.tokens,
            held_seconds: seconds(gate.held()),
        }
    }
}
