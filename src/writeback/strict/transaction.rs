//! One client's transaction with strict statements: its questions are answered one after another, and
//! when it has ended, what it has committed stays and the rest is taken back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::Shared;
use super::intent::{Intent, Stands};
use super::line::Line;
use super::make::ask;
use super::open::Open;
use super::question::Question;
use super::restore::{Back, restore, undo};
use super::settle::{follow, land, land_back, notes};
use crate::error::{Kind, Result};
use crate::pg::mirror::{Flight, Freshness, Operation};
use crate::retry::Delays;

/// Between two looks whether the transaction has ended: growing from the first to the second.
const SOON: Duration = Duration::from_millis(2);
const RARELY: Duration = Duration::from_millis(500);
/// The longest that a statement may want to wait.
const PATIENCE: f64 = 86_400.0;
/// An answer older than this does not go into the table: others may have changed the row at Auth0 since.
const FRESH: Duration = Duration::from_secs(1);

/// Sees a transaction to its end; `intents` is what an earlier process has left of it.
pub(super) async fn run(
    shared: Arc<Shared>,
    txid: u64,
    mut intents: Vec<Intent>,
    mut questions: mpsc::UnboundedReceiver<Question>,
) {
    let freshness = Arc::clone(&shared.context.freshness);
    let (mut flights, mut backs) = (Vec::new(), Vec::new());
    let mut open = Open::new(&shared.store.schema, intents.len());
    let mut statements: HashSet<i64> = intents.iter().map(|intent| intent.statement).collect();
    take_up(&shared, &freshness, &mut flights, txid, &intents).await;
    let (mut pause, mut last) = (SOON, Instant::now());
    loop {
        tokio::select! {
            biased;
            Some(question) = questions.recv() => {
                let statement = question.statement;
                statements.insert(statement);
                let answered = answer(&shared, &freshness, &mut flights, question, &mut intents, &mut backs);
                if let Err(error) = answered.await {
                    tracing::error!(%error, statement, "a strict statement could not be answered");
                }
                open.set(intents.len());
                (pause, last) = (SOON, Instant::now());
                // It goes on now: it has not ended yet.
                continue;
            }
            // Whoever wants one of its rows has got past the transaction's locks.
            () = freshness.undecided().wanted() => {}
            () = sleep(pause) => {}
        }
        match shared.store.has_ended(txid).await {
            Ok(true) => break,
            Ok(false) => pause = (pause * 2).min(RARELY),
            Err(error) => {
                tracing::warn!(%error, "what has become of a strict transaction is not known yet");
                pause = RARELY;
            }
        }
    }
    let fresh = last.elapsed() < FRESH;
    let ended = Ended { txid, intents, backs, statements: statements.into_iter().collect(), fresh };
    decide(&shared, &freshness, flights, ended).await;
}

/// What is known of a transaction at its end.
struct Ended {
    txid: u64,
    intents: Vec<Intent>,
    /// Rows that were taken back before.
    backs: Vec<Back>,
    statements: Vec<i64>,
    /// Whether its answers are so new that nobody else has changed the rows since.
    fresh: bool,
}

/// Marks what an earlier process has left, and tells statements that still wait that it is gone.
async fn take_up<'f>(
    shared: &Shared,
    freshness: &'f Freshness,
    flights: &mut Vec<Flight<'f>>,
    txid: u64,
    intents: &[Intent],
) {
    let names: Vec<_> = intents.iter().flat_map(Intent::names).collect();
    for name in names {
        freshness.undecided().take(&name, txid).await;
        flights.push(freshness.send(&name.0, &name.1));
    }
    let unknown = intents.iter().filter(|intent| intent.stands == Stands::Unknown);
    let statements: HashSet<i64> = unknown.map(|intent| intent.statement).collect();
    for statement in statements {
        let reply = json!({"refused": {
            "kind": Kind::Auth0NoAnswer.as_str(),
            "sqlstate": "57014",
            "message": "the service was started anew while Auth0 was asked",
            "hint": "Nothing is stored; what Auth0 has taken all the same is taken back.",
        }});
        if let Err(error) = shared.store.answer(None, statement, &[], &reply).await {
            tracing::warn!(%error, statement, "a strict statement that still waits could not be told to give up");
        }
    }
}

