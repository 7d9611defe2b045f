//! Follows the stream: connects, reads, connects again, for ever.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cursor::Cursor;
use super::next::{Next, failed, refused};
use super::report::{EventsShown, EventsState};
use crate::auth0::{EVENTS_SCOPE, EventStream, Message, Start};
use crate::error::Result;
use crate::ingest::{Context, Queue, Source, sweep};
use crate::retry::Delays;

/// A stream from which nothing comes for so long, not even a heartbeat, is dead.
const SILENCE: Duration = Duration::from_secs(90);
/// The backfill waits no longer for the first connection: the tenant log is followed already.
const FIRST: Duration = Duration::from_secs(10);
/// Whoever lacks the scope or the plan is asked again after this.
const REFUSED: Duration = Duration::from_secs(600);
/// Events whose rows wait to be read; beyond, no more are taken from the stream.
const MOST_BEHIND: usize = 10_000;
/// Ids of events that are remembered to know them again.
const REMEMBERED: usize = 4_096;
/// The position is stored no more often than this, where it has to be stored by itself.
const STORE: Duration = Duration::from_millis(250);

/// The follower of the events.
pub struct Events {
    pub(super) context: Context,
    pub(super) queue: Arc<Queue>,
    shown: Arc<EventsShown>,
    /// The position that the database has.
    pub(super) stored: Arc<Mutex<Option<String>>>,
    /// Behind the last message that was taken.
    cursor: Cursor,
    /// Where to begin after the position was lost.
    lost: Option<Start>,
    seen: Seen,
    /// The first connection. In a lock because a stream is not shared: nobody waits for it.
    first: std::sync::Mutex<Option<EventStream>>,
    types: Vec<String>,
    all_types: bool,
    /// Errors that ended the stream since the position last moved.
    stuck: u32,
}

