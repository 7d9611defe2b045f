//! What comes from Auth0 while the service runs: tables are filled, events and the tenant log are followed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::page::Page;
use super::service::{Announce, Ready};
use super::tasks::until;
use crate::error::Result;
use crate::ingest::{self, Due, Entries, Events, EventsShown, Logs, Pace, Queue};

/// How often the service looks for tables that are to be filled again.
const BACKFILL_LOOK: Duration = Duration::from_secs(1);

/// Events and the log are opened before the tables are filled: what changes meanwhile is seen there.
pub(super) async fn fill_and_follow(
    reading: ingest::Context,
    queue: Arc<Queue>,
    (log, pace): (Entries, Pace),
    events: Option<Arc<EventsShown>>,
    page: Arc<Page>,
    (announce, ready): (Announce, Ready),
    shutdown: CancellationToken,
) -> Result<()> {
    let open = || Logs::open(reading.clone(), Arc::clone(&queue), log.clone());
    let Some(logs) = until(&shutdown, open).await? else { return Ok(()) };
    // In a task of its own: a filling that is busy must not hold it up. It ends with this one.
    let mut live = JoinSet::new();
    if let Some(shown) = events {
        let open = || Events::open(reading.clone(), Arc::clone(&queue), Arc::clone(&shown));
        let Some(events) = until(&shutdown, open).await? else { return Ok(()) };
        live.spawn(events.follow());
    }
    let Some(()) = until(&shutdown, || ingest::skip(&reading)).await? else { return Ok(()) };
    let filled = async {
        let mut due = Due::All;
        loop {
            let Some(_) = until(&shutdown, || ingest::backfill(&reading, &queue, due)).await? else {
                return Ok(());
            };
            due = Due::Now;
            while !page.streaming.load(Ordering::Relaxed) && !shutdown.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            page.ready.store(true, Ordering::Relaxed);
            if let Some(tell) = announce.lock().unwrap_or_else(PoisonError::into_inner).take() {
                tell(ready);
            }
            // `auth0-sync backfill` marks tables as waiting.
            tokio::time::sleep(BACKFILL_LOOK).await;
        }
    };
    // Nobody waits for a log to be filled: it may have years.
    let entries = async {
        let mut due = Due::All;
        loop {
            let Some(()) = until(&shutdown, || ingest::backfill_entries(&reading, &queue, due)).await? else {
                return Ok(());
            };
            due = Due::Now;
            tokio::time::sleep(BACKFILL_LOOK).await;
        }
    };
    let keep = Logs::keep(reading.clone(), Arc::clone(&queue));
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        entries = entries => entries,
        () = logs.follow(pace) => Ok(()),
        () = keep => Ok(()),
        filled = filled => filled,
    }
}
