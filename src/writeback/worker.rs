//! One piece of work from claim to settlement. No transaction is open during a call.

use std::sync::Arc;

use reqwest::Method;
use tokio::time::Instant;

use super::call::{Found, Step, Verdict, after_call, after_read_back};
use super::lanes::Work;
use super::request::{self, Content};
use super::settle::{Settled, settle};
use super::store::{Standing, Store};
use crate::auth0::{Client, Lane, Request};
use crate::catalog::{Catalog, Recognise, Resource, RowKey, fill_path};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Freshness, Operation, Row, row_from_auth0};

/// What every worker of a tenant shares.
#[derive(Clone)]
pub struct Context {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// `_sync_cdc`.
    pub store: Store,
    /// The tenant.
    pub auth0: Client,
    /// Which readings may be applied.
    pub freshness: Arc<Freshness>,
    /// Start of every correlation id.
    pub instance: String,
}

/// How work ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Settled.
    Settled(Settled),
    /// Nothing happened; again not before `at`.
    Back {
        /// Not before this time.
        at: Instant,
        /// The mutations go one by one from now on.
        alone: bool,
        /// The cause concerns every call.
        everybody: Option<Kind>,
    },
}

/// Does a piece of work to its end; returns only when its mutations are settled or pending again.
///
/// # Errors
/// Database errors; the mutations stay unsettled and the caller takes them up again.
pub(super) async fn work(context: &Context, work: &Work, tries: u32) -> Result<Ended> {
    let (table, key) = &work.node;
    let resource = context.catalog.resource(table)?;
    let uncertain = work.uncertain
        && match context.store.standing(&work.ids).await? {
            Standing::Pending => false,
            Standing::Sent => true,
            Standing::Settled => {
                let ids = work.ids.clone();
                return Ok(Ended::Settled(Settled { ids, ..Settled::default() }));
            }
        };
    let fresh_id = format!("{}-{:016x}", &context.instance, rand::random::<u64>());
    let (content, request_id) = context.store.claim(resource, &work.ids, uncertain, &fresh_id).await?;
    // Whatever is read until it is dropped may be from before the call.
    let flight = context.freshness.send(table, key);
    let ended = decide(context, work, resource, content, request_id, uncertain, tries).await;
    drop(flight);
    if let Ok(Ended::Settled(Settled { rekeyed: Some(new), .. })) = &ended {
        context.freshness.settled(table, new);
    }
    ended
}

async fn decide(
    context: &Context,
    work: &Work,
    resource: &Resource,
    content: Content,
    request_id: String,
    uncertain: bool,
    mut tries: u32,
) -> Result<Ended> {
    let mut step = if uncertain {
        Step::ReadBack { at: Instant::now(), kind: Kind::Auth0NoAnswer }
    } else {
        call(context, work, resource, &content, &request_id, tries).await?
    };
    loop {
        step = match step {
            Step::Finish(verdict) => {
                let verdict = as_read(context, resource, &content, verdict).await;
                let settled = settle(&context.store, &context.catalog, work, &verdict).await?;
                return Ok(Ended::Settled(settled));
            }
            Step::SplitUp => {
                context.store.put_back(&work.ids).await?;
                return Ok(Ended::Back { at: Instant::now(), alone: true, everybody: None });
            }
            Step::SendAgain { at, kind, everybody } => {
                context.store.put_back(&work.ids).await?;
                return Ok(Ended::Back { at, alone: false, everybody: everybody.then_some(kind) });
            }
            Step::ReadBack { at, kind } => {
                tracing::warn!(table = %resource.table, kind = kind.as_str(), "the outcome of a call is unknown, it is read back");
                context.store.doubt(&work.ids).await?;
                tokio::time::sleep_until(at).await;
                tries += 1;
                match read_back(context, resource, &content).await {
                    Ok(found) => after_read_back(found, content.operation, &content.after, Instant::now()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read back yet");
                        Step::ReadBack { at: Instant::now() + super::call::delay(tries), kind: error.kind() }
                    }
                }
            }
        };
    }
}

