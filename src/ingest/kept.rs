//! What a reading or a write has shown to be read too, and nothing tells again: it is not forgotten over a crash.

use std::time::Duration;

use super::{Context, Queue};
use crate::catalog::Target;
use crate::error::Result;
use crate::pg::to_read::{self, ToRead};
use crate::pg::{Database, fault};

/// Between two looks for what was kept and never asked for, such as what a settlement kept whose commit nobody heard of.
const LOOK: Duration = Duration::from_secs(30);
/// What has been read is forgotten so long after, together.
const FORGET: Duration = Duration::from_millis(500);

/// Asks for targets, and keeps them until they have been read. No position waits for them: one that waited for all
/// that follows from a reading would never move where the service is killed again and again.
///
/// # Errors
/// Database errors; then they have not been asked for.
pub(super) async fn ask(
    context: &Context,
    queue: &Queue,
    targets: impl IntoIterator<Item = Target>,
) -> Result<()> {
    let targets: Vec<Target> = targets.into_iter().collect();
    if targets.is_empty() {
        return Ok(());
    }
    let connection = context.database.pool.acquire().await;
    let mut connection = connection.map_err(fault("cannot keep what is to be read"))?;
    let kept = to_read::keep(&mut connection, &context.catalog, &context.schema, targets).await?;
    drop(connection);
    queue.ask_kept(kept);
    Ok(())
}

/// Asks for what is kept, and forgets what has been read, for ever.
pub async fn keep_asking(context: &Context, queue: &Queue) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        let progress = queue.progress();
        tokio::pin!(progress);
        // Armed before the look, so that nothing that ends in between is missed.
        progress.as_mut().enable();
        let done = forget(&context.database, queue).await;
        tokio::select! {
            _ = look.tick() => match to_read::kept(&context.database, &context.catalog, &context.schema).await {
                Ok(kept) => take_up(queue, kept),
                Err(error) => tracing::warn!(%error, "what was to be read is not known yet"),
            },
            () = progress => {}
        }
        if let Err(error) = done {
            tracing::warn!(%error, "what has been read is kept for longer");
        }
        tokio::time::sleep(FORGET).await;
    }
}

async fn forget(database: &Database, queue: &Queue) -> Result<()> {
    let spent = queue.spent();
    if spent.is_empty() {
        return Ok(());
    }
    to_read::forget(database, &spent).await.inspect_err(|_| queue.not_forgotten(spent))
}

/// Asks for what is kept; what the catalogue does not have any more is forgotten.
fn take_up(queue: &Queue, kept: Vec<(i64, Option<Target>)>) {
    let (mut known, mut strange) = (Vec::new(), Vec::new());
    for (id, target) in kept {
        match target {
            Some(target) => known.push(ToRead { id: Some(id), target }),
            None => strange.push(id),
        }
    }
    queue.ask_kept(known);
    queue.not_forgotten(strange);
}