/// The last ids.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Remembers an id; whether it is new.
    fn add(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl Events {
    /// Takes up at the stored offset; at the first start it subscribes. Call it before the backfill
    /// begins: what changes while it runs is then seen here.
    ///
    /// # Errors
    /// Database errors. That Auth0 gives no events is none: the tenant log brings everything.
    pub async fn open(context: Context, queue: Arc<Queue>, shown: Arc<EventsShown>) -> Result<Events> {
        let stored = Cursor::stored(&context).await?;
        let told = context.catalog.iter().filter(|resource| resource.is_read());
        let told = told.filter_map(|resource| resource.event.as_ref());
        let types: Vec<_> = told.flat_map(|event| event.types()).map(|(name, _)| name.to_owned()).collect();
        let mut events = Events {
            context,
            queue,
            shown,
            stored: Arc::default(),
            cursor: stored.clone().unwrap_or_default(),
            lost: None,
            seen: Seen::default(),
            first: std::sync::Mutex::default(),
            types,
            all_types: false,
            stuck: 0,
        };
        if stored.is_none()
            && !events.types.is_empty()
            && let Ok(Ok(stream)) = timeout(FIRST, events.connect()).await
        {
            events.first = std::sync::Mutex::new(Some(stream));
        }
        Ok(events)
    }

    /// Follows the events for ever.
    pub async fn follow(mut self) {
        if self.types.is_empty() {
            return std::future::pending().await;
        }
        let keep = keep(self.context.clone(), Arc::clone(&self.queue), Arc::clone(&self.stored));
        tokio::select! {
            () = keep => {}
            () = self.run() => {}
        }
    }

    async fn run(&mut self) {
        let mut delays = Delays::default();
        let mut seldom = Delays::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            let first = self.first.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            let stream = match first {
                Some(stream) => Ok(stream),
                None => self.connect().await,
            };
            let next = match stream {
                Ok(stream) => {
                    seldom.reset();
                    self.read(stream, &mut delays).await
                }
                Err(next) => next,
            };
            match next {
                Next::Again => sleep(delays.next_delay()).await,
                Next::At(until) => sleep_until(until.min(Instant::now() + Duration::from_secs(60))).await,
                Next::Full => sleep(seldom.next_delay()).await,
                Next::Refused => sleep(REFUSED).await,
                Next::AllTypes => self.all_types = true,
                Next::Gone => {
                    self.lose();
                    sleep(delays.next_delay()).await;
                }
            }
        }
    }

    /// Where the next stream begins.
    fn start(&self) -> Start {
        self.lost.clone().unwrap_or_else(|| self.cursor.start())
    }

    /// The position is of no use: by time where that is known and not what was refused, else from now.
    fn lose(&mut self) {
        let by_time = self.cursor.time.filter(|_| matches!(self.start(), Start::Offset(_)));
        tracing::warn!(
            "Auth0 has no events behind the stored offset any more; every table that they cover is compared"
        );
        self.shown.lost();
        self.stuck = 0;
        self.lost = Some(by_time.map_or(Start::Now, Start::Time));
    }

    async fn connect(&mut self) -> Result<EventStream, Next> {
        match self.context.auth0.scopes().await {
            Ok(scopes) if !scopes.iter().any(|scope| scope == EVENTS_SCOPE) => {
                let what = format!("the application lacks the scope {EVENTS_SCOPE}");
                return Err(self.without(Next::Refused, what));
            }
            Ok(_) => {}
            Err(error) => return Err(self.without(Next::Again, error.to_string())),
        }
        let start = self.start();
        let types: Vec<&str> = match self.all_types {
            true => Vec::new(),
            false => self.types.iter().map(String::as_str).collect(),
        };
        match self.context.auth0.events(&start, &types, SILENCE).await {
            Ok(stream) => {
                if self.shown.is(EventsState::Connected, None) {
                    tracing::info!("Auth0's events are followed");
                }
                if let Err(error) = self.began(stream.began, &start).await {
                    return Err(self.without(Next::Again, error.to_string()));
                }
                Ok(stream)
            }
            Err(failure) => {
                let next = refused(&failure.outcome, &start, self.all_types);
                Err(self.without(next, crate::error::Error::from(failure).to_string()))
            }
        }
    }

    /// Says once why there are no events.
    fn without(&self, next: Next, error: String) -> Next {
        let state = match next {
            Next::Refused | Next::Full => EventsState::Refused,
            _ => EventsState::Waiting,
        };
        let new = self.shown.is(state, Some(error.clone()));
        match next {
            Next::Refused if new => {
                tracing::warn!(error, "Auth0 gives no events; the tenant log brings every change instead");
            }
            Next::Full if new => {
                tracing::warn!(
                    error,
                    "Auth0 gives no connection for events; the tenant log brings changes meanwhile"
                );
            }
            _ if new => tracing::warn!(error, "the events cannot be followed at the moment"),
            _ => {}
        }
        next
    }

    /// A stream is on: after a loss every table that events cover is compared with Auth0.
    ///
    /// # Errors
    /// Database errors; the place is lost still, and the next stream begins there again.
    async fn began(&mut self, time: Option<DateTime<Utc>>, start: &Start) -> Result<()> {
        if *start == Start::Now {
            self.cursor = Cursor { offset: None, time };
        }
        if self.lost.is_some() {
            self.cursor.offset = None;
            let covered = self.context.catalog.iter().filter(|resource| resource.event.is_some());
            let covered = covered.filter(|resource| sweep::is_compared(resource));
            let tables: Vec<&str> = covered.map(|resource| resource.table.as_str()).collect();
            // In this order: a crash in between only compares once more.
            sweep::ask(&self.context, Some(&tables), sweep::Why::Gap).await?;
            self.lost = None;
            self.queue.ask_for(Source::Events, [], self.cursor.to_position());
        } else if *start == Start::Now {
            self.queue.ask_for(Source::Events, [], self.cursor.to_position());
        }
        Ok(())
    }

    /// Reads a stream to its end.
    async fn read(&mut self, mut stream: EventStream, delays: &mut Delays) -> Next {
        loop {
            match stream.next().await {
                Ok(Some(Message::Event { offset, event })) => {
                    delays.reset();
                    self.stuck = 0;
                    self.event(offset, &event).await;
                }
                Ok(Some(Message::Offset(offset))) => {
                    delays.reset();
                    self.shown.offset();
                    if self.cursor.offset.as_ref() != Some(&offset) {
                        self.stuck = 0;
                        self.cursor.offset = Some(offset);
                        self.queue.ask_for(Source::Events, [], self.cursor.to_position());
                    }
                }
                Ok(Some(Message::Failed { code, message, .. })) => {
                    self.stuck += 1;
                    let next = failed(&code, self.stuck);
                    return self.without(next, format!("Auth0 ended the stream: {code} {message}"));
                }
                Ok(Some(Message::Other)) => {}
                // Auth0 does so every few minutes.
                Ok(None) => return Next::Again,
                Err(error) => return self.without(Next::Again, error.to_string()),
            }
        }
    }

    async fn event(&mut self, offset: String, event: &Value) {
        self.room().await;
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let time = text("time").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
        let time = time.map(|time| time.to_utc()).max(self.cursor.time);
        let cursor = Cursor { offset: Some(offset), time };
        self.context.activity.noticed();
        self.shown.event();
        if text("id").is_some_and(|id| self.seen.ids.contains(id)) {
            self.queue.ask_for(Source::Events, [], cursor.to_position());
        } else {
            let mut delays = Delays::default();
            while let Err(error) = self.take(event, &cursor).await {
                tracing::warn!(%error, "an event could not be taken yet");
                sleep(delays.next_delay()).await;
            }
        }
        if let Some(id) = text("id") {
            self.seen.add(id);
        }
        self.cursor = cursor;
    }

    /// Waits until not too much is behind.
    async fn room(&self) {
        loop {
            let progress = self.queue.progress();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.queue.behind(Source::Events) < MOST_BEHIND {
                return;
            }
            progress.await;
        }
    }
}

/// Stores the position whenever it has moved by readings, for ever.
async fn keep(context: Context, queue: Arc<Queue>, stored: Arc<Mutex<Option<String>>>) {
    loop {
        let moved = queue.progress();
        tokio::pin!(moved);
        // Armed before the look, so that no progress in between is missed.
        moved.as_mut().enable();
        let mut last = stored.lock().await;
        if let Some(position) = queue.position(Source::Events).filter(|now| last.as_ref() != Some(now)) {
            match Cursor::of_position(&position).store(&context.database.pool, &context.schema).await {
                Ok(()) => *last = Some(position),
                Err(error) => tracing::warn!(%error, "the offset of the events could not be stored"),
            }
            drop(last);
            sleep(STORE).await;
            continue;
        }
        drop(last);
        moved.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_again_until_too_many_others_have_come() {
        let mut seen = Seen::default();
        assert!(seen.add("a") && !seen.add("a"));
        for n in 0..REMEMBERED {
            assert!(seen.add(&n.to_string()));
        }
        assert!(seen.add("a"));
        assert_eq!(seen.ids.len(), seen.order.len());
    }
}