/// Makes what a statement asks for at Auth0, all of it or nothing, and replies.
async fn answer<'f>(
    shared: &Shared,
    freshness: &'f Freshness,
    flights: &mut Vec<Flight<'f>>,
    question: Question,
    intents: &mut Vec<Intent>,
    backs: &mut Vec<Back>,
) -> Result<()> {
    let Question { statement, txid, until, patience, changes, .. } = question;
    let patience = Duration::from_secs_f64(patience.clamp(0.0, PATIENCE));
    let deadline = Instant::now() + patience;
    // What has gone wrong is to be told before the statement gives up by itself.
    let in_time = deadline - patience / 10;
    if shared.is_paused() {
        return refuse(shared, None, statement, &[], deadline).await;
    }
    let context = &shared.context;
    let new = changes
        .into_iter()
        .enumerate()
        .map(|(place, asked)| Intent::new(&context.catalog, statement, place, asked, context.correlation()));
    let mut new = new.collect::<Result<Vec<_>>>()?;
    // Where the same transaction inserts a row again that it has inserted, it has rolled back to a savepoint.
    for old in intents.iter_mut() {
        let same = |intent: &Intent| {
            let inserts = intent.content.operation == Operation::Insert;
            inserts && old.content.operation == Operation::Insert && intent.node == old.node
        };
        if old.stands != Stands::Nothing && new.iter().any(same) {
            restore(shared, old).await;
            old.stands = Stands::Nothing;
        }
    }
    let names: Vec<_> = new.iter().map(|intent| intent.node.clone()).collect();
    let taking = async {
        for name in &names {
            freshness.undecided().take(name, txid).await;
        }
    };
    if timeout_at(deadline, taking).await.is_err() {
        return Ok(());
    }
    let mut line = shared.lines.take(&shared.store, statement).await;
    if !shared.store.begin(line.as_mut(), txid, until, &new).await? {
        tracing::info!(statement, "a strict statement has given up before Auth0 was asked");
        return Ok(());
    }
    if shared.is_paused() {
        // Whoever has paused looks for intents: what is stored later must not be sent.
        new.iter_mut().for_each(|intent| intent.stands = Stands::Nothing);
        return refuse(shared, line, statement, &new, deadline).await;
    }
    flights.extend(new.iter().map(|intent| freshness.send(&intent.node.0, &intent.node.1)));
    let asked: Vec<_> = new.iter_mut().map(|intent| ask(shared, intent, in_time).boxed()).collect();
    let refused: Vec<Option<Value>> = stream::iter(asked).buffered(shared.concurrency).collect().await;
    for intent in &new {
        let row = intent.row();
        if row != intent.node {
            freshness.undecided().take(&row, txid).await;
            flights.push(freshness.send(&row.0, &row.1));
        }
    }
    let reply = match refused.into_iter().flatten().next() {
        None => json!({ "answers": new.iter().map(|intent| answer_to(shared, intent)).collect::<Vec<_>>() }),
        Some(refused) => {
            backs.extend(take_back(shared, &mut new, deadline).await);
            json!({ "refused": refused })
        }
    };
    let stored = store_reply(shared, line, statement, &new, &reply, deadline).await;
    intents.extend(new);
    stored
}

/// Tells a statement that nothing is written at the moment; nothing of it has been sent.
async fn refuse(
    shared: &Shared,
    line: Option<Line>,
    statement: i64,
    intents: &[Intent],
    deadline: Instant,
) -> Result<()> {
    let why = shared.store.paused_for().await.ok().flatten();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let reply = json!({"refused": {
        "kind": Kind::Paused.as_str(),
        "sqlstate": "55000",
        "message": format!("writes to Auth0 are paused{why}"),
        "hint": "Nothing is stored. Try again after `auth0-sync resume`, or write with auth0.write_mode = async: such a change waits until then.",
    }});
    store_reply(shared, line, statement, intents, &reply, deadline).await
}

