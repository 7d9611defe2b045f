//! Settles many works in one transaction, by the same decisions as one: those whose rows are there, are free, stay,
//! and keep their keys. Whatever is otherwise, and everything where the transaction fails, is left to be settled
//! alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::call::Verdict;
use super::lanes::{Node, Work};
use super::settle::{are_ours, keep, told, write_down};
use super::settlement::{Note, Settled, Settlement, notes, settlement};
use super::store::Store;
use crate::catalog::{Catalog, Resource, RowKey, Target};
use crate::error::Result;
use crate::pg::mirror::{LockedRow, LockedRows, Operation, Row, rebase_from};

/// A work and its verdict, and what else is to be read.
#[derive(Clone)]
pub(super) struct Judged {
    work: Work,
    verdict: Verdict,
    also: Vec<Target>,
}

/// Settles `work` with others that come at the same time; none where it is to be settled alone.
pub(super) async fn together(
    store: &Store,
    catalog: &Arc<Catalog>,
    work: &Work,
    verdict: &Verdict,
    also: &[Target],
) -> Option<Settled> {
    if !may_go(work) {
        return None;
    }
    let judged = Judged { work: work.clone(), verdict: verdict.clone(), also: also.to_vec() };
    let group = |all| settle_all(store.clone(), Arc::clone(catalog), all);
    store.settlements.run(judged, group).await.flatten()
}

/// What became of each, in their order.
async fn settle_all(store: Store, catalog: Arc<Catalog>, all: Vec<Judged>) -> Vec<Option<Settled>> {
    let mut settled: Vec<Option<Settled>> = all.iter().map(|_| None).collect();
    let (mut tables, mut seen) = (BTreeMap::<String, (Vec<usize>, Vec<Judged>)>::new(), HashSet::new());
    for (place, judged) in all.into_iter().enumerate() {
        if seen.insert(judged.work.node.clone()) {
            let (places, of_table) = tables.entry(judged.work.node.0.clone()).or_default();
            places.push(place);
            of_table.push(judged);
        }
    }
    for (table, (places, of_table)) in tables {
        match Box::pin(settle_table(&store, &catalog, &table, of_table)).await {
            Ok(done) => {
                for (place, done) in places.into_iter().zip(done) {
                    if let Some(there) = settled.get_mut(place) {
                        *there = done;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, table, "mutations are settled one by one"),
        }
    }
    settled
}

async fn settle_table(
    store: &Store,
    catalog: &Catalog,
    table: &str,
    judged: Vec<Judged>,
) -> Result<Vec<Option<Settled>>> {
    let resource = catalog.resource(table)?;
    let nodes: Vec<Node> = judged.iter().map(|judged| judged.work.node.clone()).collect();
    let keys: Vec<&RowKey> = nodes.iter().map(|(_, key)| key).collect();
    let mut locked = LockedRows::take(&store.together, &store.schema, resource, &keys).await?;
    let (mut done, mut all) = (Vec::new(), Vec::new());
    for (place, Judged { work, verdict, also }) in judged.into_iter().enumerate() {
        let decided = locked.row(place).and_then(|row| Some((row, outcome(resource, &work, verdict, row)?)));
        let Some((row, mut outcome)) = decided else {
            done.push(None);
            continue;
        };
        all.extend(told(store, resource, &work.node.1, &row.unsettled, outcome.notes));
        locked.change(place, &outcome.visible, outcome.befores);
        outcome.settled.also.extend(also);
        done.push(Some(outcome.settled));
    }
    if !all.is_empty() {
        let along = locked.write().await?;
        write_down(store, &mut locked.transaction, all, along).await?;
        let settled = nodes.iter().zip(&mut done).filter_map(|(node, done)| Some((node, done.as_mut()?)));
        keep(store, catalog, &mut locked.transaction, settled).await?;
        locked.commit().await?;
    }
    Ok(done)
}

/// Whether a work may settle with others. Of a delete the row has gone here already: there is nothing to lock;
/// and of a transaction that is all or nothing more is looked at than the row.
pub(super) fn may_go(work: &Work) -> bool {
    work.operation != Operation::Delete && work.terms.atomic.is_none()
}

/// What is to be written.
pub(super) struct Outcome {
    /// The row.
    pub(super) visible: Row,
    /// The changed `before`s.
    pub(super) befores: Vec<(i64, Row)>,
    /// How each mutation ends.
    pub(super) notes: Vec<Note>,
    /// What follows.
    pub(super) settled: Settled,
}

/// The outcome of a work whose row is there; none where it is to be settled alone. Pure.
pub(super) fn outcome(
    resource: &Resource,
    work: &Work,
    verdict: Verdict,
    row: &LockedRow,
) -> Option<Outcome> {
    let undecided = row.unsettled.iter().any(|pending| pending.atomic);
    if !may_go(work) || undecided || !are_ours(work, &row.unsettled) {
        return None;
    }
    let base = row.base(resource);
    let meant = settlement(resource, work, verdict, base.as_ref());
    let Settlement { news, mut settled, error } = meant;
    if settled.rekeyed.is_some() {
        return None;
    }
    let rebased = rebase_from(resource, base, &row.unsettled, news);
    let visible = rebased.visible.filter(|_| rebased.base.is_some())?;
    if RowKey::of(resource, &visible).as_ref() != Some(&work.node.1) {
        return None;
    }
    let notes = notes(work, error.as_ref(), &rebased.cancelled);
    settled.ids = notes.iter().map(|(id, ..)| *id).collect();
    Some(Outcome { visible, befores: rebased.befores, notes, settled })
}
