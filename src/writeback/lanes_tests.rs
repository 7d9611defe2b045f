use super::*;

fn node(table: &str, key: &str) -> Node {
    (table.to_owned(), RowKey::single(key))
}

fn queued(id: i64, table: &str, key: &str, operation: Operation) -> Queued {
    let node = node(table, key);
    let terms = Terms::default();
    Queued { id, node, operation, references: Vec::new(), uncertain: false, terms, commit: None }
}

fn member(id: i64, organization: &str, user: &str, operation: Operation) -> Queued {
    Queued {
        id,
        node: ("member".to_owned(), RowKey(vec![organization.to_owned(), user.to_owned()])),
        operation,
        references: vec![(node("org", organization), Some(0)), (node("user", user), Some(1))],
        uncertain: false,
        terms: Terms::default(),
        commit: None,
    }
}

fn next(lanes: &mut Lanes) -> Option<Work> {
    match lanes.next(Instant::now()) {
        Next::Work(work) => Some(work),
        _ => None,
    }
}

#[test]
fn rows_go_in_parallel_and_one_row_goes_in_order() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "user", "a", Operation::Insert));
    lanes.push(queued(2, "user", "a", Operation::Update));
    lanes.push(queued(3, "user", "b", Operation::Update));
    let first = next(&mut lanes).unwrap();
    assert_eq!((first.ids.clone(), next(&mut lanes).unwrap().ids), (vec![1], vec![3]));
    assert_eq!(next(&mut lanes), None);
    lanes.settled(&first, &[1]);
    assert_eq!(next(&mut lanes).unwrap().ids, [2]);
}

#[test]
fn waiting_updates_of_a_row_go_out_together_and_a_delete_swallows_them() {
    let mut lanes = Lanes::default();
    for id in 1..=3 {
        lanes.push(queued(id, "user", "a", Operation::Update));
    }
    lanes.push(queued(4, "user", "a", Operation::Delete));
    lanes.push(queued(5, "user", "a", Operation::Insert));
    let work = next(&mut lanes).unwrap();
    assert_eq!((work.ids.as_slice(), work.operation), ([1, 2, 3, 4].as_slice(), Operation::Delete));
    lanes.put_back(&work, Instant::now(), true);
    assert_eq!(next(&mut lanes).unwrap().ids, [1], "refused together, so one by one");
}

#[test]
fn a_child_waits_for_its_parent_and_a_parent_s_delete_for_its_children() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "org", "new_1", Operation::Insert));
    lanes.push(member(2, "new_1", "u", Operation::Insert));
    lanes.push(queued(3, "org", "new_1", Operation::Delete));
    let insert = next(&mut lanes).unwrap();
    assert_eq!(insert.ids, [1]);
    assert_eq!(next(&mut lanes), None);
    lanes.rekey("org", &RowKey::single("new_1"), &RowKey::single("org_1"));
    let insert = Work { node: node("org", "org_1"), ..insert };
    lanes.settled(&insert, &[1]);
    let child = next(&mut lanes).unwrap();
    assert_eq!((child.ids.as_slice(), &child.node.1.0[0]), ([2].as_slice(), &"org_1".to_owned()));
    assert_eq!(next(&mut lanes), None, "the delete waits");
    lanes.settled(&child, &[2]);
    assert_eq!(next(&mut lanes).unwrap().ids, [3]);
}

#[test]
fn what_hangs_on_a_refused_insert_is_found() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "org", "new_1", Operation::Insert));
    lanes.push(member(2, "new_1", "u", Operation::Insert));
    lanes.push(member(3, "other", "u", Operation::Insert));
    assert_eq!(lanes.dependents(&node("org", "new_1"), 1), [2]);
    let insert = next(&mut lanes).unwrap();
    let dependent = lanes.take(2).unwrap();
    lanes.settled(&insert, &[1]);
    lanes.settled(&dependent, &[2]);
    assert_eq!(next(&mut lanes).unwrap().ids, [3]);
}

