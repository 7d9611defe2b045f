//! Strict statements: a trigger asks through the replication stream, before its transaction has ended;
//! Auth0 is called; the answer goes into a table that the trigger looks at. What becomes of the
//! transaction decides afterwards: what it has committed stays, what it has not is taken back at Auth0.
//!
//! An intent is stored before a call leaves, so a crash at any point finds it again. Nothing here
//! waits for a row lock before a statement has been answered: its client holds them.

mod intent;
mod line;
mod make;
mod open;
mod question;
mod restore;
mod settle;
mod store;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::lanes::Node;
use super::worker::Context;
use crate::catalog::Target;
use crate::error::Result;
use crate::pg::Database;
use crate::pg::to_read::ToRead;
use intent::Intent;
pub(super) use intent::back;
use line::Lines;
use question::{Key, Question};
use store::Store;

/// What the transactions of strict statements share.
struct Shared {
    context: Context,
    store: Store,
    /// Connections for single statements.
    lines: Lines,
    /// What should be read from Auth0, to ingest.
    to_read: mpsc::UnboundedSender<ToRead>,
    /// Calls under way at most.
    calls: Semaphore,
    /// The same as a number.
    concurrency: usize,
    /// Whether an operator wants nothing to leave.
    paused: watch::Receiver<bool>,
}

impl Shared {
    fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits until what was rolled back may be taken back.
    async fn resumed(&self) {
        // Whoever could pause or resume is gone only at shutdown.
        let _ = self.paused.clone().wait_for(|paused| !paused).await;
    }

    /// Asks ingest to read, and keeps what it asks for; where that fails it is asked for all the same.
    async fn ask(&self, targets: impl IntoIterator<Item = Target>) {
        let targets: Vec<Target> = targets.into_iter().collect();
        let kept = match self.store.keep(&self.context.catalog, targets.clone()).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "what is to be read is not kept");
                targets.into_iter().map(ToRead::unkept).collect()
            }
        };
        for to_read in kept {
            // The receiver is gone only at shutdown.
            let _ = self.to_read.send(to_read);
        }
    }

    /// Asks for a row to be read.
    async fn ask_for_row(&self, (table, key): Node) {
        self.ask(Target::suspected(&self.context.catalog, &table, key)).await;
    }
}

/// Answers strict statements of one tenant.
pub struct Strict {
    shared: Arc<Shared>,
    key: Key,
    /// What an earlier process has left, by transaction, the oldest first.
    left: Vec<(u64, Vec<Intent>)>,
}

impl Strict {
    /// Prepares to answer. `database` is a pool of its own, so that no answer waits behind rows that
    /// clients hold. Rows that an earlier process left undecided are marked before this returns:
    /// nothing may be read or sent before.
    ///
    /// # Errors
    /// Database errors.
    pub async fn open(
        context: Context,
        database: Database,
        concurrency: usize,
        to_read: mpsc::UnboundedSender<ToRead>,
        paused: watch::Receiver<bool>,
    ) -> Result<Strict> {
        let store = Store { database, schema: context.store.schema.clone() };
        let key = store.key().await?;
        let left = store.left(&context.catalog).await?;
        for (txid, intents) in &left {
            for intent in intents {
                context.freshness.doubtful().add(intent.request_id.clone());
            }
            for name in intents.iter().flat_map(Intent::names) {
                // One that a later statement has taken since is marked by that.
                let _ = context.freshness.undecided().take(&name, *txid).now_or_never();
            }
        }
        let calls = Semaphore::new(concurrency);
        let lines = Lines::of(&store);
        let shared = Shared { context, store, lines, to_read, calls, concurrency, paused };
        Ok(Strict { shared: Arc::new(shared), key, left })
    }

    /// Answers what is asked; ends when nobody asks any more. Dropped, it leaves the rest to the next.
    pub async fn run(self, mut questions: mpsc::Receiver<Bytes>) {
        let Strict { shared, key, left } = self;
        let (mut transactions, mut open) = (JoinSet::new(), HashMap::new());
        for (txid, intents) in left {
            tracing::warn!(txid, "a strict statement was under way when the service stopped");
            let (sender, asked) = mpsc::unbounded_channel();
            open.insert(txid, sender);
            transactions.spawn(transaction::run(Arc::clone(&shared), txid, intents, asked));
        }
        loop {
            tokio::select! {
                content = questions.recv() => {
                    let Some(content) = content else { return };
                    match Question::read(&key, &content) {
                        Ok(question) if question.schema == shared.store.schema => {
                            put(&shared, &mut transactions, &mut open, question);
                        }
                        Ok(_) => {}
                        // Another schema's service has a key of its own; else somebody plays with messages.
                        Err(error) => tracing::debug!(%error, "a message of the stream is not for this service"),
                    }
                }
                Some(ended) = transactions.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a strict transaction could not be brought to its end; the next start does it");
                    }
                    open.retain(|_, asked: &mut mpsc::UnboundedSender<Question>| !asked.is_closed());
                }
            }
        }
    }
}

/// The JSON that a trigger has sealed; none where it was not sealed with this schema's key.
///
/// # Errors
/// Database errors.
pub(super) async fn open_sealed(database: &Database, schema: &str, sealed: &[u8]) -> Result<Option<Value>> {
    let store = Store { database: database.clone(), schema: schema.to_owned() };
    let plain = store.key().await?.open(sealed);
    Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
}

/// Hands a question to its transaction; the first one opens it.
fn put(
    shared: &Arc<Shared>,
    transactions: &mut JoinSet<()>,
    open: &mut HashMap<u64, mpsc::UnboundedSender<Question>>,
    question: Question,
) {
    let txid = question.txid;
    let question = match open.get(&txid) {
        Some(transaction) => match transaction.send(question) {
            Ok(()) => return,
            Err(mpsc::error::SendError(question)) => question,
        },
        None => question,
    };
    let (sender, asked) = mpsc::unbounded_channel();
    // It is empty and has just been made.
    let _ = sender.send(question);
    open.insert(txid, sender);
    transactions.spawn(transaction::run(Arc::clone(shared), txid, Vec::new(), asked));
}
