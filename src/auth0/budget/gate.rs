//! Who may leave, pure: calls wait by lane and then by arrival for the tokens of all their buckets
//! together. Time and answers come in, those that may leave go out.
//!
//! A call holds no token while it waits for another, and one that waits for a full group keeps nobody
//! of other groups: of the calls that could leave now, the most urgent does.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Lane;
use super::bucket::Bucket;
use crate::catalog::{Limits, Plan};

/// Auth0's times of reset have no fraction, and neither has the date they are compared with.
const COARSE: Duration = Duration::from_secs(2);

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    set: usize,
    order: (Lane, u64),
}

/// Tokens taken for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    set: usize,
    /// What the call is for.
    pub(super) lane: Lane,
    /// Of each bucket of the set: the number of the call.
    serials: [u64; 2],
    at: Instant,
}

/// What an answer says of the limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Auth0 refused the call for it.
    pub(super) refused: bool,
    /// Size of the bucket that it speaks of.
    pub(super) limit: Option<u64>,
    /// What is left in it.
    pub(super) remaining: Option<u64>,
    /// How long until there is more, by the headers and rounded up; none where they do not say.
    pub(super) wait: Option<Duration>,
}

/// Calls that take from the same buckets, and those of them that wait.
#[derive(Debug)]
struct Set<W> {
    buckets: Vec<usize>,
    waiting: BTreeMap<(Lane, u64), W>,
}

/// All buckets and queues of a tenant; `W` stands for who waits.
#[derive(Debug)]
pub(super) struct Gate<W> {
    pub(super) buckets: Vec<Bucket>,
    sets: Vec<Set<W>>,
    /// Group of calls → its set; the set of those without a group is the first.
    of_group: HashMap<String, usize>,
    share: f64,
    /// Only answers tell the limits.
    learns: bool,
    /// Nothing leaves before this time: a refusal that did not say which limit it is about.
    held: Option<Instant>,
    arrivals: u64,
}

impl<W> Gate<W> {
    /// The buckets of a plan, of which `share` (0 to 1) is ours; without a plan answers tell them.
    pub(super) fn new(limits: &Limits, plan: Option<&Plan>, share: f64, now: Instant) -> Gate<W> {
        let mut gate = Gate {
            buckets: Vec::new(),
            sets: Vec::new(),
            of_group: HashMap::new(),
            share,
            learns: plan.is_none(),
            held: None,
            arrivals: 0,
        };
        for group in [None].into_iter().chain(limits.groups().map(Some)) {
            let mut buckets = Vec::new();
            for (name, rate) in plan.into_iter().flat_map(|plan| plan.buckets(group)) {
                let known = gate.buckets.iter().position(|bucket| bucket.name == name);
                buckets.push(known.unwrap_or_else(|| {
                    gate.buckets.push(Bucket::published(name, rate, share, now));
                    gate.buckets.len() - 1
                }));
            }
            // Where answers tell the limits each group may turn out to have one of its own.
            let same = gate.sets.iter().position(|set| plan.is_some() && set.buckets == buckets);
            let set = same.unwrap_or_else(|| {
                gate.sets.push(Set { buckets, waiting: BTreeMap::new() });
                gate.sets.len() - 1
            });
            gate.of_group.extend(group.map(|group| (group.to_owned(), set)));
        }
        gate
    }

    /// The buckets of a group of calls.
    pub(super) fn buckets_of(&self, group: Option<&str>) -> impl Iterator<Item = &Bucket> {
        let set = group.and_then(|group| self.of_group.get(group)).copied().unwrap_or(0);
        self.sets[set].buckets.iter().map(|bucket| &self.buckets[*bucket])
    }

    /// Queues a call of this group.
    pub(super) fn enter(&mut self, group: Option<&str>, lane: Lane, who: W) -> Place {
        let set = group.and_then(|group| self.of_group.get(group)).copied().unwrap_or(0);
        self.arrivals += 1;
        let order = (lane, self.arrivals);
        self.sets[set].waiting.insert(order, who);
        Place { set, order }
    }

    /// Takes a call out of its queue; false where it is there no more.
    pub(super) fn leave(&mut self, place: Place) -> bool {
        self.sets[place.set].waiting.remove(&place.order).is_some()
    }

    /// Fills the buckets up to `now`; call it before the others that take a time.
    pub(super) fn advance(&mut self, now: Instant) {
        self.held = self.held.filter(|until| *until > now);
        for bucket in &mut self.buckets {
            bucket.advance(now);
        }
    }