#[test]
fn a_delayed_lane_waits_and_says_how_long() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "user", "a", Operation::Update));
    let work = next(&mut lanes).unwrap();
    let now = Instant::now();
    let until = now + std::time::Duration::from_secs(5);
    lanes.put_back(&work, until, false);
    lanes.push(queued(2, "user", "a", Operation::Update));
    assert_eq!(lanes.next(now), Next::WaitUntil(until));
    assert!(matches!(lanes.next(until), Next::Work(Work { ids, .. }) if ids == [1, 2]));
}

#[test]
fn a_mutation_that_is_held_is_not_queued_twice() {
    let mut lanes = Lanes::default();
    assert!(lanes.push(queued(1, "user", "a", Operation::Update)));
    assert!(!lanes.push(queued(1, "user", "a", Operation::Update)));
    assert_eq!(lanes.len(), 1);
    let work = next(&mut lanes).unwrap();
    lanes.settled(&work, &[1]);
    assert!(lanes.is_empty());
    assert!(lanes.lanes.is_empty(), "nothing is left behind");
}

#[test]
fn a_mutation_that_a_scan_has_brought_counts_for_its_commit_too() {
    let (mut lanes, mut ledger) = (Lanes::default(), crate::ledger::Ledger::<u64>::default());
    let (told, scan) = (ledger.received(10), ledger.received(0));
    let of = |commit| Queued { commit: Some(commit), ..queued(1, "user", "a", Operation::Update) };
    assert!(lanes.push(of(scan)));
    assert!(lanes.push(of(told)));
    assert!(!lanes.push(of(told)) && !lanes.push(of(scan)));
    let work = next(&mut lanes).unwrap();
    assert_eq!(lanes.settled(&work, &[1]), [scan, told]);
    assert!(lanes.also.is_empty());
}

#[test]
fn a_call_that_may_have_left_is_taken_up_as_it_was() {
    let mut lanes = Lanes::default();
    for id in 1..=2 {
        lanes.push(Queued { uncertain: true, ..queued(id, "user", "a", Operation::Update) });
    }
    lanes.push(queued(3, "user", "a", Operation::Update));
    let work = next(&mut lanes).unwrap();
    assert_eq!((work.ids.as_slice(), work.uncertain), ([1, 2].as_slice(), true));
}

#[test]
fn a_lane_whose_waiting_mutation_was_cancelled_goes_on() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "user", "a", Operation::Insert));
    lanes.push(queued(2, "user", "a", Operation::Update));
    let work = next(&mut lanes).unwrap();
    lanes.put_back(&work, Instant::now() + std::time::Duration::from_secs(60), false);
    assert_eq!(next(&mut lanes), None);
    let cancelled = lanes.take(1).unwrap();
    lanes.settled(&cancelled, &[1]);
    assert_eq!(next(&mut lanes).unwrap().ids, [2]);
}

