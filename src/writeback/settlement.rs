//! What a final outcome means for its row and its mutations, pure.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::atomic::Fate;
use super::call::Verdict;
use super::lanes::{Node, Work};
use crate::auth0::Refusal;
use crate::catalog::{Catalog, ColumnType, NewKey, Resource, ResourceKind, RowKey, Target};
use crate::error::Kind;
use crate::pg::mirror::{News, Operation, Row, described, version_order};
use crate::pg::to_read::ToRead;

/// What settling did.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Mutations of the row that have settled, those that were cancelled included.
    pub ids: Vec<i64>,
    /// The key that Auth0 made, where it replaced a provisional one.
    pub rekeyed: Option<RowKey>,
    /// The row was inserted by a client and refused: what hangs on it cannot go either.
    pub orphans: bool,
    /// The table may show less than Auth0 has: the row should be read.
    pub read_again: bool,
    /// Auth0 has decided; else nothing was asked of it.
    pub answered: bool,
    /// Auth0 has deleted the row for us.
    pub gone: bool,
    /// What else should be read.
    pub also: Vec<Target>,
    /// All that should be read, as it was kept with the settlement; more, where that was learned after it.
    pub to_read: Vec<ToRead>,
    /// Auth0 has the mutation, and its transaction is not decided: it has not settled.
    pub applied: bool,
    /// What has become of transactions that are all or nothing, of which mutations have settled.
    pub fates: Vec<(u64, Fate)>,
}

