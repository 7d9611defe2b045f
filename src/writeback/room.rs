//! Room for calls: so many under way at once, and as many claimed ahead of them, so that a call can
//! leave the moment another has been answered. Where calls are answered faster than that, more are claimed
//! ahead. It never knows what a call is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant};

/// So many times as many as may call wait ahead of them at most.
const FURTHEST: usize = 8;
/// Whoever waits longer for its turn was claimed too early: after a crash it is read back to no purpose.
const EARLY: Duration = Duration::from_millis(50);

/// The calls of one tenant's writes.
#[derive(Debug)]
pub struct Room {
    most: usize,
    calls: Arc<Semaphore>,
    ahead: AtomicUsize,
    /// How many may be ahead.
    places: AtomicUsize,
    /// Somebody ahead has gone on to its call, or given up.
    moved: Notify,
}

impl Room {
    /// For at most `most` calls at once.
    pub fn new(most: usize) -> Arc<Room> {
        let calls = Arc::new(Semaphore::new(most));
        let (ahead, places) = (AtomicUsize::new(0), AtomicUsize::new(most));
        Arc::new(Room { most, calls, ahead, places, moved: Notify::new() })
    }

    /// Whether somebody more may wait ahead of the calls.
    pub(super) fn has_place(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) < self.places.load(Ordering::Relaxed)
    }

    /// Whether nobody waits ahead of the calls.
    pub(super) fn is_clear(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) == 0
    }

    /// A place ahead of the calls; look before whether there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Ahead {
        self.ahead.fetch_add(1, Ordering::Relaxed);
        Ahead(Arc::clone(self))
    }

    /// Ends when a place ahead may have become free since it was last asked.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Somebody has got its turn, and has waited for it so long; who has not waited could have come sooner.
    fn turned(&self, waited: Option<Duration>) {
        let places = match waited {
            None => (self.places.load(Ordering::Relaxed) + 1).min(FURTHEST * self.most),
            Some(waited) if waited > EARLY => self.most,
            Some(_) => return,
        };
        self.places.store(places, Ordering::Relaxed);
    }

    /// Calls under way.
    pub(super) fn under_way(&self) -> usize {
        self.most - self.calls.available_permits().min(self.most)
    }

    /// No further call begins.
    pub(super) fn close(&self) {
        self.calls.close();
    }
}

/// A place ahead of the calls.
#[derive(Debug)]
pub(super) struct Ahead(Arc<Room>);

impl Ahead {
    /// Waits for its turn to call; none where no call begins any more.
    pub(super) async fn call(self) -> Option<OwnedSemaphorePermit> {
        let room = &self.0;
        if let Ok(turn) = Arc::clone(&room.calls).try_acquire_owned() {
            room.turned(None);
            return Some(turn);
        }
        let began = Instant::now();
        let turn = Arc::clone(&room.calls).acquire_owned().await.ok();
        room.turned(Some(began.elapsed()));
        turn
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.ahead.fetch_sub(1, Ordering::Relaxed);
        self.0.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn as_many_wait_as_call_and_none_calls_once_it_is_closed() {
        let room = Room::new(1);
        let first = room.enter();
        assert!(!room.has_place(), "one is ahead already");
        let call = first.call().await.unwrap();
        let mut second = Box::pin(room.enter().call());
        assert!(second.as_mut().now_or_never().is_none());
        let third = room.enter();
        assert!(!room.has_place());
        drop(third);
        assert_eq!(room.under_way(), 1);
        drop(call);
        assert!(second.await.is_some());
        assert!(room.moved().now_or_never().is_some() && room.is_clear() && room.has_place());
        let late = room.enter();
        room.close();
        assert!(late.call().await.is_none());
    }

    #[tokio::test]
    async fn more_wait_ahead_while_calls_wait_for_them_and_as_few_again_when_they_wait_long() {
        let room = Room::new(2);
        let places = |room: &Arc<Room>| {
            let ahead: Vec<_> = std::iter::from_fn(|| room.has_place().then(|| room.enter())).collect();
            ahead.len()
        };
        assert_eq!(places(&room), 2);
        for _ in 0..100 {
            drop(room.enter().call().await);
        }
        assert_eq!(places(&room), 2 * FURTHEST);
        room.turned(Some(EARLY));
        assert_eq!(places(&room), 2 * FURTHEST);
        room.turned(Some(EARLY * 2));
        assert_eq!(places(&room), 2);
    }
}