#[test]
fn a_key_that_settles_moves_everything_below_it_at_every_depth() {
    let key = |parts: &[&str]| RowKey(parts.iter().map(|part| part.to_string()).collect());
    let below = |id: i64, operation: Operation| Queued {
        id,
        node: ("domain".to_owned(), key(&["new_o", "new_d"])),
        operation,
        references: vec![(node("org", "new_o"), Some(0))],
        uncertain: false,
        terms: Terms::default(),
        commit: None,
    };
    let right = |id: i64| Queued {
        id,
        node: ("right".to_owned(), key(&["new_o", "u", "r"])),
        operation: Operation::Insert,
        references: vec![
            (node("org", "new_o"), Some(0)),
            (("member".to_owned(), key(&["new_o", "u"])), Some(1)),
        ],
        uncertain: false,
        terms: Terms::default(),
        commit: None,
    };
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "org", "new_o", Operation::Insert));
    lanes.push(below(2, Operation::Insert));
    lanes.push(below(3, Operation::Update));
    lanes.push(member(4, "new_o", "u", Operation::Insert));
    lanes.push(right(5));
    let org = next(&mut lanes).unwrap();
    assert_eq!((org.ids.as_slice(), next(&mut lanes)), ([1].as_slice(), None));
    lanes.rekey("org", &RowKey::single("new_o"), &RowKey::single("o"));
    lanes.settled(&Work { node: node("org", "o"), ..org }, &[1]);
    let domain = next(&mut lanes).unwrap();
    assert_eq!((domain.ids.as_slice(), &domain.node.1), ([2].as_slice(), &key(&["o", "new_d"])));
    let link = next(&mut lanes).unwrap();
    assert_eq!((link.ids.as_slice(), &link.node.1), ([4].as_slice(), &key(&["o", "u"])));
    assert_eq!(next(&mut lanes), None, "the update waits for its row, the right for the member");
    lanes.rekey("domain", &domain.node.1, &key(&["o", "d"]));
    lanes.settled(&Work { node: ("domain".to_owned(), key(&["o", "d"])), ..domain }, &[2]);
    let update = next(&mut lanes).unwrap();
    assert_eq!((update.ids.as_slice(), &update.node.1), ([3].as_slice(), &key(&["o", "d"])));
    assert_eq!(lanes.dependents(&link.node, 4), [5], "a refused member takes it along");
    lanes.settled(&link, &[4]);
    let last = next(&mut lanes).unwrap();
    assert_eq!((last.ids.as_slice(), &last.node.1), ([5].as_slice(), &key(&["o", "u", "r"])));
    for work in [update, last] {
        lanes.settled(&work, &work.ids);
    }
    assert!(lanes.is_empty() && lanes.lanes.is_empty(), "nothing is left behind");
}

#[test]
fn what_is_compared_or_discarded_shares_no_call() {
    let mut lanes = Lanes::default();
    let terms =
        |n: i64| Terms { checked: n == 2, discarded: (n == 3).then(|| "ada".to_owned()), ..Terms::default() };
    for id in 1..=4 {
        lanes.push(Queued { terms: terms(id), ..queued(id, "user", "a", Operation::Update) });
    }
    for id in 1..=4 {
        let work = next(&mut lanes).unwrap();
        assert_eq!((work.ids.as_slice(), &work.terms), ([id].as_slice(), &terms(id)));
        lanes.settled(&work, &[id]);
    }
}

#[test]
fn what_is_applied_keeps_other_transactions_from_its_row_and_nothing_else() {
    let of = |mut queued: Queued, txid: u64| {
        queued.terms.atomic = Some(Atomic { txid, applied: false, withdrawn: false });
        queued
    };
    let mut lanes = Lanes::default();
    lanes.push(of(queued(1, "org", "o", Operation::Insert), 7));
    lanes.push(of(member(2, "o", "u", Operation::Insert), 7));
    lanes.push(of(queued(3, "org", "o", Operation::Update), 7));
    lanes.push(queued(4, "org", "o", Operation::Update));
    lanes.push(member(5, "o", "v", Operation::Insert));
    let insert = next(&mut lanes).unwrap();
    assert_eq!((insert.ids.as_slice(), next(&mut lanes)), ([1].as_slice(), None));
    lanes.applied(&insert);
    assert_eq!(lanes.len(), 4, "what is applied takes no place");
    let mut left: Vec<Work> = std::iter::from_fn(|| next(&mut lanes)).collect();
    left.sort_by_key(|work| work.ids.clone());
    let ids: Vec<i64> = left.iter().flat_map(|work| work.ids.clone()).collect();
    assert_eq!(ids, [2, 3, 5], "its own transaction goes on, and so does what hangs on the row");
    for work in &left[..2] {
        lanes.applied(work);
    }
    assert_eq!(next(&mut lanes), None, "another transaction waits for the decision");
    lanes.gone(&[1, 2, 3]);
    assert_eq!(next(&mut lanes).unwrap().ids, [4]);
}

