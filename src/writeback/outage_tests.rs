//! Hours in which nothing can be written, played in virtual time: what is called is decided by the service, the
//! answers are given here.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::call::{Deed, Verdict, after_call};
use super::desk::{Beside, Desk};
use super::lanes::{Next, Queued, Terms, Work};
use super::settlement::Settled;
use super::worker::Ended;
use crate::auth0::Outcome;
use crate::catalog::RowKey;
use crate::error::Kind;
use crate::pg::mirror::Operation;

const HOUR: Duration = Duration::from_secs(3600);
/// Growing pauses end here, and whoever finds out has as long before another does.
const SOON: Duration = Duration::from_secs(25);
const ROWS: i64 = 60;

fn queued(id: i64) -> Queued {
    let (table, operation) =
        if id % 3 == 0 { ("role", Operation::Delete) } else { ("user", Operation::Update) };
    Queued {
        id,
        node: (table.to_owned(), RowKey::single(id.to_string())),
        operation,
        references: Vec::new(),
        uncertain: false,
        terms: Terms::default(),
        commit: None,
    }
}

/// A desk with so many mutations of different rows.
fn desk(now: Instant) -> Desk {
    let mut desk = Desk::default();
    desk.rescan("1:1:".to_owned(), now);
    let commit = desk.wanted(now).unwrap().commit;
    let page = (1..=ROWS).map(|id| Queued { commit: Some(commit), ..queued(id) });
    desk.loaded(page.collect(), 1_000, Beside::default(), Instant::now());
    desk
}

/// What came of it.
#[derive(Default)]
struct Played {
    /// Calls while there was trouble.
    in_vain: u32,
    settled: Vec<i64>,
    /// When the last was settled.
    ended: Option<Instant>,
}

/// Lets the desk work, one call after another, until nothing is left to do; `answer` says what a call brings.
fn play(desk: &mut Desk, mut now: Instant, answer: impl Fn(&Work, Instant) -> Option<Outcome>) -> Played {
    let mut played = Played::default();
    loop {
        let work = match desk.next(0, 256, now) {
            Next::Work(work) => work,
            Next::WaitUntil(at) => {
                assert!(at > now, "time goes on");
                now = at;
                continue;
            }
            Next::Idle => return played,
        };
        let trouble = answer(&work, now);
        played.in_vain += u32::from(trouble.is_some());
        let outcome = trouble.unwrap_or(Outcome::Applied(Value::Null));
        let step = after_call(outcome, |_| None, work.ids.len(), desk.tries(&work), now);
        let ended = match step.deed(false, now) {
            Deed::PutBack { at, alone, holds } => Ended::Back { at, alone, holds },
            Deed::Settle(Verdict::Applied(_)) => {
                played.settled.extend(&work.ids);
                played.ended = Some(now);
                Ended::Settled(Settled { ids: work.ids.clone(), answered: true, ..Settled::default() })
            }
            other => panic!("{other:?}"),
        };
        let follows = desk.took(work, Ok(ended), now);
        assert!(follows.cancel.is_empty(), "nothing is reverted");
    }
}

#[test]
fn while_auth0_is_away_for_an_hour_nothing_is_settled_and_all_goes_out_when_it_is_back() {
    let throttled = |now| Outcome::Throttled { until: now + Duration::from_secs(60) };
    let away = |kind| Outcome::NeverLeft { kind, reason: String::new() };
    let blocked = |kind| Outcome::Blocked { kind, message: String::new() };
    for (kind, most) in [
        (Kind::Auth0Unreachable, 3_600),
        (Kind::Auth0Credentials, 3_600),
        (Kind::Auth0Token, 3_600),
        (Kind::Auth0Throttled, 61),
    ] {
        let began = Instant::now();
        let mut desk = desk(began);
        let back = began + HOUR;
        let played = play(&mut desk, began, |_, now| {
            (now < back).then(|| match kind {
                Kind::Auth0Throttled => throttled(now),
                Kind::Auth0Unreachable => away(kind),
                kind => blocked(kind),
            })
        });
        let mut settled = played.settled;
        settled.sort_unstable();
        assert_eq!(settled, (1..=ROWS).collect::<Vec<_>>(), "{kind:?}");
        assert!(played.in_vain < most, "{kind:?}: {} calls in vain", played.in_vain);
        let patience = if kind == Kind::Auth0Throttled { Duration::from_secs(60) } else { SOON };
        assert!(played.ended.unwrap() <= back + patience, "{kind:?}");
        assert_eq!(desk.report(0).waiting_for, None);
    }
}

#[test]
fn for_an_hour_without_a_scope_only_what_needs_it_waits() {
    let began = Instant::now();
    let mut desk = desk(began);
    let back = began + HOUR;
    let lacks = |work: &Work, now: Instant| {
        let lacks = now < back && work.node.0 == "user";
        lacks.then(|| Outcome::Blocked { kind: Kind::Auth0Scope, message: String::new() })
    };
    let played = play(&mut desk, began, lacks);
    let (deletes, updates): (Vec<i64>, Vec<i64>) = (1..=ROWS).partition(|id| id % 3 == 0);
    let mut first = played.settled[..deletes.len()].to_vec();
    first.sort_unstable();
    assert_eq!(first, deletes, "they wait for nobody");
    assert_eq!(played.settled.len(), deletes.len() + updates.len());
    assert!(played.in_vain < 1_500, "{} calls in vain", played.in_vain);
    assert!(played.ended.unwrap() <= back + SOON);
    assert!(desk.report(0).blocked.is_empty());
}

#[test]
fn nothing_is_taken_up_in_a_pause_and_all_of_it_afterwards() {
    let now = Instant::now();
    let mut desk = desk(now);
    desk.pause(true);
    assert_eq!(desk.next(0, 256, now), Next::Idle);
    assert_eq!(desk.next(0, 256, now + HOUR), Next::Idle);
    let report = desk.report(0);
    assert!(report.paused && report.held == ROWS as usize);
    desk.pause(false);
    assert_eq!(play(&mut desk, now + HOUR, |_, _| None).settled.len(), ROWS as usize);
    assert!(!desk.report(0).paused);
}
