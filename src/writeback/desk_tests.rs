//! What the desk does with what cannot go into a lane.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::desk::{Beside, Desk};
use super::dispatch::Arrival;
use super::lanes::{Next, Queued, Terms};
use super::settlement::Settled;
use super::store::Which;
use super::worker::Ended;
use crate::catalog::RowKey;
use crate::ledger::Token;
use crate::pg::mirror::Operation;

const SOON: Duration = Duration::from_secs(1);

fn queued(id: i64, commit: Token) -> Queued {
    Queued {
        id,
        node: ("user".to_owned(), RowKey::single(id.to_string())),
        operation: Operation::Update,
        references: Vec::new(),
        uncertain: false,
        terms: Terms::default(),
        commit: Some(commit),
    }
}

/// Does all that may leave.
fn settle(desk: &mut Desk, now: Instant) -> Vec<i64> {
    let mut done = Vec::new();
    while let Next::Work(work) = desk.next(0, 10, now) {
        done.extend(&work.ids);
        let settled = Settled { ids: work.ids.clone(), answered: true, ..Settled::default() };
        desk.took(work, Ok(Ended::Settled(settled)), now);
    }
    done
}

#[test]
fn the_position_waits_for_a_mutation_whose_row_a_client_holds_and_it_is_loaded_again() {
    let (mut desk, now) = (Desk::default(), Instant::now());
    desk.arrived(Arrival::Commit { lsn: 10, ids: vec![1, 2], rows: None }, now);
    desk.arrived(Arrival::Commit { lsn: 20, ids: vec![3], rows: None }, now);
    let held = || Beside { busy: HashSet::from([2]), ..Beside::default() };
    let commit = desk.wanted(now).unwrap().commit;
    desk.loaded(vec![queued(1, commit), queued(2, commit)], i64::MAX, held(), now);
    let next = desk.wanted(now).unwrap().commit;
    desk.loaded(vec![queued(3, next)], i64::MAX, Beside::default(), now);
    assert_eq!((settle(&mut desk, now), desk.applied()), (vec![1, 3], 0));
    desk.due(now);
    assert!(desk.wanted(now).is_none(), "not without a pause");

    let mut now = desk.not_before().unwrap();
    assert!(desk.wanted(now).is_none(), "it does not push in while something else is being loaded");
    desk.arrived(Arrival::Commit { lsn: 30, ids: vec![4], rows: None }, now);
    assert_eq!(desk.alone(now), None, "it may hang on what is loaded again");
    desk.due(now);
    assert!(
        matches!(&desk.wanted(now).unwrap().which, Which::Ids(ids) if ids[..] == [2]),
        "before what is new"
    );
    desk.loaded(vec![queued(2, commit)], i64::MAX, held(), now);
    let next = desk.wanted(now).unwrap().commit;
    desk.loaded(vec![queued(4, next)], i64::MAX, Beside::default(), now);
    assert_eq!((settle(&mut desk, now), desk.applied()), (vec![4], 0), "it is held still");

    now += SOON;
    desk.due(now);
    desk.fold("9:9:".to_owned(), &HashSet::new(), now);
    desk.loaded(vec![queued(2, commit)], i64::MAX, Beside::default(), now);
    assert_eq!((settle(&mut desk, now), desk.applied()), (vec![2], 30));
}
