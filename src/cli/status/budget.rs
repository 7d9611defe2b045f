//! What the budget of the API shows: calls of today and of the last 24 hours from the database, and
//! the buckets of a running service.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sqlx::{PgConnection, Row};

use crate::auth0::Lane;
use crate::error::Result;
use crate::pg::fault;

/// Calls by what they were for, the newest at most a minute old: `{"today": {lane: n}, "day": {lane: n},
/// "throttled": n}`; `day` and `throttled` are of the last 24 hours.
pub(super) async fn calls(connection: &mut PgConnection, schema: &str) -> Result<Value> {
    let rows = match sqlx::query(include_str!("../sql/calls.sql")).bind(schema).fetch_all(connection).await {
        // undefined_table: setup of an older version.
        Err(error) if crate::pg::sqlstate(&error).as_deref() == Some("42P01") => Vec::new(),
        rows => rows.map_err(fault("cannot read the count of calls"))?,
    };
    let (mut today, mut day, mut throttled) = (Map::new(), Map::new(), 0);
    for row in &rows {
        let lane: String = row.get(0);
        today.insert(lane.clone(), json!(row.get::<i64, _>(1)));
        day.insert(lane, json!(row.get::<i64, _>(2)));
        throttled += row.get::<i64, _>(3);
    }
    Ok(json!({"today": today, "day": day, "throttled": throttled}))
}

/// Both as people read them.
pub(super) fn listing(text: &mut String, budget: &Value, calls: &Value) {
    let by_lane = |counts: &Value| {
        let count = |name: &str| counts[name].as_u64().unwrap_or(0);
        let lanes = Lane::ALL.iter().map(|lane| lane.as_str()).filter(|lane| count(lane) > 0);
        let parts: Vec<_> = lanes.clone().map(|lane| format!("{} {lane}", count(lane))).collect();
        (lanes.map(count).sum::<u64>(), parts.join(", "))
    };
    let ((today, _), (day, lanes)) = (by_lane(&calls["today"]), by_lane(&calls["day"]));
    let lanes = if lanes.is_empty() { String::new() } else { format!(" ({lanes})") };
    let throttled = calls["throttled"].as_i64().unwrap_or(0);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "calls      {today} today; {day} in 24 hours{lanes}, {throttled} of them answered 429"
    );
    if !budget.is_object() {
        return;
    }
    let reserve = &budget["reserve_percent"];
    let _ = match budget["plan"].as_str() {
        Some(plan) => writeln!(text, "budget     plan {plan}, {reserve} % left to others"),
        None => {
            writeln!(text, "budget     no plan is configured: Auth0's answers tell the limits (auth0.plan)")
        }
    };
    if let Some(seconds) = budget["held_seconds"].as_f64() {
        let _ = writeln!(text, "           Auth0 has refused calls: all wait {seconds:.0} s");
    }
    for bucket in budget["buckets"].as_array().into_iter().flatten() {
        let name = bucket["name"].as_str().unwrap_or_default();
        let rate = bucket["per_minute"].as_f64().map(|rate| format!(" ({rate:.0} a minute)"));
        let (available, used) = (&bucket["available"], &bucket["used_last_minute"]);
        let mut line = format!(
            "  {name}: {available} of {} free{}, {used} used in the last minute",
            bucket["limit"],
            rate.unwrap_or_default()
        );
        if let (waiting @ 1.., lanes) = by_lane(&bucket["waiting"]) {
            let _ = write!(line, ", {waiting} wait ({lanes})");
        }
        if let Some(seconds) = bucket["held_seconds"].as_f64() {
            let _ = write!(line, ", held for {seconds:.0} s");
        }
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_says_what_is_free_and_what_waits_for_it() {
        let calls =
            json!({"today": {"write": 2, "token": 9}, "day": {"write": 2, "refetch": 40}, "throttled": 1});
        let waiting = json!({"write": 1, "refetch": 0, "sweep": 0, "backfill": 11});
        let bucket = json!({"name": "whole", "limit": 2, "per_minute": 120.0, "available": 0,
            "used_last_minute": 96, "waiting": waiting, "held_seconds": 1.6, "throttled": 1});
        let budget =
            json!({"plan": "free", "reserve_percent": 20, "buckets": [bucket], "held_seconds": null});
        let mut text = String::new();
        listing(&mut text, &budget, &calls);
        assert_eq!(
            text,
            "calls      2 today; 42 in 24 hours (2 write, 40 refetch), 1 of them answered 429\n\
             budget     plan free, 20 % left to others\n  \
             whole: 0 of 2 free (120 a minute), 96 used in the last minute, 12 wait (1 write, 11 backfill), held for 2 s\n"
        );
    }
}