    /// The most urgent call that may leave now, its tokens taken.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Taken, W)> {
        let free = |n: &usize| self.ready(&self.sets[*n], now).is_none();
        let heads = (0..self.sets.len()).filter(|n| !self.sets[*n].waiting.is_empty()).filter(free);
        let set = heads.min_by_key(|n| self.sets[*n].waiting.keys().next().copied())?;
        let ((lane, _), who) = self.sets[set].waiting.pop_first()?;
        let mut serials = [0; 2];
        for (serial, bucket) in serials.iter_mut().zip(&self.sets[set].buckets) {
            *serial = self.buckets[*bucket].take(now);
        }
        Some((Taken { set, lane, serials, at: now }, who))
    }

    /// The heads of the queues: only they have a time to wake at.
    pub(super) fn heads(&self) -> impl Iterator<Item = &W> {
        self.sets.iter().filter_map(|set| set.waiting.values().next())
    }

    /// When to look again for a call that is the head of its queue; none for others.
    pub(super) fn wake(&self, place: Place, now: Instant) -> Option<Instant> {
        let set = &self.sets[place.set];
        let is_head = set.waiting.keys().next() == Some(&place.order);
        is_head.then(|| self.ready(set, now).unwrap_or(now))
    }

    /// When the first of those who wait may leave.
    #[cfg(test)]
    pub(super) fn soonest(&self, now: Instant) -> Option<Instant> {
        let waiting = self.sets.iter().filter(|set| !set.waiting.is_empty());
        waiting.map(|set| self.ready(set, now).unwrap_or(now)).min()
    }

    /// When a call of this group could leave, if it were alone; none where it could now.
    pub(super) fn free_at(&self, group: Option<&str>, now: Instant) -> Option<Instant> {
        let set = group.and_then(|group| self.of_group.get(group)).copied().unwrap_or(0);
        self.ready(&self.sets[set], now)
    }

    fn ready(&self, set: &Set<W>, now: Instant) -> Option<Instant> {
        let held = self.held.filter(|until| *until > now);
        set.buckets.iter().filter_map(|bucket| self.buckets[*bucket].ready(now)).chain(held).max()
    }

    /// A call whose tokens were taken has not left after all.
    pub(super) fn put_back(&mut self, taken: Taken) {
        for bucket in &self.sets[taken.set].buckets {
            self.buckets[*bucket].put_back();
        }
    }

    /// Takes what an answer says; `default` is how long a refusal holds that does not say. The name
    /// of the bucket is given where Auth0's turns out to be smaller than published.
    pub(super) fn told(
        &mut self,
        taken: Taken,
        told: Told,
        default: Duration,
        now: Instant,
    ) -> Option<String> {
        let (mut smaller, mut speaks) = (None, self.speaks_of(taken, told));
        if speaks.is_none()
            && let Some(limit) = told.limit
        {
            if self.learns {
                speaks = Some(self.learn(taken.set, limit, now));
            } else if let Some(last) = self.sets[taken.set].buckets.len().checked_sub(1) {
                // Whichever it is, Auth0's word counts.
                let bucket = &mut self.buckets[self.sets[taken.set].buckets[last]];
                if (limit as f64) < bucket.burst {
                    smaller = Some(bucket.name.clone());
                    bucket.distrust(limit);
                    speaks = Some((self.sets[taken.set].buckets[last], taken.serials[last]));
                }
            }
        }
        if told.refused {
            let until = now + told.wait.unwrap_or(default);
            match speaks {
                Some((bucket, _)) => self.buckets[bucket].refused(until, now),
                None if self.sets[taken.set].buckets.is_empty() => self.held = self.held.max(Some(until)),
                None => {
                    for n in self.sets[taken.set].buckets.clone() {
                        self.buckets[n].refused(until, now);
                    }
                }
            }
            return smaller;
        }
        match (speaks, told.remaining) {
            (Some((bucket, serial)), Some(remaining)) => {
                let reset = told.wait.map(|wait| now + wait);
                let bucket = &mut self.buckets[bucket];
                bucket.told(remaining, reset, (serial, taken.at), now);
                if remaining == 0 && bucket.per_second.is_some() {
                    // Slower than published: then Auth0's time counts, as early as it can be meant.
                    let soonest = told.wait.map(|wait| now + wait.saturating_sub(COARSE));
                    bucket.wait_for(soonest, now);
                }
            }
            _ => {
                for bucket in &self.sets[taken.set].buckets {
                    self.buckets[*bucket].untold();
                }
            }
        }
        smaller
    }

    /// The bucket of the call that an answer speaks of, by its size, and the call's number there.
    fn speaks_of(&self, taken: Taken, told: Told) -> Option<(usize, u64)> {
        let mut own = self.sets[taken.set].buckets.iter().copied().zip(taken.serials);
        own.rfind(|(n, _)| told.limit.is_some_and(|limit| self.buckets[*n].burst == limit as f64))
    }

    /// The bucket of this size becomes that of the set: groups that show the same size share it.
    fn learn(&mut self, set: usize, limit: u64, now: Instant) -> (usize, u64) {
        let known = self.buckets.iter().position(|bucket| bucket.burst == limit as f64);
        let bucket = known.unwrap_or_else(|| {
            self.buckets.push(Bucket::learnt(limit, self.share, now));
            self.buckets.len() - 1
        });
        self.sets[set].buckets = vec![bucket];
        (bucket, self.buckets[bucket].taken())
    }

    /// How many calls of each lane wait for a bucket; all that wait where none is named.
    pub(super) fn waiting(&self, bucket: Option<usize>) -> [usize; Lane::ALL.len()] {
        let mut count = [0; Lane::ALL.len()];
        let sets = self.sets.iter().filter(|set| bucket.is_none_or(|bucket| set.buckets.contains(&bucket)));
        for (lane, _) in sets.flat_map(|set| set.waiting.keys()) {
            count[*lane as usize] += 1;
        }
        count
    }

    /// Until when nothing at all leaves.
    pub(super) fn held(&self) -> Option<Instant> {
        self.held
    }
}
