use super::*;
use crate::catalog::RowKey;
use crate::pg::mirror::Operation;
use crate::writeback::lanes::{Next, Terms};

fn insert(id: i64, together: Company) -> Queued {
    Queued {
        id,
        node: ("t".to_owned(), RowKey::single(format!("k{id}"))),
        operation: Operation::Insert,
        references: Vec::new(),
        uncertain: matches!(together, Company::Gone(_)),
        terms: Terms { together: Some(together), ..Terms::default() },
        commit: None,
    }
}

struct Desk {
    lanes: Lanes,
    gather: Gather,
    now: Instant,
}

impl Desk {
    fn of(rows: impl IntoIterator<Item = Queued>) -> Desk {
        let mut desk = Desk { lanes: Lanes::default(), gather: Gather::default(), now: Instant::now() };
        for queued in rows {
            desk.push(queued);
        }
        desk
    }

    fn push(&mut self, queued: Queued) {
        self.lanes.push(queued.clone());
        self.gather.keep(&queued, &mut self.lanes);
    }

    /// An order, two at a time, worth it from three rows on.
    fn order(&mut self) -> Option<Order> {
        self.lanes.end_delays(self.now);
        self.gather.next(&mut self.lanes, &|_| 2, &|_, rows| rows >= 3, self.now)
    }

    fn alone(&mut self) -> Vec<i64> {
        let mut alone = Vec::new();
        while let Next::Work(work) = self.lanes.next(self.now) {
            alone.extend(work.ids);
        }
        alone
    }
}

fn ids(order: Option<Order>) -> Option<Vec<i64>> {
    Some(order?.works.into_iter().flat_map(|work| work.ids).collect())
}

#[test]
fn rows_go_together_where_they_are_many_enough_and_by_themselves_else() {
    let mut desk = Desk::of((1..=2).map(|id| insert(id, Company::IfCheaper)));
    assert_eq!(desk.alone(), [0_i64; 0], "they wait until it is decided");
    assert!(desk.order().is_none());
    assert_eq!(desk.alone(), [1, 2]);
    (3..=5).for_each(|id| desk.push(insert(id, Company::IfCheaper)));
    assert_eq!(ids(desk.order()), Some(vec![3, 4, 5]));
    assert!(desk.alone().is_empty() && desk.gather.is_empty());
}

#[test]
fn one_row_goes_by_import_where_its_client_wants_it_and_takes_no_others_along() {
    let mut desk = Desk::of([insert(1, Company::Always), insert(2, Company::IfCheaper)]);
    assert_eq!(ids(desk.order()), Some(vec![1]));
    assert_eq!(desk.alone(), [2]);
}

#[test]
fn a_third_order_waits_for_the_end_of_one_and_so_do_its_rows() {
    let mut desk = Desk::of((1..=3).map(|id| insert(id, Company::Always)));
    assert_eq!(ids(desk.order()), Some(vec![1, 2, 3]));
    desk.push(insert(4, Company::Always));
    assert_eq!(ids(desk.order()), Some(vec![4]));
    (5..=9).for_each(|id| desk.push(insert(id, Company::IfCheaper)));
    assert!(desk.order().is_none() && desk.alone().is_empty());
    desk.gather.ended("t", None, false, false, desk.now);
    assert_eq!(ids(desk.order()), Some(vec![5, 6, 7, 8, 9]));
}

#[test]
fn what_came_too_early_waits_longer_each_time() {
    let mut desk = Desk::of((1..=3).map(|id| insert(id, Company::Always)));
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let order = desk.order().unwrap();
        desk.gather.ended("t", Some(desk.now), false, false, desk.now);
        for work in order.works {
            let queued = desk.lanes.get(work.ids[0]).cloned().unwrap();
            desk.lanes.put_back(&work, desk.now, false);
            desk.gather.keep(&queued, &mut desk.lanes);
        }
        assert!(desk.order().is_none() && desk.alone().is_empty());
        let at = desk.gather.not_before().unwrap();
        pauses.push((at - desk.now).as_secs());
        desk.now = at;
    }
    assert_eq!(pauses, [1, 2, 4]);
}

#[test]
fn what_has_gone_together_is_taken_up_together_however_many_jobs_there_are() {
    let gone = |id: i64, request: &str| insert(id, Company::Gone(request.to_owned()));
    let mut desk = Desk::of([gone(1, "a"), gone(2, "b"), gone(3, "a"), gone(4, "c")]);
    let mut orders: Vec<_> = std::iter::from_fn(|| desk.order()).collect();
    orders.sort_by_key(|order| order.gone.clone());
    let taken: Vec<_> =
        orders.into_iter().map(|order| (order.gone.clone().unwrap(), ids(Some(order)).unwrap())).collect();
    assert_eq!(taken, [("a".into(), vec![1, 3]), ("b".into(), vec![2]), ("c".into(), vec![4])]);
    assert!(desk.alone().is_empty());
}

#[test]
fn a_row_behind_another_of_its_own_goes_when_that_has_settled() {
    let mut desk = Desk::of([]);
    let mut delete = insert(1, Company::Always);
    delete.node.1 = RowKey::single("k2");
    (delete.operation, delete.terms) = (Operation::Delete, Terms::default());
    desk.push(delete);
    desk.push(insert(2, Company::Always));
    assert!(desk.order().is_none());
    let Next::Work(work) = desk.lanes.next(desk.now) else { panic!("the delete leaves") };
    assert!(desk.order().is_none());
    desk.lanes.settled(&work, &work.ids);
    assert_eq!(ids(desk.order()), Some(vec![2]));
}

#[test]
fn rows_that_no_file_takes_teach_it_to_wait_for_no_more_of_them() {
    let mut desk = Desk::of((1..=3).map(|id| insert(id, Company::IfCheaper)));
    assert!(desk.order().is_some());
    desk.gather.ended("t", None, true, false, desk.now);
    (4..=9).for_each(|id| desk.push(insert(id, Company::IfCheaper)));
    assert!(desk.order().is_none());
    assert_eq!(desk.alone().len(), 6);
    desk.now += UNFIT;
    (10..=13).for_each(|id| desk.push(insert(id, Company::IfCheaper)));
    assert!(desk.order().is_some());
}

#[test]
fn what_is_left_of_many_goes_together_though_it_is_few() {
    let mut desk = Desk::of((1..=5).map(|id| insert(id, Company::IfCheaper)));
    let works = desk.order().unwrap().works;
    for work in &works[3..] {
        desk.lanes.put_back(work, desk.now, false);
        desk.gather.keep_decided(work, &mut desk.lanes);
    }
    let rest = desk.order().unwrap();
    assert!(rest.decided);
    assert_eq!(ids(Some(rest)), Some(vec![4, 5]));
}

#[test]
fn after_a_stop_what_had_come_with_an_import_goes_together_too() {
    let mut desk = Desk::of([insert(1, Company::Gone("a".to_owned())), insert(2, Company::IfCheaper)]);
    assert_eq!(ids(desk.order()), Some(vec![1]));
    assert_eq!(ids(desk.order()), Some(vec![2]));
}
