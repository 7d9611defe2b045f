//! What the status page shows of the stream of events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How the stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsState {
    /// The configuration leaves events alone, or no table has any.
    #[default]
    Off,
    /// Not connected at the moment; it is tried again.
    Waiting,
    /// Auth0 refuses: the scope, the plan or a free connection is missing.
    Refused,
    /// Events come.
    Connected,
}

/// The stream as it stands. Times are of this machine's clock.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventsReport {
    /// How it stands.
    pub state: EventsState,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Events since the start.
    pub events: u64,
    /// Times that the stream was opened since the start.
    pub connections: u64,
    /// Times that a position had been lost since the start.
    pub lost: u64,
    /// When the last event came.
    pub last_event_at: Option<DateTime<Utc>>,
    /// When the offset last moved.
    pub offset_at: Option<DateTime<Utc>>,
    /// Why it is not connected.
    pub error: Option<String>,
}

/// The report, shared between the follower and the page.
#[derive(Debug, Default)]
pub struct EventsShown(Mutex<EventsReport>);

impl EventsShown {
    /// How the stream stands.
    pub fn report(&self) -> EventsReport {
        self.lock().clone()
    }

    /// Changes how the stream stands; whether that is new.
    pub(super) fn is(&self, state: EventsState, error: Option<String>) -> bool {
        let mut report = self.lock();
        let new = report.state != state;
        if new {
            report.since = Some(Utc::now());
        }
        report.connections += u64::from(state == EventsState::Connected);
        report.state = state;
        report.error = error;
        new
    }

    pub(super) fn event(&self) {
        let mut report = self.lock();
        report.events += 1;
        report.last_event_at = Some(Utc::now());
        report.offset_at = report.last_event_at;
    }

    pub(super) fn offset(&self) {
        self.lock().offset_at = Some(Utc::now());
    }

    pub(super) fn lost(&self) {
        self.lock().lost += 1;
    }

    fn lock(&self) -> MutexGuard<'_, EventsReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
