//! One stream: what is sent next, and when. Faults that are ordered strike here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::StreamFault;
use super::log::{Kept, offset};
use super::params::Asked;
use super::serve::Seat;
use crate::emulator::server::Shared;
use crate::emulator::socket::Caller;

/// Events that are looked at in one go.
const BATCH: usize = 100;
/// An event whose place the next one was to take waits no longer for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A stream under way.
pub(super) struct Flow {
    shared: Arc<Shared>,
    caller: Caller,
    news: watch::Receiver<u64>,
    types: Vec<String>,
    /// Number of the last event that was sent or passed over.
    after: u64,
    ready: VecDeque<Bytes>,
    /// An event whose place the next one takes, and until when it waits for that.
    held: Option<(Arc<Kept>, Instant)>,
    pause: Option<Duration>,
    stalled: bool,
    over: bool,
    ends: Instant,
    beat: Instant,
    _seat: Seat,
}

impl Flow {
    /// A stream that begins as asked and ends at `ends` at the latest.
    pub(super) fn new(shared: Arc<Shared>, caller: Caller, asked: Asked, seat: Seat, ends: Instant) -> Flow {
        let beat = Instant::now() + shared.options.events.heartbeat;
        Flow {
            caller,
            news: shared.events.subscribe(),
            types: asked.types,
            after: asked.after,
            ready: VecDeque::from([Bytes::from_static(b":connected\n\nretry: 2000\n\n")]),
            held: None,
            pause: None,
            stalled: false,
            over: false,
            ends,
            beat,
            shared,
            _seat: seat,
        }
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(pause) = self.pause.take() {
                sleep(pause).await;
            }
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.over {
                return None;
            }
            // Seen before the look, so that what happens in between is news.
            self.news.borrow_and_update();
            if !self.stalled && self.look() {
                continue;
            }
            let beat = if self.stalled { self.ends } else { self.beat };
            let held = self.held.as_ref().map_or(self.ends, |(_, until)| *until);
            tokio::select! {
                () = self.shared.stopping.cancelled() => self.over = true,
                () = sleep_until(self.ends) => self.over = true,
                _ = self.news.changed() => {}
                () = sleep_until(held) => self.release(),
                () = sleep_until(beat) => {
                    self.beat = Instant::now() + self.shared.options.events.heartbeat;
                    let offset = offset(self.after);
                    let beat = format!(": heartbeat\n\nevent: offset-only\ndata: {{\"offset\":\"{offset}\"}}\n\n");
                    self.ready.push_back(beat.into());
                }
            }
        }
    }

    /// Takes up what there is; whether it was anything.
    fn look(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        if self.after < state.store.events().gone() {
            self.error("cursor_expired");
            return true;
        }
        let events = state.store.events().after(self.after, BATCH);
        for event in &events {
            let wanted = self.types.is_empty() || self.types.contains(&event.kind);
            let fault = if wanted { state.faults.stream.next() } else { None };
            if matches!(fault, Some(StreamFault::Drop | StreamFault::Stall | StreamFault::Error(_))) {
                self.strike(fault);
                return true;
            }
            self.after = event.number;
            if !wanted {
                continue;
            }
            if let Some((first, _)) = self.held.take() {
                self.write(first.number, event);
                self.write(event.number, &first);
                continue;
            }
            match fault {
                Some(StreamFault::Duplicate) => {
                    self.write(event.number, event);
                    self.write(event.number, event);
                }
                Some(StreamFault::Disorder) => {
                    self.held = Some((Arc::clone(event), Instant::now() + PATIENCE));
                }
                Some(StreamFault::Delay(delay)) if self.ready.is_empty() => {
                    self.pause = Some(delay);
                    self.write(event.number, event);
                    return true;
                }
                _ => self.write(event.number, event),
            }
        }
        if !events.is_empty() {
            return true;
        }
        let fault = state.faults.stream.idle();
        let struck = fault.is_some();
        self.strike(fault);
        struck
    }

    fn strike(&mut self, fault: Option<StreamFault>) {
        match fault {
            Some(StreamFault::Drop) => {
                self.caller.cut();
                self.over = true;
            }
            Some(StreamFault::Stall) => self.stalled = true,
            Some(StreamFault::Error(code)) => self.error(&code),
            _ => {}
        }
    }

    fn release(&mut self) {
        if let Some((event, _)) = self.held.take() {
            self.write(event.number, &event);
        }
    }

    fn write(&mut self, place: u64, event: &Kept) {
        let (offset, kind, text) = (offset(place), &event.kind, &event.text);
        let data = format!("{{\"offset\":\"{offset}\",\"event\":{text}}}");
        self.ready.push_back(format!("event: {kind}\nid: {offset}\ndata: {data}\n\n").into());
    }

    /// Ends the stream as Auth0 does where it cannot go on.
    fn error(&mut self, code: &str) {
        let error = json!({"code": code, "message": "The stream ends here", "offset": offset(self.after)});
        self.ready.push_back(format!("event: error\ndata: {}\n\n", json!({ "error": error })).into());
        self.over = true;
    }
}
