//! Commits that wait for Auth0's answer: `synchronous_commit = remote_apply` where the server lists us.
//! Postgres shows such a commit to nobody before the wait has ended, so what is sent for it comes from
//! the stream, which tells it once: it is kept in a table, which says too whether a call may have left. It is
//! settled when it can be seen.
//!
//! Nothing is sent twice: whoever finds that a call may have left reads back. Nothing is sent that is not committed: the
//! stream tells what is on disk.

mod answered;
mod rows;
mod store;

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::call::delay;
use super::lanes::Work;
use super::request::Content;
use super::settlement::Settled;
use super::store::Which;
use super::worker::Context;
use crate::error::{Result, Retry};

pub use answered::Answered;
pub use rows::Rows;
pub(super) use rows::{Unseen, queue};
pub(super) use store::{keep, left, look, open, take_up, told, waits};

/// A settlement that takes longer is held up, perhaps by a commit that waits for us.
const HELD_UP: Duration = Duration::from_millis(20);
/// How long it goes on until it is asked once more.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks for a commit whose wait is about to end: growing from the first to the second.
const SOON: Duration = Duration::from_millis(1);
const RARELY: Duration = Duration::from_millis(50);

/// The claim of work.
pub(super) struct Claim {
    /// What to send and its request id, of a commit that cannot be seen; none where the table has it.
    pub(super) content: Option<(Content, String)>,
    /// A call may have left before.
    pub(super) sent: bool,
}

/// Claims work of a commit that could not be seen when it was told.
///
/// # Errors
/// Database errors; nothing may be sent then.
pub(super) async fn claim(context: &Context, work: &Work, request_id: &str) -> Result<Claim> {
    let (Some(unseen), Some(id)) = (&work.terms.unseen, work.ids.first()) else {
        return Ok(Claim { content: None, sent: false });
    };
    match store::claim(&context.store, *id, unseen, request_id).await? {
        Some(stored) => {
            let sent = stored != request_id;
            Ok(Claim { content: Some(((*unseen.content).clone(), stored)), sent })
        }
        // It can be seen by now.
        None => Ok(Claim { content: None, sent: take_up(&context.store).await?.contains(id) }),
    }
}

/// Nothing has left.
///
/// # Errors
/// Database errors.
pub(super) async fn put_back(context: &Context, work: &Work) -> Result<()> {
    if work.terms.unseen.is_some() { store::forget(&context.store, &work.ids).await } else { Ok(()) }
}

/// Settles work whose outcome is known: in its turn, and not before it can be seen. Commits that wait for
/// us go on as soon as it is clear that settling may have to wait for them.
///
/// # Errors
/// As `settle`.
pub(super) async fn settled<F>(context: &Context, work: &Work, settle: impl Fn() -> F) -> Result<Settled>
where
    F: Future<Output = Result<Settled>>,
{
    let mut mark = None;
    if work.terms.unseen.is_some() {
        mark = Some(context.answered.note(work));
        appears(context, work).await;
    }
    let mut tries = 0;
    loop {
        let mut settling = Box::pin(async {
            context.answered.turn(work).await;
            settle().await
        });
        let (mut ended, mut patience) = (None, HELD_UP);
        while mark.is_none() && ended.is_none() {
            ended = timeout(patience, &mut settling).await.ok();
            patience = AGAIN;
            let ask = || async { waits(&context.store).await.unwrap_or(false) };
            if ended.is_none() && context.answered.is_awaited(ask).await {
                mark = Some(context.answered.note(work));
            }
        }
        let ended = match ended {
            Some(ended) => ended,
            None => settling.await,
        };
        match ended {
            // Later work of the row may be under way by now: it stays before that.
            Err(error) if mark.is_some() && error.kind().policy().retry == Retry::Backoff => {
                tracing::warn!(%error, table = %work.node.0, "what Auth0 has answered cannot be stored yet");
                sleep(delay(tries)).await;
                tries += 1;
            }
            ended => return ended,
        }
    }
}

/// Waits until the table has the work, and takes it up there.
async fn appears(context: &Context, work: &Work) {
    let (which, mut pause) = (Which::Ids(work.ids.clone()), SOON);
    loop {
        let taken = async {
            let seen = context.store.sees(&which).await?;
            if seen {
                take_up(&context.store).await?;
            }
            Ok::<bool, crate::error::Error>(seen)
        };
        match taken.await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, table = %work.node.0, "whether a commit can be seen is not known yet");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(RARELY);
    }
}
