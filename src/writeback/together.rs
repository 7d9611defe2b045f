//! Jobs that come at once are done together: whoever comes while a group is under way waits, and what
//! has gathered meanwhile is the next group. Who comes alone waits for nobody. One of those who wait
//! does the work, so there is no task to start or to stop. It never knows what a job is.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

/// Jobs of one kind, with results of one kind.
pub(super) struct Together<J, R> {
    waiting: Mutex<VecDeque<(J, oneshot::Sender<R>)>>,
    turns: Semaphore,
    most: usize,
}

impl<J, R> Together<J, R> {
    /// At most `groups` groups are under way, each of at most `most` jobs.
    pub(super) fn new(groups: usize, most: usize) -> Self {
        Together { waiting: Mutex::default(), turns: Semaphore::new(groups), most }
    }

    /// The result of `job`, which goes with whatever waits too; `work` does a group, with results in the
    /// order of its jobs. None where the group was cut off: then nobody knows how far it got.
    pub(super) async fn run<F>(&self, job: J, work: impl Fn(Vec<J>) -> F) -> Option<R>
    where
        F: Future<Output = Vec<R>>,
    {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push_back((job, tell));
        loop {
            let turn = tokio::select! {
                biased;
                result = &mut told => return result.ok(),
                turn = self.turns.acquire() => turn.ok()?,
            };
            let (jobs, tell) = self.group();
            if jobs.is_empty() {
                // The job is in the hands of somebody else.
                drop(turn);
                return told.await.ok();
            }
            for (tell, result) in tell.into_iter().zip(work(jobs).await) {
                // Whoever does not wait any more needs no result.
                let _ = tell.send(result);
            }
        }
    }

    /// The next jobs, without those that nobody waits for any more.
    fn group(&self) -> (Vec<J>, Vec<oneshot::Sender<R>>) {
        let mut waiting = self.waiting();
        waiting.retain(|(_, tell)| !tell.is_closed());
        let most = waiting.len().min(self.most);
        waiting.drain(..most).unzip()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(J, oneshot::Sender<R>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs may carry secrets: none is shown.
impl<J, R> fmt::Debug for Together<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    /// Doubles numbers, and tells how many there were together.
    async fn doubled(jobs: Vec<u32>) -> Vec<(u32, usize)> {
        jobs.iter().map(|job| (2 * job, jobs.len())).collect()
    }

    #[tokio::test]
    async fn who_is_alone_waits_for_nobody_and_who_comes_meanwhile_goes_together() {
        let together = Together::new(1, 10);
        assert_eq!(together.run(4, doubled).now_or_never(), Some(Some((8, 1))));
        let gate = Notify::new();
        let slow = |jobs: Vec<u32>| gate.notified().then(move |()| doubled(jobs));
        let (first, second, third, ()) =
            tokio::join!(together.run(1, slow), together.run(2, doubled), together.run(3, doubled), async {
                gate.notify_one()
            });
        assert_eq!((first, second, third), (Some((2, 1)), Some((4, 2)), Some((6, 2))));
    }

    #[tokio::test]
    async fn a_group_is_bounded_and_no_job_stays_behind() {
        let together = Arc::new(Together::new(2, 3));
        let jobs = (0..100).map(|job| {
            let together = Arc::clone(&together);
            tokio::spawn(async move {
                let work = |jobs: Vec<u32>| tokio::task::yield_now().then(move |()| doubled(jobs));
                together.run(job, work).await
            })
        });
        for (job, done) in (0..).zip(futures_util::future::join_all(jobs).await) {
            let (double, with) = done.unwrap().unwrap();
            assert!(double == 2 * job && with <= 3, "{job}: {double} with {with}");
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_done_and_who_goes_with_a_group_that_is_cut_off_hears_nothing() {
        let together = Together::new(1, 10);
        let never = |_: Vec<u32>| std::future::pending::<Vec<(u32, usize)>>();
        let mut leader = Box::pin(together.run(1, never));
        assert_eq!(leader.as_mut().now_or_never(), None);
        let mut given_up = Box::pin(together.run(2, doubled));
        assert_eq!(given_up.as_mut().now_or_never(), None);
        let mut next = Box::pin(together.run(3, doubled));
        assert_eq!(next.as_mut().now_or_never(), None);
        drop((given_up, leader));
        assert_eq!(next.await, Some((6, 1)));

        let mut leader = Box::pin(together.run(4, never));
        let mut second = Box::pin(together.run(5, never));
        let mut third = Box::pin(together.run(6, doubled));
        for waiting in [leader.as_mut(), second.as_mut()] {
            assert_eq!(waiting.now_or_never(), None);
        }
        assert_eq!(third.as_mut().now_or_never(), None);
        drop(leader);
        assert_eq!(second.as_mut().now_or_never(), None, "it leads the third");
        drop(second);
        assert_eq!(third.await, None);
    }
}