fn answer_to(shared: &Shared, intent: &Intent) -> Value {
    let resource = shared.context.catalog.get(&intent.node.0);
    json!({
        "request_id": intent.request_id,
        "row": resource.and_then(|resource| intent.shown(resource)),
    })
}

/// A statement is refused: what Auth0 has taken of it goes back, as far as there is time.
async fn take_back(shared: &Shared, intents: &mut [Intent], deadline: Instant) -> Vec<Back> {
    let undone: Vec<_> =
        intents.iter_mut().map(|intent| take_back_one(shared, intent, deadline).boxed()).collect();
    let undone: Vec<Option<Back>> = stream::iter(undone).buffered(shared.concurrency).collect().await;
    undone.into_iter().flatten().collect()
}

async fn take_back_one(shared: &Shared, intent: &mut Intent, deadline: Instant) -> Option<Back> {
    let back = undo(shared, intent, deadline).await;
    if back.is_some() {
        intent.stands = Stands::Nothing;
    }
    // A conflict says that Auth0 has something that the table does not show.
    shared.ask_for_row(intent.row()).await;
    back
}

/// The reply is tried as long as somebody waits for it, by any connection.
async fn store_reply(
    shared: &Shared,
    mut line: Option<Line>,
    statement: i64,
    intents: &[Intent],
    reply: &Value,
    deadline: Instant,
) -> Result<()> {
    let mut delays = Delays::default();
    loop {
        match shared.store.answer(line.take().as_mut(), statement, intents, reply).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => tracing::warn!(%error, statement, "a strict statement cannot be answered yet"),
        }
        sleep(delays.next_delay()).await;
    }
}

/// The transaction has ended: takes back what it has not committed, and stores what Auth0 has answered.
/// Only then is anything else that was seen of the rows worth a look: it may be from in between.
async fn decide(shared: &Shared, freshness: &Freshness, flights: Vec<Flight<'_>>, ended: Ended) {
    let Ended { txid, intents, mut backs, statements, fresh } = ended;
    let intents: Vec<Intent> =
        intents.into_iter().filter(|intent| intent.stands != Stands::Nothing).collect();
    let what = "what a strict transaction has committed cannot be read yet";
    let committed = insist(what, || shared.store.committed(txid, &intents)).await;
    let (mut taken_back, mut made_again) = (HashSet::new(), HashSet::new());
    let lost: Vec<&Intent> =
        intents.iter().rev().filter(|intent| !committed.contains_key(&intent.request_id)).collect();
    for intent in lost {
        let (row, operation) = (intent.row(), intent.content.operation);
        // A row that has been made again is whole.
        if operation != Operation::Update || !made_again.contains(&row) {
            backs.extend(restore(shared, intent).await);
        }
        if operation == Operation::Delete {
            made_again.insert(row.clone());
        }
        taken_back.insert(row);
    }
    for back in &backs {
        land_back(shared, back).await;
    }
    let kept: Vec<(&Intent, i64)> =
        intents.iter().filter_map(|intent| Some((intent, *committed.get(&intent.request_id)?))).collect();
    let mut last = Vec::new();
    for (n, (intent, _)) in kept.iter().enumerate() {
        let row = intent.row();
        if !taken_back.contains(&row) && !kept[n + 1..].iter().any(|(later, _)| later.row() == row) {
            last.push((*intent, land(shared, intent, fresh).await));
        }
    }
    drop(flights);
    freshness.undecided().release(txid);
    let reading = freshness.begin();
    for (intent, landed) in last {
        follow(shared, intent, landed, reading.began()).await;
    }
    if let Err(error) = shared.store.finish(txid, &statements, &notes(shared, txid, &kept)).await {
        tracing::warn!(%error, "what strict statements have written could not be told");
        let what = "a strict transaction cannot be forgotten yet";
        insist(what, || shared.store.finish(txid, &statements, &[])).await;
    }
}

/// Again, until the database does it.
async fn insist<T, F: Future<Output = Result<T>>>(what: &str, once: impl Fn() -> F) -> T {
    let mut delays = Delays::default();
    loop {
        match once().await {
            Ok(done) => return done,
            Err(error) => tracing::warn!(%error, "{what}"),
        }
        sleep(delays.next_delay()).await;
    }
}
