//! Hears when somebody releases or discards held changes: the replication stream tells inserts alone.

use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use super::dispatch::Arrival;
use super::store::Store;
use crate::error::Result;
use crate::pg::fault;
use crate::retry::Delays;

/// What `release()` and `discard()` send, with the schema as its payload.
const CHANNEL: &str = "auth0_sync_wake";

/// Has the table read again whenever there is reason to; ends only when writeback has gone.
pub async fn wake(store: Store, arrivals: mpsc::Sender<Arrival>) {
    let mut delays = Delays::default();
    while !arrivals.is_closed() {
        match listen(&store, &arrivals, &mut delays).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "what is released is not heard for the moment"),
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn listen(store: &Store, arrivals: &mpsc::Sender<Arrival>, delays: &mut Delays) -> Result<()> {
    let deaf = || fault("cannot listen for what is released");
    let mut listener = PgListener::connect_with(&store.database.pool).await.map_err(deaf())?;
    listener.listen(CHANNEL).await.map_err(deaf())?;
    delays.reset();
    // What was sent before went unheard.
    let mut ours = true;
    loop {
        if ours && arrivals.send(Arrival::Rescan).await.is_err() {
            return Ok(());
        }
        // Nothing: the connection was lost and is there again.
        let heard = listener.try_recv().await.map_err(deaf())?;
        ours = heard.is_none_or(|note| note.payload() == store.schema);
    }
}