impl Settled {
    /// What is to be read because of it; the row had the key of `node` before.
    pub(super) fn targets(&self, catalog: &Catalog, node: &Node) -> Vec<Target> {
        let (table, key) = (&node.0, self.rekeyed.as_ref().unwrap_or(&node.1));
        let row = Target::suspected(catalog, table, key.clone()).filter(|_| self.read_again);
        let gone = catalog.get(table).filter(|_| self.gone).into_iter();
        let mut targets: Vec<Target> = row.into_iter().chain(gone.flat_map(Target::taken_along)).collect();
        targets.extend(self.also.iter().cloned());
        targets
    }
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Settlement {
    /// For the row, under the key that Auth0 made where there is one.
    pub news: News,
    /// For the dispatcher.
    pub settled: Settled,
    /// For the mutations that the work is made of; none where Auth0 has taken it.
    pub error: Option<Value>,
}

/// The state of a mutation that Auth0 has, of a transaction that is not decided.
pub(super) const APPLIED: &str = "applied";

/// What becomes of a mutation: its id, its state, and why.
pub(super) type Note = (i64, &'static str, Option<Value>);

/// What reverting `work` without a call has done, with those of its row that could not stay either. Auth0 has
/// not been asked: what is put back may have gone with another row meanwhile.
pub(super) fn cancelled(resource: &Resource, work: &Work, with: &[i64]) -> Settled {
    let others = with.iter().filter(|id| !work.ids.contains(id));
    Settled {
        ids: work.ids.iter().chain(others).copied().collect(),
        orphans: work.operation == Operation::Insert,
        read_again: work.operation != Operation::Insert && resource.kind.is_read(),
        ..Settled::default()
    }
}

/// What settling has done that was committed without anybody hearing of it; the row has `key` by now.
/// What was to be read is kept, and is asked for by whoever looks there.
pub(super) fn unheard(work: &Work, key: RowKey, reverted: bool) -> Settled {
    Settled {
        ids: work.ids.clone(),
        rekeyed: Some(key).filter(|key| *key != work.node.1),
        orphans: reverted && work.operation == Operation::Insert,
        ..Settled::default()
    }
}

/// Whether Auth0 has no such row by this verdict, so that what hangs on it has gone too.
pub(super) fn takes_away(work: &Work, verdict: &Verdict) -> bool {
    match (work.operation, verdict) {
        (Operation::Insert, Verdict::Applied(_) | Verdict::Gone) => false,
        (Operation::Insert, _) => true,
        (Operation::Update, Verdict::Refused(refusal)) => refusal.status == 404,
        (Operation::Update, _) => false,
        (Operation::Delete, verdict) => matches!(verdict, Verdict::Applied(_) | Verdict::Gone),
    }
}

/// Whether the row may have gone between Auth0's answer and its settling, by itself or with another.
pub(super) fn may_have_gone(work: &Work, resource: &Resource) -> bool {
    work.operation != Operation::Delete && resource.kind.is_read()
}

/// The key that Auth0 has made for a new row, where it is another than the client's.
pub(super) fn made_key(resource: &Resource, work: &Work, verdict: &Verdict) -> Option<RowKey> {
    let Verdict::Applied(Some(row)) = verdict else { return None };
    RowKey::of(resource, row).filter(|made| work.operation == Operation::Insert && *made != work.node.1)
}

/// What a verdict on `work` means; `base` is the row as Auth0 last told it.
pub(super) fn settlement(
    resource: &Resource,
    work: &Work,
    verdict: Verdict,
    base: Option<&Row>,
) -> Settlement {
    let table = &work.node.0;
    let ids = work.ids.clone();
    let mut settled = Settled { ids: ids.clone(), ..Settled::default() };
    let error = error_of(&verdict);
    let made = made_key(resource, work, &verdict);
    let partly = matches!(verdict, Verdict::PartlyRefused(_));
    let conflict = matches!(verdict, Verdict::Unfit { kind: Kind::Conflict, .. });
    settled.gone = error.is_none() && work.operation == Operation::Delete && resource.kind.is_read();
    // Auth0 has nothing to say to it; what is listed below it is to be read.
    settled.read_again = resource.kind == ResourceKind::Watch;
    let news = match verdict {
        Verdict::Applied(answer) => {
            let row = answer.filter(|_| work.operation != Operation::Delete);
            settled.rekeyed = made;
            settled.read_again |= leaves_open(resource, work.operation, row.as_ref());
            let nameless = resource.new_key == NewKey::Server && work.operation == Operation::Insert;
            if nameless && settled.rekeyed.is_none() {
                // Auth0 has the row under a key that nobody knows: reading brings it, and this one goes.
                settled.orphans = true;
                settled.also.push(Target::Table { table: table.clone() });
                News::Dropped { ids }
            } else {
                settled.read_again |= is_undecided(resource, base, row.as_ref());
                applied(resource, base, ids, row)
            }
        }
        Verdict::Gone => News::Applied { ids, answer: None },
        Verdict::Refused(refusal) | Verdict::PartlyRefused(refusal) => {
            settled.orphans = work.operation == Operation::Insert;
            // A conflict says that Auth0 has something that the table does not show.
            settled.read_again = matches!(refusal.status, 404 | 409) || partly;
            match (refusal.status, work.operation) {
                (404, Operation::Update) => News::Absent,
                _ => News::Dropped { ids },
            }
        }
        Verdict::Lost | Verdict::Unfit { .. } => {
            settled.orphans = work.operation == Operation::Insert;
            // Auth0 has not been asked: what is put back may have gone with another row meanwhile.
            settled.read_again = conflict || (work.operation != Operation::Insert && resource.kind.is_read());
            News::Dropped { ids }
        }
    };
    Settlement { news, settled, error }
}

/// By Auth0's own time: an answer older than the base settles the mutation with the base's values.
fn applied(resource: &Resource, base: Option<&Row>, ids: Vec<i64>, row: Option<Row>) -> News {
    match version_order(resource, row.as_ref(), base) {
        Some(Ordering::Less) => News::Dropped { ids },
        _ => News::Applied { ids, answer: row },
    }
}

/// Whether Auth0 has changed the row twice at the same time by its clock: the base, which was read, may be
/// what came before the answer or after it.
fn is_undecided(resource: &Resource, base: Option<&Row>, row: Option<&Row>) -> bool {
    let counts = |name: &str| {
        let column = resource.columns.get(name);
        column.is_none_or(|column| column.kind != ColumnType::Timestamptz && !column.kept)
    };
    let differs = |row: &Row, base: &Row| {
        described(resource)
            .filter(|name| counts(name))
            .any(|name| row.get(name).unwrap_or(&Value::Null) != base.get(name).unwrap_or(&Value::Null))
    };
    version_order(resource, row, base) == Some(Ordering::Equal)
        && row.zip(base).is_some_and(|(row, base)| differs(row, base))
}

/// Whether the table may show less than Auth0 has, or Auth0 is still at work.
pub(super) fn leaves_open(resource: &Resource, operation: Operation, row: Option<&Row>) -> bool {
    let settling = resource.settling.as_ref().is_some_and(|settling| {
        let value = row.and_then(|row| row.get(&settling.column)).and_then(Value::as_str);
        value.is_some_and(|value| settling.values.iter().any(|busy| busy == value))
    });
    // Only a list shows such a row whole, or its place among the others.
    let listed = resource.get.is_none() && operation == Operation::Update;
    settling || listed || resource.replace.is_some()
}

/// What is told of the mutations of `work`, and of those that the news `cancelled`.
pub(super) fn notes(work: &Work, error: Option<&Value>, cancelled: &[i64]) -> Vec<Note> {
    let state = |id: &i64| match (error, Some(id) == work.ids.last()) {
        (Some(_), _) => "reverted",
        (None, true) if work.terms.atomic.is_some() => APPLIED,
        (None, true) => "confirmed",
        (None, false) => "merged",
    };
    let mut notes: Vec<Note> = work.ids.iter().map(|id| (*id, state(id), error.cloned())).collect();
    let lost = || json!({"kind": "cancelled", "message": "the row that it changes is not there", "after": work.ids.last()});
    let others = cancelled.iter().filter(|id| !work.ids.contains(id));
    notes.extend(others.map(|id| (*id, "cancelled", Some(lost()))));
    notes
}

/// What `_sync_cdc.error` holds of a verdict; none where Auth0 has taken it.
pub(super) fn error_of(verdict: &Verdict) -> Option<Value> {
    match verdict {
        Verdict::Applied(_) | Verdict::Gone => None,
        Verdict::Refused(refusal) | Verdict::PartlyRefused(refusal) => Some(refusal_json(refusal)),
        Verdict::Lost => Some(json!({
            "kind": "outcome_unknown",
            "message": "the answer was lost: the call may have run, and is not made again",
        })),
        Verdict::Unfit { kind, message } => Some(json!({ "kind": kind.as_str(), "message": message })),
    }
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "kind": refusal.kind().as_str(),
        "status": refusal.status,
        "error": refusal.error,
        "message": refusal.message,
        "errorCode": refusal.error_code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_at_the_same_moment_is_undecided_whichever_side_has_it() {
        let catalog = Catalog::bundled().unwrap();
        let resource = catalog.resource("user").unwrap();
        let row = |nickname: Value, second: u32| {
            let row = json!({"user_id": "auth0|a", "nickname": nickname, "updated_at": format!("2026-01-01T00:00:0{second}Z")});
            row.as_object().cloned().unwrap()
        };
        let (with, without) = (row(json!("n"), 1), row(Value::Null, 1));
        let undecided = |row: &Row, base: &Row| is_undecided(resource, Some(base), Some(row));
        assert!(undecided(&with, &without) && undecided(&without, &with));
        assert!(!undecided(&with, &with) && !undecided(&with, &row(Value::Null, 2)));
        let absent = without.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        assert!(!undecided(&without, &absent) && undecided(&absent, &with));
    }
}
