//! What became of each entry of a diary, by its mutations and by Auth0's own log of writes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diary::{Diary, Promise};
use crate::support::Stand;

/// One write of an entry at Auth0.
struct Written<'a> {
    entry: u64,
    request_id: &'a str,
}

/// One mutation that writes an entry.
struct Mutation {
    entry: u64,
    state: String,
    request_id: String,
    discarded: bool,
}

impl Mutation {
    fn is_sent(&self) -> bool {
        self.state == "confirmed" || self.state == "merged"
    }
}

fn entry_of(value: &Value) -> Option<u64> {
    value.as_str()?.strip_prefix('e')?.parse().ok()
}

/// Entries that were written to a user, in order, by the tenant log.
fn written<'a>(log: &'a [Value], user: &str) -> Vec<Written<'a>> {
    let path = format!("/users/{user}");
    let entries = log.iter().filter_map(|line| {
        let request = &line["details"]["request"];
        let here = request["path"].as_str()?.replace("%7C", "|").ends_with(&path);
        let entry =
            entry_of(&request["body"]["nickname"]).filter(|_| here && request["method"] == "patch")?;
        Some(Written { entry, request_id: line["references"]["correlation_id"].as_str().unwrap_or_default() })
    });
    entries.collect()
}

async fn mutations(stand: &Stand, user: &str) -> Vec<Mutation> {
    let sql = format!(
        "select after -> 'nickname' as entry, state, request_id, error ->> 'kind' as kind from auth0._sync_cdc \
         where \"table\" = 'user' and operation = 'UPDATE' and after ? 'nickname' and key ->> 'user_id' = '{user}' order by id"
    );
    let rows = stand.root().await.rows(&sql).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mutation = |row: &Value| Mutation {
        entry: entry_of(&row["entry"]).unwrap(),
        state: text(&row["state"]),
        request_id: text(&row["request_id"]),
        discarded: row["kind"] == "discarded",
    };
    rows.iter().map(mutation).collect()
}

/// No entry that was committed is lost or has come back, none that was refused is anywhere, each was
/// written at Auth0 once, in order, and the last one stands.
pub(crate) async fn once(stand: &Stand, log: &[Value], state: &Value, diary: &Diary) {
    let Diary { user, strict, ordered, entries } = diary;
    let (written, mutations) = (written(log, user), mutations(stand, user).await);
    let of = |entry: u64| mutations.iter().filter(move |mutation| mutation.entry == entry);
    for (entry, promise) in entries {
        let what = || {
            let states: Vec<_> = of(*entry).map(|mutation| mutation.state.as_str()).collect();
            format!("{user}: entry {entry} is {promise:?} to its client, its mutations are {states:?}")
        };
        match promise {
            Promise::Kept => assert!(of(*entry).next().is_some(), "{}", what()),
            Promise::Sent => assert!(of(*entry).any(Mutation::is_sent), "{}", what()),
            Promise::Discarded => {
                assert!(of(*entry).next().is_some_and(|first| first.discarded), "{}", what())
            }
            Promise::Refused => assert!(of(*entry).next().is_none(), "{}", what()),
            Promise::Open => {}
        }
    }
    for mutation in &mutations {
        assert!(
            mutation.is_sent() || mutation.discarded,
            "{user}: nobody refuses entry {}, and it is {}",
            mutation.entry,
            mutation.state
        );
    }
    if *strict {
        // What was taken back is written again; the calls of the statements themselves were made once.
        let mut calls: Vec<&str> = Vec::new();
        for mutation in &mutations {
            calls.extend(
                written
                    .iter()
                    .filter(|write| write.request_id == mutation.request_id)
                    .map(|write| write.request_id),
            );
        }
        let wanted: Vec<_> = mutations.iter().map(|mutation| mutation.request_id.as_str()).collect();
        assert_eq!(calls, wanted, "{user}: each statement that was committed was called once");
        let places = wanted.iter().map(|id| written.iter().position(|write| write.request_id == *id));
        assert!(places.is_sorted(), "{user}: in the order of their commits");
    } else {
        // One that is sent together with a later one is not seen, unless it had been sent before and its
        // answer was lost.
        let mut times = BTreeMap::<u64, [u32; 3]>::new();
        written.iter().for_each(|write| times.entry(write.entry).or_default()[0] += 1);
        for mutation in &mutations {
            let place = if mutation.state == "confirmed" { 1 } else { 2 };
            times.entry(mutation.entry).or_default()[place] += u32::from(mutation.is_sent());
        }
        times
            .retain(|_, [written, confirmed, merged]| !(*confirmed..=*confirmed + *merged).contains(written));
        assert!(times.is_empty(), "{user}: how often entries were written, confirmed, merged: {times:?}");
    }
    if *ordered && !*strict {
        let order: Vec<_> = written.iter().map(|write| write.entry).collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{user}: out of order: {order:?}");
    }
    let last =
        mutations.iter().rev().find(|mutation| mutation.is_sent()).map_or(0, |mutation| mutation.entry);
    let row = state["user"].as_array().unwrap().iter().find(|row| row["user_id"] == user.as_str()).unwrap();
    assert_eq!(entry_of(&row["nickname"]), Some(last), "{user}: the last entry that was committed");
}
