//! What the commands share that ask the running service for something: which tables it is about, and
//! waiting for the service. It never reads Auth0.

use std::time::{Duration, Instant};

use crate::pg::{Database, fault};
use crate::{Error, Kind, Result};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The service may be away for so long before it counts as stopped: its stream reconnects.
const AWAY: Duration = Duration::from_secs(10);

/// Whether the tables that somebody has named are there.
///
/// # Errors
/// `config`, listing those that are.
pub(super) fn check(named: &[String], there: &[String]) -> Result<()> {
    match named.iter().find(|table| !there.contains(table)) {
        None => Ok(()),
        Some(unknown) => {
            let what = format!("there is no table {unknown}; tables: {}", there.join(", "));
            Err(Error::new(Kind::Config, what))
        }
    }
}

/// Waits until the service has done what it was asked for: `look` shows what is new and returns the
/// tables that are still open. `does` is what the service will do with these once it runs: "fills".
///
/// # Errors
/// What `look` returns; `setup_check` where no service runs.
pub(super) async fn wait(
    database: &Database,
    slot: &str,
    does: &str,
    mut look: impl AsyncFnMut() -> Result<Vec<String>>,
) -> Result<()> {
    let mut seen = None;
    loop {
        let open = look().await?;
        if open.is_empty() {
            return Ok(());
        }
        if serves(database, slot).await? {
            seen = Some(Instant::now());
        } else if seen.is_none_or(|seen: Instant| seen.elapsed() > AWAY) {
            let open = open.join(", ");
            let what = format!("no service runs here; start `auth0-sync run`, and it {does} {open}");
            return Err(Error::new(Kind::SetupCheck, what));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a service streams from the slot.
pub(super) async fn serves(database: &Database, slot: &str) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_replication_slots where slot_name = $1 and active)",
    )
    .bind(slot)
    .fetch_one(&database.pool)
    .await
    .map_err(fault("cannot look for the service"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_not_there_is_told_with_those_that_are() {
        let [user, role] = ["user", "role"].map(str::to_owned);
        let there = [user.clone(), role.clone()];
        assert!(check(&[], &there).is_ok() && check(&[role], &there).is_ok());
        let error = check(&[user, "users".to_owned()], &there).unwrap_err();
        assert_eq!(error.to_string(), "there is no table users; tables: user, role");
    }
}
