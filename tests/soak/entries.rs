//! What became of each entry of a diary, by its mutations and by Auth0's own log of writes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diary::{Diary, Promise};
use crate::support::Stand;

/// One write of an entry at Auth0.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) entry: u64,
    pub(crate) request_id: String,
}

/// One mutation that writes an entry.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) entry: u64,
    pub(crate) state: &'static str,
    pub(crate) request_id: String,
    pub(crate) discarded: bool,
}

impl Mutation {
    fn is_sent(&self) -> bool {
        self.state == "confirmed" || self.state == "merged"
    }
}

/// What has become of a diary.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// In the order of Auth0's log.
    pub(crate) written: Vec<Written>,
    /// In the order of their ids.
    pub(crate) mutations: Vec<Mutation>,
    /// What Auth0 has.
    pub(crate) stands: Option<u64>,
}

fn entry_of(value: &Value) -> Option<u64> {
    value.as_str()?.strip_prefix('e')?.parse().ok()
}

/// Entries that were written to a user, in order, by the tenant log.
fn written(log: &[Value], user: &str) -> Vec<Written> {
    let path = format!("/users/{user}");
    let entries = log.iter().filter_map(|line| {
        let request = &line["details"]["request"];
        let here = request["path"].as_str()?.replace("%7C", "|").ends_with(&path);
        let entry =
            entry_of(&request["body"]["nickname"]).filter(|_| here && request["method"] == "patch")?;
        let request_id = line["references"]["correlation_id"].as_str().unwrap_or_default().to_owned();
        Some(Written { entry, request_id })
    });
    entries.collect()
}

async fn mutations(stand: &Stand, user: &str) -> Vec<Mutation> {
    let sql = format!(
        "select after -> 'nickname' as entry, state, request_id, error ->> 'kind' as kind from auth0._sync_cdc \
         where \"table\" = 'user' and operation = 'UPDATE' and after ? 'nickname' and key ->> 'user_id' = '{user}' order by id"
    );
    let rows = stand.root().await.rows(&sql).await;
    let state = |value: &Value| {
        let known = ["confirmed", "merged", "reverted", "cancelled"];
        known.into_iter().find(|state| value == state).unwrap_or("unsettled")
    };
    let mutation = |row: &Value| Mutation {
        entry: entry_of(&row["entry"]).unwrap(),
        state: state(&row["state"]),
        request_id: row["request_id"].as_str().unwrap_or_default().to_owned(),
        discarded: row["kind"] == "discarded",
    };
    rows.iter().map(mutation).collect()
}

/// What has become of a diary, by the database and by Auth0's log and state.
pub(crate) async fn told(stand: &Stand, log: &[Value], state: &Value, diary: &Diary) -> Told {
    let user = &diary.user;
    let row = state["user"].as_array().unwrap().iter().find(|row| row["user_id"] == user.as_str());
    Told {
        written: written(log, user),
        mutations: mutations(stand, user).await,
        stands: row.and_then(|row| entry_of(&row["nickname"])),
    }
}

/// No entry that was committed is lost or has come back, none that was refused is anywhere, each was
/// written at Auth0 once, in order, and the last one stands. An error says what is not so.
pub(crate) fn judge(diary: &Diary, told: &Told) -> Result<(), String> {
    let Diary { user, strict, ordered, entries } = diary;
    let Told { written, mutations, stands } = told;
    let holds = |holds: bool, what: String| if holds { Ok(()) } else { Err(format!("{user}: {what}")) };
    for (entry, promise) in entries {
        let of: Vec<_> = mutations.iter().filter(|mutation| mutation.entry == *entry).collect();
        let kept = match promise {
            Promise::Kept => !of.is_empty(),
            Promise::Sent => of.iter().any(|mutation| mutation.is_sent()),
            Promise::Discarded => of.first().is_some_and(|first| first.discarded),
            Promise::Refused => of.is_empty(),
            Promise::Open => true,
        };
        holds(kept, format!("entry {entry} is {promise:?} to its client, and its mutations are {of:?}"))?;
    }
    for mutation in mutations {
        let fine = mutation.is_sent() || mutation.discarded;
        holds(fine, format!("nobody refuses entry {}, and it is {}", mutation.entry, mutation.state))?;
    }
    let order: Vec<_> = written.iter().map(|write| write.entry).collect();
    if *strict {
        // What was taken back is written again; the calls of the statements themselves were made once.
        let wanted: Vec<_> = mutations.iter().map(|mutation| &mutation.request_id).collect();
        let called = |write: &&Written| wanted.contains(&&write.request_id);
        let calls: Vec<_> = written.iter().filter(called).map(|write| &write.request_id).collect();
        holds(calls == wanted, format!("committed {mutations:?}, called {written:?}"))?;
    } else {
        // One that is sent together with a later one is not seen, unless it had been sent before and its
        // answer was lost.
        let mut times = BTreeMap::<u64, [u32; 3]>::new();
        written.iter().for_each(|write| times.entry(write.entry).or_default()[0] += 1);
        // What stood there already need not be written again where its request was lost: reading back finds it.
        let mut before = None;
        for mutation in mutations.iter().filter(|mutation| mutation.is_sent()) {
            let called = written.iter().any(|write| write.request_id == mutation.request_id);
            let stood = !called && before == Some(mutation.entry);
            let place = if mutation.state == "confirmed" { 1 } else { 2 };
            times.entry(mutation.entry).or_default()[place] += u32::from(!stood);
            before = Some(mutation.entry);
        }
        times
            .retain(|_, [written, confirmed, merged]| !(*confirmed..=*confirmed + *merged).contains(written));
        let what = format!(
            "how often entries were written, confirmed, merged: {times:?}, in {order:?}, by {mutations:?}, written {written:?}"
        );
        holds(times.is_empty(), what)?;
    }
    if *ordered && !*strict {
        holds(order.is_sorted_by(|one, next| one < next), format!("out of order: {order:?}"))?;
    }
    let last =
        mutations.iter().rev().find(|mutation| mutation.is_sent()).map_or(0, |mutation| mutation.entry);
    holds(
        *stands == Some(last),
        format!("Auth0 has {stands:?}, and the last one that was committed is {last}"),
    )
}
