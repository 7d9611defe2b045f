//! Writes down how many calls to Auth0 were made, by what they were for. The figures are for people:
//! what a crash cuts off is at most a minute's.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth0::{Budget, Calls, Lane};
use crate::error::Result;
use crate::pg::{Database, fault};

/// How often they are written down.
const EVERY: Duration = Duration::from_secs(60);
/// Requests to the token endpoint stand beside the lanes under this name.
const TOKEN: &str = "token";

/// Writes the counts once a minute and at the end.
pub(super) async fn count_calls(
    database: Database,
    schema: String,
    budget: Budget,
    shutdown: CancellationToken,
) -> Result<()> {
    let mut written = Calls::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        let calls = budget.calls();
        match write(&database, &schema, &since(&written, &calls)).await {
            Ok(()) => written = calls,
            Err(error) => tracing::warn!(%error, "the calls to Auth0 could not be counted yet"),
        }
        if shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// What has come since: lane, calls, those that were answered 429; only lanes with calls.
fn since(before: &Calls, now: &Calls) -> Vec<(&'static str, i64, i64)> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let lanes = Lane::ALL.iter().enumerate().map(|(n, lane)| {
        let calls = now.by_lane[n] - before.by_lane[n];
        (lane.as_str(), signed(calls), signed(now.throttled[n] - before.throttled[n]))
    });
    let tokens = (TOKEN, signed(now.tokens - before.tokens), 0);
    lanes.chain([tokens]).filter(|(_, calls, _)| *calls > 0).collect()
}

async fn write(database: &Database, schema: &str, made: &[(&str, i64, i64)]) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let failed = || fault("cannot count the calls to Auth0");
    sqlx::query(include_str!("sql/count_calls.sql"))
        .bind(schema)
        .bind(made.iter().map(|(lane, _, _)| (*lane).to_owned()).collect::<Vec<_>>())
        .bind(made.iter().map(|(_, calls, _)| *calls).collect::<Vec<_>>())
        .bind(made.iter().map(|(_, _, throttled)| *throttled).collect::<Vec<_>>())
        .execute(&database.pool)
        .await
        .map_err(failed())?;
    sqlx::query(include_str!("sql/forget_calls.sql"))
        .bind(schema)
        .execute(&database.pool)
        .await
        .map_err(failed())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_come_since_is_written() {
        let before = Calls { by_lane: [1, 2, 0, 3], throttled: [0, 1, 0, 0], tokens: 1 };
        let now = Calls { by_lane: [4, 2, 0, 5], throttled: [1, 1, 0, 0], tokens: 2 };
        assert_eq!(since(&before, &now), [("write", 3, 1), ("backfill", 2, 0), ("token", 1, 0)]);
        assert_eq!(since(&now, &now), []);
    }
}