/// The verdict with the row as reading shows it, where the catalogue says that the answer to a
/// write shows other values. It is read before the mutation settles, so that a stop in between
/// leaves nothing behind that nobody would correct.
async fn as_read(context: &Context, resource: &Resource, content: &Content, verdict: Verdict) -> Verdict {
    let Verdict::Applied(Some(answer)) = &verdict else { return verdict };
    if !resource.reread || content.operation == Operation::Delete {
        return verdict;
    }
    let row = row_from_auth0(resource, answer, |_| None);
    let key = RowKey::of(resource, &row).map_or_else(|| content.key.clone(), |key| key.to_json(resource));
    let Some(request) = request::read(resource, &key, Lane::Write) else { return verdict };
    let mut tries = 0;
    loop {
        match one(context, resource, &request).await {
            Ok(Some((object, _))) => return Verdict::Applied(Some(object)),
            // Somebody has deleted it since, which the tenant log will tell.
            Ok(None) => return verdict,
            // It will never be readable: the answer has to do.
            Err(error) if error.kind().policy().retry == Retry::Never => return verdict,
            Err(error) => tracing::warn!(%error, "a row that was written cannot be read yet"),
        }
        tokio::time::sleep(super::call::delay(tries)).await;
        tries += 1;
    }
}

async fn call(
    context: &Context,
    work: &Work,
    resource: &Resource,
    content: &Content,
    request_id: &str,
    tries: u32,
) -> Result<Step> {
    let current = if request::reads_first(resource, content) {
        match current(context, resource, content).await {
            Ok(there) => Some(there.map(|(object, _)| object).unwrap_or_default()),
            // Nothing has been sent yet.
            Err(error) => {
                let at = Instant::now() + super::call::delay(tries);
                return Ok(Step::SendAgain { at, kind: error.kind(), everybody: false });
            }
        }
    } else {
        None
    };
    let request = request::build(resource, content, current.as_ref(), request_id)?;
    let empty = request.method == Method::PATCH
        && request.body.as_ref().is_some_and(|body| body == &serde_json::json!({}));
    if empty {
        // Every key that it touched has been taken back by a later mutation: there is nothing to say.
        return Ok(Step::Finish(Verdict::Applied(None)));
    }
    let outcome = context.auth0.write(&request).await;
    Ok(after_call(outcome, work.ids.len(), tries, Instant::now()))
}

async fn current(context: &Context, resource: &Resource, content: &Content) -> Result<Option<(Row, Row)>> {
    let request = request::read(resource, &content.key, Lane::Write)
        .ok_or_else(|| Error::new(Kind::Internal, format!("{} cannot be read by its key", resource.table)))?;
    one(context, resource, &request).await
}

async fn one(context: &Context, resource: &Resource, request: &Request) -> Result<Option<(Row, Row)>> {
    match context.auth0.read(request).await {
        Ok(answer) => {
            let object = answer.body.as_object().cloned().unwrap_or_default();
            let row = row_from_auth0(resource, &object, |_| None);
            Ok(Some((object, row)))
        }
        Err(error) if error.kind() == Kind::Auth0NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds out what became of a call whose answer was lost.
async fn read_back(context: &Context, resource: &Resource, content: &Content) -> Result<Found> {
    let found =
        |pair: Option<(Row, Row)>| pair.map_or(Found::Nothing, |(answer, row)| Found::Row(answer, row));
    if content.operation != Operation::Insert {
        // A secret cannot be read back; setting it again to the same value does no harm.
        if resource.get.is_none() || (content.after.is_empty() && content.operation == Operation::Update) {
            return Ok(Found::Repeatable);
        }
        return Ok(found(current(context, resource, content).await?));
    }
    let recognise = resource.create.as_ref().map(|create| &create.recognise);
    match recognise {
        Some(Recognise::Key) => Ok(found(current(context, resource, content).await?)),
        Some(Recognise::Repeat) | None => Ok(Found::Repeatable),
        Some(Recognise::Path { path }) => {
            let path = fill_path(path, &content.after)
                .ok_or_else(|| Error::new(Kind::Internal, format!("a value for {path} is missing")))?;
            Ok(found(one(context, resource, &Request::get(path, Lane::Write)).await?))
        }
        Some(Recognise::List { query, columns }) => {
            super::recognise::in_list(context, resource, content, query, columns).await
        }
    }
}
