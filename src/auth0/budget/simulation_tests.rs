//! An hour of calls in virtual time against buckets like Auth0's, by every plan.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::gate::{Gate, Taken, Told};
use super::{DEFAULT_HOLD, Lane};
use crate::catalog::{Limits, Plan, share};

const HOUR: f64 = 3_600.0;
const RESERVE: u8 = 20;

/// Auth0's side: one bucket after the other, whole tokens and whole seconds in the headers.
struct Server<'a> {
    plan: &'a Plan,
    /// Bucket → its level, and when that was.
    levels: BTreeMap<String, (f64, f64)>,
}

impl Server<'_> {
    fn take(&mut self, group: Option<&str>, at: f64) -> Told {
        let mut nearest = (f64::INFINITY, Told::default());
        for (name, rate) in self.plan.buckets(group) {
            let burst = f64::from(rate.burst);
            let (level, last) = self.levels.entry(name.to_owned()).or_insert((burst, at));
            *level = (*level + (at - *last) * rate.per_second()).min(burst);
            *last = at;
            let told = |remaining: f64, more: f64| Told {
                limit: Some(u64::from(rate.burst)),
                remaining: Some(remaining.floor() as u64),
                wait: Some(Duration::from_secs_f64((at + more).ceil() - at.floor())),
                refused: false,
            };
            if *level < 1.0 {
                return Told { refused: true, ..told(0.0, (1.0 - *level) / rate.per_second()) };
            }
            *level -= 1.0;
            if *level / burst <= nearest.0 {
                nearest = (*level / burst, told(*level, 1.0 / rate.per_second()));
            }
        }
        nearest.1
    }
}

#[derive(Debug)]
enum Event {
    /// A call of ours reaches Auth0.
    Arrives(Taken),
    /// Its answer reaches us.
    Answered(Taken, Told),
    /// A client writes.
    Write,
    /// Another application calls.
    Other,
    /// Somebody who waits looks at the clock.
    Look,
}

/// When it began to wait.
type Waiter = f64;

/// Who calls besides a backfill that always has work.
#[derive(Clone, Copy, Default)]
struct Company {
    /// Another application's calls, in percent of the limit.
    others: u8,
    /// Clients' writes come every so many seconds.
    write_every: Option<f64>,
    /// How long a call takes to Auth0 and back, in seconds, and how much that varies.
    way: (f64, f64),
}

#[derive(Debug, Default)]
struct Hour {
    calls: u64,
    throttled: u64,
    slowest_write: f64,
}

/// Plays an hour of a backfill with twelve readers in a group of calls.
fn hour(plan: &Plan, group: Option<&str>, company: Company) -> Hour {
    let (limits, start) = (Limits::load().unwrap(), Instant::now());
    let instant = |at: f64| start + Duration::from_secs_f64(at);
    let mut gate: Gate<Waiter> = Gate::new(&limits, Some(plan), share(RESERVE), start);
    let mut server = Server { plan, levels: BTreeMap::new() };
    let (mut events, mut number): (BTreeMap<(u64, u64), Event>, u64) = (BTreeMap::new(), 0);
    let mut add = |events: &mut BTreeMap<_, _>, at: f64, event| {
        number += 1;
        events.insert(((at * 1e6) as u64, number), event);
    };
    for _ in 0..12 {
        gate.enter(group, Lane::Backfill, 0.0);
    }
    let per_second = plan.per_minute(group, 0).unwrap() / 60.0;
    if company.others > 0 {
        add(&mut events, 0.0, Event::Other);
    }
    if company.write_every.is_some() {
        add(&mut events, 1.0, Event::Write);
    }
    add(&mut events, 0.0, Event::Look);
    let (mut hour, mut turn, mut look) = (Hour::default(), 0_u32, 0.0);
    while let Some(((micros, _), event)) = events.pop_first() {
        let now = micros as f64 / 1e6;
        if now > HOUR {
            break;
        }
        gate.advance(instant(now));
        match event {
            Event::Arrives(taken) => {
                let told = server.take(group, now);
                if now >= 60.0 {
                    hour.calls += 1;
                    hour.throttled += u64::from(told.refused);
                }
                add(&mut events, now + company.way.0 / 2.0, Event::Answered(taken, told));
            }
            Event::Answered(taken, told) => {
                gate.told(taken, told, DEFAULT_HOLD, instant(now));
                if taken.lane == Lane::Backfill {
                    gate.enter(group, Lane::Backfill, now);
                }
            }
            Event::Write => {
                gate.enter(group, Lane::Write, now);
                let every = company.write_every.unwrap();
                add(&mut events, now + every, Event::Write);
            }
            Event::Other => {
                server.take(group, now);
                let rate = per_second * f64::from(company.others) / 100.0;
                add(&mut events, now + 1.0 / rate, Event::Other);
            }
            Event::Look => look = f64::INFINITY,
        }
        while let Some((taken, waiter)) = gate.next(instant(now)) {
            if taken.lane == Lane::Write && now >= 60.0 {
                hour.slowest_write = hour.slowest_write.max(now - waiter);
            }
            turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = f64::from(turn >> 8) / f64::from(1 << 24) * company.way.1;
            add(&mut events, now + company.way.0 / 2.0 + jitter, Event::Arrives(taken));
        }
        if let Some(wake) = gate.soonest(instant(now)) {
            // Timers have a millisecond's grain.
            let wake = (((wake - start).as_secs_f64() * 1e3).ceil() / 1e3).max(now + 1e-3);
            if wake < look {
                look = wake;
                add(&mut events, wake, Event::Look);
            }
        }
    }
    hour
}

fn cases() -> Vec<(&'static str, Option<&'static str>)> {
    vec![
        ("free", None),
        ("free", Some("email_provider_read")),
        ("professional", None),
        ("professional", Some("users_read")),
        ("professional", Some("clients_read")),
        ("professional", Some("organizations_write")),
        ("enterprise", None),
        ("enterprise", Some("organizations_read")),
        ("enterprise-development", None),
        ("private-1x", Some("organization_members_read")),
    ]
}

/// Checks an hour: what is ours of the limit was used, and hardly a call was refused.
fn check(company: Company) {
    let limits = Limits::load().unwrap();
    for (name, group) in cases() {
        let plan = limits.plan(name).unwrap();
        let hour = hour(plan, group, company);
        let permitted = plan.per_minute(group, RESERVE).unwrap() * 59.0;
        let used = hour.calls as f64 / permitted;
        let what = format!("{name} {group:?}: {used:.3} of the permitted rate, {hour:?}");
        assert!((0.95..1.02).contains(&used), "{what}");
        assert!(hour.throttled * 1_000 < hour.calls, "{what}");
        if company.write_every.is_some() {
            let refill = 60.0 / plan.per_minute(group, RESERVE).unwrap();
            assert!(hour.slowest_write <= refill + 0.002, "{what}: one refill is {refill:.3} s");
        }
    }
}

#[test]
fn what_is_ours_of_every_limit_is_used_and_a_write_waits_one_refill() {
    check(Company { way: (0.01, 0.0), write_every: Some(7.3), ..Company::default() });
}

#[test]
fn another_application_that_uses_the_reserve_costs_us_nothing() {
    check(Company { others: 20, way: (0.01, 0.0), ..Company::default() });
}

#[test]
fn a_far_away_tenant_with_an_unsteady_way_is_used_as_well() {
    check(Company { way: (0.15, 0.05), ..Company::default() });
    check(Company { others: 10, way: (0.15, 0.02), write_every: Some(11.7) });
}
