//! Room for calls: so many under way at once, and as many claimed ahead of them, so that a call can
//! leave the moment another has been answered. It never knows what a call is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The calls of one tenant's writes.
#[derive(Debug)]
pub struct Room {
    most: usize,
    calls: Arc<Semaphore>,
    ahead: AtomicUsize,
    /// Somebody ahead has gone on to its call, or given up.
    moved: Notify,
}

impl Room {
    /// For at most `most` calls at once.
    pub fn new(most: usize) -> Arc<Room> {
        let calls = Arc::new(Semaphore::new(most));
        Arc::new(Room { most, calls, ahead: AtomicUsize::new(0), moved: Notify::new() })
    }

    /// Whether somebody more may wait ahead of the calls.
    pub(super) fn has_place(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) < self.most
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
        Arc::clone(&self.0.calls).acquire_owned().await.ok()
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
        assert!(second.as_mut().now_or_never().is_none() && !room.has_place());
        assert_eq!(room.under_way(), 1);
        drop(call);
        assert!(second.await.is_some());
        assert!(room.moved().now_or_never().is_some() && room.is_clear() && room.has_place());
        let late = room.enter();
        room.close();
        assert!(late.call().await.is_none());
    }
}
