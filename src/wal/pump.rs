//! The task that reads the connection, answers the server, and hands events over.
//!
//! Feedback goes out as soon as the connection has nothing more to read, every second at the
//! latest, and at once when the server asks. It never waits for the owner.

use std::future::ready;
use std::time::Duration;

use pg_walstream::{CancellationToken, PgReplicationConnection};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::assembler::Assembler;
use super::event::Event;
use super::fault::{Moment, walstream};
use super::frame::Frame;
use super::lsn::Lsn;
use crate::error::{Error, Kind, Result};

/// `wal_sender_timeout` may be as short as some seconds.
const FEEDBACK: Duration = Duration::from_secs(1);
/// So many heartbeats without a sign of life end the stream, and never less than [`SILENCE`].
const MISSED_HEARTBEATS: u32 = 3;
const SILENCE: Duration = Duration::from_secs(10);

/// Positions of a standby status update.
#[derive(Clone, Copy, Debug, Default)]
struct Positions {
    /// Received.
    write: Lsn,
    /// Acknowledged: the slot moves here.
    flush: Lsn,
}

pub(super) struct Pump {
    connection: PgReplicationConnection,
    events: mpsc::Sender<Result<Event>>,
    applied: watch::Receiver<Lsn>,
    heartbeat: Duration,
    assembler: Assembler,
    positions: Positions,
    tick: Interval,
    /// A status waits to be sent.
    owed: bool,
    /// A position that waits to be told; a newer one takes its place.
    position: Option<Lsn>,
    asked: Instant,
    heard: Instant,
}

impl Pump {
    pub(super) fn new(
        connection: PgReplicationConnection,
        events: mpsc::Sender<Result<Event>>,
        applied: watch::Receiver<Lsn>,
        heartbeat: Duration,
    ) -> Self {
        let mut tick = interval(FEEDBACK.min(heartbeat).max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Pump {
            connection,
            events,
            applied,
            heartbeat,
            assembler: Assembler::new(),
            positions: Positions::default(),
            tick,
            owed: false,
            position: None,
            asked: now,
            heard: now,
        }
    }

    /// Runs until the owner drops its end or the stream breaks; the error is the last event.
    pub(super) async fn run(mut self) {
        let Err(error) = self.pump().await else { return };
        // The owner may be gone: then nobody needs to know.
        let _ = self.events.send(Err(error)).await;
    }

    async fn pump(&mut self) -> Result<()> {
        let never = CancellationToken::new();
        let events = self.events.clone();
        loop {
            tokio::select! {
                biased;
                () = events.closed() => return self.report(false).await,
                _ = self.tick.tick() => self.on_tick().await?,
                Ok(()) = self.applied.changed() => self.owed = true,
                frame = self.connection.get_copy_data_async(&never) => {
                    let frame = frame.map_err(|error| walstream(Moment::Stream, "replication broke off", error))?;
                    self.heard = Instant::now();
                    self.on_frame(Frame::read(frame)?).await?;
                }
                // From here on the connection has nothing more to read.
                () = ready(()), if self.owed => self.report(false).await?,
                Ok(permit) = events.reserve(), if self.position.is_some() => {
                    if let Some(lsn) = self.position.take() {
                        permit.send(Ok(Event::Heartbeat { lsn }));
                    }
                }
            }
        }
    }

    async fn on_frame(&mut self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Data { end, message } => {
                self.positions.write = self.positions.write.max(end);
                match self.assembler.take(message)? {
                    None => {}
                    Some(Event::Heartbeat { lsn }) => self.reach(lsn),
                    Some(event @ Event::Commit { lsn, .. }) => {
                        self.reach(lsn);
                        // The commit carries the position itself.
                        self.position = None;
                        self.hand_over(event).await?;
                    }
                    Some(event @ Event::Question { lsn, .. }) => {
                        self.reach(lsn);
                        self.hand_over(event).await?;
                        // A client waits for it: it goes on before the server is told where we stand.
                        tokio::task::yield_now().await;
                    }
                }
            }
            Frame::Keepalive { end, reply } => {
                self.positions.write = self.positions.write.max(end);
                if self.assembler.is_between() {
                    self.reach(end);
                }
                if reply {
                    self.report(false).await?;
                }
            }
        }
        Ok(())
    }

    /// Everything before this position has been received whole.
    fn reach(&mut self, lsn: Lsn) {
        if lsn > self.positions.flush {
            self.positions.flush = lsn;
            self.positions.write = self.positions.write.max(lsn);
            self.position = Some(lsn);
            self.owed = true;
        }
    }

    /// Waits for the owner; the server is answered meanwhile.
    async fn hand_over(&mut self, event: Event) -> Result<()> {
        let events = self.events.clone();
        loop {
            tokio::select! {
                biased;
                permit = events.reserve() => {
                    // An owner that has gone is noticed by the loop outside.
                    if let Ok(permit) = permit {
                        permit.send(Ok(event));
                    }
                    self.heard = Instant::now();
                    return Ok(());
                }
                _ = self.tick.tick() => self.report(false).await?,
            }
        }
    }

    async fn on_tick(&mut self) -> Result<()> {
        let silent = self.heard.elapsed();
        if silent > (self.heartbeat * MISSED_HEARTBEATS).max(SILENCE) {
            let what = format!("Postgres has been silent for {} s", silent.as_secs());
            return Err(Error::new(Kind::DatabaseUnavailable, what));
        }
        let ask = self.asked.elapsed() >= self.heartbeat;
        self.report(ask).await
    }

    /// Sends the positions; with `ask`, the server answers where it stands.
    async fn report(&mut self, ask: bool) -> Result<()> {
        let applied = *self.applied.borrow_and_update();
        let Positions { write, flush } = self.positions;
        self.connection
            .send_standby_status_update(write.0, flush.0, applied.0, ask)
            .await
            .map_err(|error| walstream(Moment::Stream, "cannot acknowledge a position", error))?;
        self.owed = false;
        if ask {
            self.asked = Instant::now();
        }
        Ok(())
    }
}