#[test]
fn what_goes_while_its_lane_waits_leaves_the_lane_free() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "user", "a", Operation::Update));
    lanes.push(queued(2, "user", "a", Operation::Insert));
    let first = next(&mut lanes).unwrap();
    lanes.put_back(&first, Instant::now() + std::time::Duration::from_secs(60), false);
    assert_eq!(next(&mut lanes), None);
    lanes.gone(&[1]);
    assert_eq!(next(&mut lanes).unwrap().ids, [2]);
    let mut resting = Lanes::default();
    resting.push(queued(1, "user", "a", Operation::Update));
    let work = next(&mut resting).unwrap();
    resting.rest(&work);
    assert_eq!(next(&mut resting), None, "it stays");
}

#[test]
fn what_is_answered_lets_the_next_leave_and_holds_back_no_commit() {
    let mut ledger = crate::ledger::Ledger::default();
    let commits: Vec<Token> = (0..4).map(|lsn| ledger.received(lsn)).collect();
    let mut lanes = Lanes::default();
    for (id, commit) in (1..).zip(&commits) {
        let terms = Terms { checked: true, ..Terms::default() };
        lanes.push(Queued { commit: Some(*commit), terms, ..queued(id, "user", "a", Operation::Update) });
    }
    let (first, again) = (next(&mut lanes).unwrap(), queued(1, "user", "a", Operation::Update));
    assert_eq!(lanes.answered(&first), [commits[0]]);
    assert!(!lanes.push(Queued { commit: Some(commits[3]), ..again }), "no scan waits for it either");
    let second = next(&mut lanes).unwrap();
    assert_eq!(second.ids, [2]);
    assert_eq!(lanes.settled(&first, &[1]), []);
    assert_eq!(next(&mut lanes), None, "the second is under way still");
    assert_eq!(lanes.answered(&second), [commits[1]]);
    let third = next(&mut lanes).unwrap();
    // It could not be settled after all: it is looked at again, in its place.
    lanes.put_back_in_doubt(&second, Instant::now());
    assert_eq!(next(&mut lanes), None);
    assert_eq!(lanes.settled(&third, &[3]), [commits[2]]);
    let second = next(&mut lanes).unwrap();
    assert_eq!((second.ids.as_slice(), second.uncertain), ([2].as_slice(), true));
    lanes.settled(&second, &[2]);
    let fourth = next(&mut lanes).unwrap();
    lanes.settled(&fourth, &[4]);
    assert!(lanes.is_empty() && lanes.lanes.is_empty() && lanes.answered.is_empty());
}

#[test]
fn a_row_without_its_key_is_answered_and_what_hangs_on_it_waits_for_the_key() {
    let mut lanes = Lanes::default();
    lanes.push(queued(1, "org", "new_1", Operation::Insert));
    lanes.push(queued(2, "user", "u", Operation::Insert));
    lanes.push(member(3, "new_1", "u", Operation::Insert));
    lanes.push(member(4, "o", "u", Operation::Insert));
    let (made, given) = (next(&mut lanes).unwrap(), next(&mut lanes).unwrap());
    assert_eq!((made.ids.as_slice(), given.ids.as_slice()), ([1].as_slice(), [2].as_slice()));
    lanes.answered(&made);
    assert_eq!(next(&mut lanes), None);
    lanes.answered(&given);
    assert_eq!(next(&mut lanes).unwrap().ids, [4]);
    assert_eq!(next(&mut lanes), None);
}

#[test]
fn what_is_in_doubt_is_looked_at_as_it_was_sent() {
    let mut lanes = Lanes::default();
    let operations =
        [Operation::Insert, Operation::Update, Operation::Update, Operation::Delete, Operation::Insert];
    for (id, operation) in (1..).zip(operations) {
        lanes.push(Queued { uncertain: true, ..queued(id, "user", "a", operation) });
    }
    for ids in [&[1][..], &[2, 3, 4], &[5]] {
        let work = next(&mut lanes).unwrap();
        assert_eq!(work.ids, ids);
        lanes.settled(&work, ids);
    }
}
