//! A connection kept for one statement, whose session holds the lock that the statement waits for: it
//! goes on the moment that its answer can be seen. Who gets none looks from time to time.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::store::Store;

/// Hands out connections of the pool, at most half of it: the others are for what lasts no longer than a statement
/// of SQL.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Semaphore>);

/// One of them.
pub(super) struct Line {
    connection: PoolConnection<Postgres>,
    /// The lock's name, by which the trigger knows it too.
    pub(super) name: String,
    holds: bool,
    _one: OwnedSemaphorePermit,
}

impl Lines {
    /// Of the store's pool.
    pub(super) fn of(store: &Store) -> Lines {
        let half = store.database.pool.options().get_max_connections() / 2;
        Lines(Arc::new(Semaphore::new(half as usize)))
    }

    /// A connection for the statement, where one is free.
    pub(super) async fn take(&self, store: &Store, statement: i64) -> Option<Line> {
        let one = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let connection = store.database.pool.acquire().await.ok()?;
        let name = format!("{}.strict:{statement}", store.schema);
        Some(Line { connection, name, holds: false, _one: one })
    }
}

impl Line {
    /// The connection, to take the lock with.
    pub(super) fn hold(&mut self) -> &mut PgConnection {
        self.holds = true;
        &mut self.connection
    }

    /// The connection, to tell the answer by, which lets go of the lock.
    pub(super) fn answer(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The lock has gone.
    pub(super) fn let_go(&mut self) {
        self.holds = false;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.holds {
            // The lock goes with its session: nobody is to wait for an answer that does not come.
            self.connection.close_on_drop();
        }
    }
}
