//! A transaction from its commit to its end, as the dispatcher sees it.

use tokio::time::Instant;

use super::Fate;
use crate::catalog::RowKey;
use crate::pg::mirror::Operation;
use crate::writeback::call::Holds;
use crate::writeback::desk::{Beside, Desk};
use crate::writeback::dispatch::Arrival;
use crate::writeback::lanes::{Atomic, Next, Queued, Terms, Work};
use crate::writeback::settlement::Settled;
use crate::writeback::worker::Ended;

fn queued(id: i64, row: &str, txid: Option<u64>) -> Queued {
    let atomic = txid.map(|txid| Atomic { txid, applied: false, withdrawn: false });
    Queued {
        id,
        node: ("t".to_owned(), RowKey::single(row)),
        operation: Operation::Update,
        references: Vec::new(),
        uncertain: false,
        terms: Terms { atomic, ..Terms::default() },
        commit: None,
    }
}

/// A desk that has loaded a commit.
fn told(page: Vec<Queued>) -> Desk {
    let (mut desk, now) = (Desk::default(), Instant::now());
    let ids = page.iter().map(|queued| queued.id).collect();
    desk.arrived(Arrival::Commit { lsn: 10, ids, rows: None }, now);
    let commit = desk.wanted(now).map(|segment| segment.commit);
    let page = page.into_iter().map(|queued| Queued { commit, ..queued }).collect();
    desk.loaded(page, i64::MAX, Beside::default(), now);
    desk
}

fn next(desk: &mut Desk) -> Option<Work> {
    match desk.next(0, 9, Instant::now()) {
        Next::Work(work) => Some(work),
        _ => None,
    }
}

fn ended(desk: &mut Desk, work: &Work, applied: bool, fate: Fate) {
    let ids = if applied { Vec::new() } else { work.ids.clone() };
    let settled = Settled { ids, applied, fates: vec![(7, fate)], ..Settled::default() };
    desk.took(work.clone(), Ok(Ended::Settled(settled)), Instant::now());
}

#[test]
fn what_is_applied_is_not_done_before_the_transaction_is_decided() {
    let mut desk = told(vec![queued(1, "a", Some(7)), queued(2, "b", Some(7)), queued(3, "a", None)]);
    let (first, second) = (next(&mut desk).unwrap(), next(&mut desk).unwrap());
    ended(&mut desk, &first, true, Fate::Open);
    assert_eq!((next(&mut desk), desk.applied()), (None, 0));
    ended(&mut desk, &second, true, Fate::Confirmed(vec![1, 2]));
    let third = next(&mut desk).unwrap();
    assert_eq!((third.ids.as_slice(), desk.next_withdrawal(Instant::now())), ([3].as_slice(), None));
    desk.took(third, Ok(Ended::Settled(Settled { ids: vec![3], ..Settled::default() })), Instant::now());
    assert_eq!(desk.applied(), 10);
}

#[test]
fn what_has_failed_is_taken_back_when_nothing_of_it_is_under_way_and_once() {
    let rows = ["a", "b", "c", "c"];
    let page = rows.iter().zip(1..).map(|(row, id)| queued(id, row, Some(7)));
    let mut desk = told(page.chain([queued(5, "c", None)]).collect());
    let works: Vec<Work> = std::iter::from_fn(|| next(&mut desk)).collect();
    assert_eq!(works.len(), 3, "the fourth waits behind the third");
    ended(&mut desk, &works[0], true, Fate::Open);
    ended(&mut desk, &works[1], false, Fate::Failed);
    assert_eq!(desk.next_withdrawal(Instant::now()), None, "the third is under way");
    let back = Ended::Back { at: Instant::now(), alone: false, holds: Holds::Itself };
    desk.took(works[2].clone(), Ok(back), Instant::now());
    assert_eq!(next(&mut desk), None, "nothing of it leaves any more");
    assert_eq!(desk.next_withdrawal(Instant::now()), Some(7));
    assert_eq!(desk.next_withdrawal(Instant::now()), None);
    assert_eq!(desk.applied(), 0);
    desk.came_back(7, &[1, 2, 3, 4]);
    let later = next(&mut desk).unwrap();
    assert_eq!((later.ids.as_slice(), desk.next_withdrawal(Instant::now())), ([5].as_slice(), None));
    desk.took(later, Ok(Ended::Settled(Settled { ids: vec![5], ..Settled::default() })), Instant::now());
    assert_eq!(desk.applied(), 10);
}

#[test]
fn what_an_earlier_process_has_left_of_a_failed_transaction_is_taken_back() {
    let (mut desk, now) = (Desk::default(), Instant::now());
    desk.rescan("1:1:".to_owned(), now);
    assert!(desk.wanted(now).is_some());
    let mut applied = queued(1, "a", Some(7));
    applied.terms.atomic = Some(Atomic { txid: 7, applied: true, withdrawn: false });
    let mut sent = queued(2, "b", Some(7));
    sent.uncertain = true;
    let beside = Beside { failed: vec![7], ..Beside::default() };
    desk.loaded(vec![applied, sent, queued(3, "c", Some(7))], 1000, beside, Instant::now());
    assert_eq!(desk.next_withdrawal(now), None, "one may have left");
    let read_back = next(&mut desk).unwrap();
    assert!(read_back.uncertain && read_back.terms.atomic.unwrap().withdrawn);
    assert_eq!(next(&mut desk), None);
    ended(&mut desk, &read_back, true, Fate::Failed);
    assert_eq!(desk.next_withdrawal(now), Some(7));
}
