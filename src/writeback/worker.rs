//! One piece of work from claim to settlement. No transaction is open during a call.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::at_once::Begin;
use super::call::{Deed, Holds, Step, Verdict, after_call, after_read_back, delay, not_read_back, not_there};
use super::lanes::Work;
use super::readback::{self, There};
use super::replace::{self, Parents};
use super::request::{self, Content};
use super::room::{Ahead, Room};
use super::settle::{finish, settle};
use super::settlement::{self, Settled, unheard};
use super::standing::Standing;
use super::store::Store;
use super::unseen::{self, Answered};
use super::{atomic, command, conflict, late, parts, shown};
use crate::auth0::{Client, Outcome, Refusal, Request};
use crate::catalog::{Catalog, Resource, ResourceKind, RowKey, Target, Touch};
use crate::error::{Error, Kind, Result, Retry};
use crate::pg::mirror::{Freshness, Operation, Tick, Unanswered, has_gone_since};
use crate::pg::to_read::ToRead;

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
    /// Parents whose lists of links are being edited.
    pub parents: Arc<Parents>,
    /// Works that have their answer and are not settled.
    pub answered: Arc<Answered>,
    /// Room for calls.
    pub room: Arc<Room>,
}

impl Context {
    /// A new X-Correlation-ID: the tenant log tells by it what this process has written.
    pub(super) fn correlation(&self) -> String {
        format!("{}-{:016x}", self.instance, rand::random::<u64>())
    }
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
        /// What else waits for the cause to pass.
        holds: Holds,
    },
    /// Nothing happened: the row has another key by now, of which the lanes have not heard. A strict DELETE of it
    /// was rolled back, and Auth0 has made it again.
    Renamed {
        /// That key.
        key: RowKey,
        /// A call may have left before.
        uncertain: bool,
    },
}

/// Does a piece of work to its end, which may be claimed already; returns only when its mutations are settled or
/// pending again.
///
/// # Errors
/// Database errors; the mutations stay unsettled and the caller takes them up again.
pub(super) async fn work(context: &Context, work: &Work, begin: Begin, tries: u32) -> Result<Ended> {
    let (Begin { ahead, at_once }, (table, key)) = (begin, &work.node);
    let resource = context.catalog.resource(table)?;
    // What a strict statement has done and its transaction has not kept is taken back before.
    context.freshness.undecided().free(&work.node).await;
    if work.uncertain
        && let Some(ended) = atomic::unheard(&context.store, resource, work).await?
    {
        if let Ended::Settled(Settled { rekeyed: Some(new), .. }) = &ended {
            context.freshness.settled(table, new);
        }
        return Ok(ended);
    }
    let place = if resource.kind == ResourceKind::Command && work.terms.unseen.is_some() && !work.uncertain {
        // A command that is claimed counts as run: it takes its turn before.
        match ahead.call().await {
            Some(turn) => Place::Turn(turn),
            None => return Ok(Ended::Back { at: Instant::now(), alone: false, holds: Holds::Itself }),
        }
    } else {
        Place::Ahead(ahead)
    };
    let fresh_id = context.correlation();
    let claim = unseen::claim(context, work, &fresh_id).await?;
    let mut uncertain = if claim.content.is_some() { claim.sent } else { work.uncertain || claim.sent };
    if uncertain && claim.content.is_none() {
        match context.store.standing(resource, &work.ids).await? {
            Standing::Pending => uncertain = false,
            Standing::Sent => {}
            Standing::Settled { key, reverted } => {
                let row = Target::suspected(&context.catalog, table, key.clone());
                let mut settled = unheard(work, key, reverted);
                settled.to_read.extend(row.map(ToRead::unkept));
                if let Some(new) = &settled.rekeyed {
                    context.freshness.settled(table, new);
                }
                return Ok(Ended::Settled(settled));
            }
        }
    }
    if let Some(by) = &work.terms.discarded {
        let verdict = Verdict::Unfit { kind: Kind::Discarded, message: format!("discarded by {by}") };
        let settled = if resource.kind == ResourceKind::Command {
            finish(&context.store, &context.catalog, work, &verdict, &[]).await?
        } else {
            settled_by(context, work, &verdict, &[]).await?
        };
        return Ok(Ended::Settled(settled));
    }
    if resource.kind == ResourceKind::Watch {
        // Auth0 has nothing to say to it.
        let settled = settle(&context.store, &context.catalog, work, &Verdict::Applied(None), &[]).await?;
        return Ok(Ended::Settled(settled));
    }
    let place = match place {
        Place::Ahead(ahead) if resource.kind == ResourceKind::Command && !uncertain => {
            match ahead.call().await {
                Some(turn) => Place::Turn(turn),
                None => return Ok(Ended::Back { at: Instant::now(), alone: false, holds: Holds::Itself }),
            }
        }
        place => place,
    };
    let (content, request_id) = match claim.content.or(at_once.map(|at_once| at_once.claimed)) {
        Some(claimed) => claimed,
        None => context.store.claim(resource, &work.ids, uncertain, &fresh_id).await?,
    };
    if let Some(key) = RowKey::of(resource, &content.key).filter(|now| now != key) {
        if !uncertain {
            unseen::put_back(context, work).await?;
            context.store.put_back(&work.ids).await?;
        }
        return Ok(Ended::Renamed { key, uncertain });
    }
    let content = late::translate(&context.store, &context.catalog, resource, work, content).await?;
    // Whatever is read until it is dropped may be from before the call.
    let flight = context.freshness.send(table, key);
    let called = if uncertain {
        context.freshness.doubtful().add(request_id);
        drop(place);
        None
    } else {
        Some(first(context, work, resource, (&content, request_id.as_str()), place, tries).await)
    };
    let mut ended = decide(context, work, resource, (content, flight.began()), called, tries).await;
    if let Ok(Ended::Settled(settled)) = &mut ended {
        read_if_gone(context, resource, work, settled, flight.began());
    }
    drop(flight);
    ended
}

/// A row that its call made may have gone after it was answered, and nobody could know it by its key.
pub(super) fn read_if_gone(
    context: &Context,
    resource: &Resource,
    work: &Work,
    settled: &mut Settled,
    began: Tick,
) {
    let key = settled.rekeyed.as_ref().unwrap_or(&work.node.1);
    settled.to_read.extend(gone_since(context, resource, work, key, began).map(ToRead::unkept));
}

/// The same before it settles, when it can be kept.
pub(super) fn may_have_gone(
    context: &Context,
    resource: &Resource,
    work: &Work,
    verdict: &Verdict,
    began: Tick,
) -> Option<Target> {
    let made = settlement::made_key(resource, work, verdict);
    gone_since(context, resource, work, made.as_ref().unwrap_or(&work.node.1), began)
}

fn gone_since(
    context: &Context,
    resource: &Resource,
    work: &Work,
    key: &RowKey,
    began: Tick,
) -> Option<Target> {
    let gone = settlement::may_have_gone(work, resource)
        && has_gone_since(&context.freshness, &context.catalog, resource, key, began);
    gone.then(|| Target::suspected(&context.catalog, &resource.table, key.clone())).flatten()
}

/// Where a work waits for its call.
enum Place {
    Ahead(Ahead),
    Turn(OwnedSemaphorePermit),
}

/// The call, in its turn.
async fn first(
    context: &Context,
    work: &Work,
    resource: &Resource,
    (content, request_id): (&Content, &str),
    place: Place,
    tries: u32,
) -> Step {
    let turn = match place {
        Place::Turn(turn) => Some(turn),
        Place::Ahead(ahead) => ahead.call().await,
    };
    match turn {
        Some(_turn) => call(context, work, resource, content, request_id, tries).await,
        // The service ends: it has not left, and the next start finds it pending.
        None => Step::SendAgain { at: Instant::now(), kind: Kind::Internal, everybody: false },
    }
}

/// Settles; what hangs on a row that is gone by this does not come back by what was read before.
pub(super) async fn settled_by(
    context: &Context,
    work: &Work,
    verdict: &Verdict,
    also: &[Target],
) -> Result<Settled> {
    let resource = context.catalog.resource(&work.node.0)?;
    // Before the row can be seen under its new key: whoever meets it there knows that it is ours.
    let made = settlement::made_key(resource, work, verdict);
    let _arriving = made.as_ref().map(|made| context.freshness.send(&work.node.0, made));
    if settlement::takes_away(work, verdict) {
        context.freshness.gone(&work.node.0, &work.node.1);
    }
    settle(&context.store, &context.catalog, work, verdict, also).await
}

/// Rows of other tables that the write changed too.
pub(super) fn touched(catalog: &Catalog, resource: &Resource, content: &Content) -> Vec<Target> {
    let values = request::values(content);
    let row = |touch: &Touch| {
        let key = RowKey::of(catalog.get(&touch.table)?, &touch.key_of(&values)?)?;
        Target::suspected(catalog, &touch.table, key)
    };
    resource.touches.iter().filter_map(row).collect()
}

/// Goes on from what the call has brought, or, where none is given, from not knowing whether there was one.
async fn decide(
    context: &Context,
    work: &Work,
    resource: &Resource,
    (content, began): (Content, Tick),
    called: Option<Step>,
    mut tries: u32,
) -> Result<Ended> {
    let is_command = resource.kind == ResourceKind::Command;
    let unknown = || Step::ReadBack { at: Instant::now(), kind: Kind::Auth0NoAnswer };
    let mut step = called.unwrap_or_else(unknown);
    loop {
        match step.deed(is_command, Instant::now()) {
            Deed::Settle(verdict) if is_command => {
                let also = match verdict {
                    Verdict::Applied(_) | Verdict::Gone | Verdict::Lost => {
                        command::to_read(&context.catalog, resource, &work.node.1, &content)
                    }
                    _ => Vec::new(),
                };
                let finish = || finish(&context.store, &context.catalog, work, &verdict, &also);
                let mut settled = unseen::settled(context, work, finish).await?;
                settled.answered = true;
                return Ok(Ended::Settled(settled));
            }
            Deed::Settle(verdict) => {
                let verdict = readback::named(context, resource, &content, verdict).await;
                let verdict = readback::as_read(context, resource, &content, verdict).await;
                let mut also = match verdict {
                    Verdict::Applied(_) | Verdict::Gone => touched(&context.catalog, resource, &content),
                    _ => Vec::new(),
                };
                also.extend(may_have_gone(context, resource, work, &verdict, began));
                let settle = || settled_by(context, work, &verdict, &also);
                let mut settled = unseen::settled(context, work, settle).await?;
                settled.answered = true;
                if let Verdict::Applied(Some(row)) = &verdict {
                    let key = settled.rekeyed.as_ref().unwrap_or(&work.node.1);
                    context.freshness.answered(resource, key, row);
                }
                return Ok(Ended::Settled(settled));
            }
            Deed::PutBack { at, alone, holds } => {
                unseen::put_back(context, work).await?;
                context.store.put_back(&work.ids).await?;
                return Ok(Ended::Back { at, alone, holds });
            }
            Deed::ReadBack { at, kind } => {
                tracing::warn!(table = %resource.table, kind = kind.as_str(), "the outcome of a call is unknown, it is read back");
                context.store.doubt(&work.ids).await?;
                tokio::time::sleep_until(at).await;
                tries += 1;
                step = match readback::read_back(context, resource, &content).await {
                    Ok(found) => after_read_back(found, content.operation, &content.after, Instant::now()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read back yet");
                        not_read_back(error.kind(), tries, Instant::now())
                    }
                };
            }
        }
    }
}

/// Makes the calls of a change, once.
pub(super) async fn call(
    context: &Context,
    work: &Work,
    resource: &Resource,
    content: &Content,
    request_id: &str,
    tries: u32,
) -> Step {
    if resource.kind == ResourceKind::Command {
        return match command::build(resource, content, request_id) {
            Ok(request) => {
                let outcome = write(context, resource, &request).await;
                after_call(
                    outcome,
                    |answer| Some(command::result(resource, answer)),
                    1,
                    tries,
                    Instant::now(),
                )
            }
            Err(error) => unfit(&error),
        };
    }
    if work.terms.checked
        && let Some(step) = changed_meanwhile(context, work, resource, content, tries).await
    {
        return step;
    }
    if let Some(replace) = &resource.replace {
        return replace::call(context, resource, replace, content, request_id, tries).await;
    }
    let parts = parts::split(resource, content);
    let mut step = Step::SplitUp;
    for (n, part) in parts.iter().enumerate() {
        step = one(context, work, resource, part, request_id, tries).await;
        match step {
            Step::Finish(Verdict::Applied(_)) => {}
            Step::Finish(Verdict::Refused(refusal)) if n > 0 => {
                return put_back(context, resource, &parts[..n], refusal, request_id).await;
            }
            _ => return step,
        }
    }
    step
}

/// Makes a write. What the application may not do any more is no refusal: the operator mends it.
pub(super) async fn write(context: &Context, resource: &Resource, request: &Request) -> Outcome {
    let id = request.correlation_id.as_deref();
    let unanswered = id.map(|id| context.freshness.doubtful().leaves(id));
    let outcome = context.auth0.write(request).await;
    if !matches!(outcome, Outcome::Unknown { .. }) {
        unanswered.into_iter().for_each(Unanswered::end);
    }
    match outcome {
        Outcome::Refused(refusal) if refusal.lacks_scope() && !resource.plan_as_scope => {
            Outcome::Blocked { kind: Kind::Auth0Scope, message: refusal.to_string() }
        }
        outcome => outcome,
    }
}

/// What keeps a mutation from leaving whose client wants Auth0 to have what it had read; none where
/// Auth0 has.
async fn changed_meanwhile(
    context: &Context,
    work: &Work,
    resource: &Resource,
    content: &Content,
    tries: u32,
) -> Option<Step> {
    let base = match context.store.written_on(work.ids.first().copied().unwrap_or_default()).await {
        Ok(base) => base.unwrap_or_default(),
        Err(error) => return Some(not_sent(&error, tries, Instant::now())),
    };
    let message = match readback::current(context, resource, &content.key).await {
        Ok(There::Row(_, row)) => {
            let columns = conflict::changed(resource, &base, content, &row);
            if columns.is_empty() {
                return None;
            }
            format!("changed at Auth0 since it was read: {}", columns.join(", "))
        }
        // Auth0 says so itself to the call.
        Ok(There::Nothing) => return None,
        Ok(There::Unknown) if content.operation == Operation::Delete => return None,
        Ok(There::Unknown) => "Auth0 does not show whether it has changed since it was read".to_owned(),
        Err(error) => return Some(not_sent(&error, tries, Instant::now())),
    };
    Some(Step::Finish(Verdict::Unfit { kind: Kind::Conflict, message }))
}

/// Puts back what the earlier calls of an update have changed, the last first, before its refusal is
/// told.
async fn put_back(
    context: &Context,
    resource: &Resource,
    done: &[Content],
    mut refusal: Refusal,
    request_id: &str,
) -> Step {
    for part in done.iter().rev() {
        let undo = parts::undo(resource, part).map(|undo| request::build(resource, &undo, None, request_id));
        let Some(Ok(request)) = undo else { continue };
        let mut tries = 0;
        loop {
            match write(context, resource, &request).await {
                Outcome::Applied(_) | Outcome::Gone => break,
                Outcome::Refused(why) => {
                    refusal = parts::left_behind(refusal, part, &why);
                    break;
                }
                Outcome::Throttled { until } => tokio::time::sleep_until(until).await,
                // The same again does no harm.
                Outcome::Blocked { .. } | Outcome::NeverLeft { .. } | Outcome::Unknown { .. } => {
                    tokio::time::sleep(delay(tries)).await;
                    tries += 1;
                }
            }
        }
    }
    Step::Finish(Verdict::PartlyRefused(refusal))
}

async fn one(
    context: &Context,
    work: &Work,
    resource: &Resource,
    content: &Content,
    request_id: &str,
    tries: u32,
) -> Step {
    let now = Instant::now();
    let current = if request::reads_first(resource, content) {
        match readback::current(context, resource, &content.key).await {
            Ok(There::Row(answer, _)) => Some(answer),
            Ok(There::Nothing) => return Step::Finish(Verdict::Refused(not_there())),
            Ok(There::Unknown) => None,
            Err(error) => return not_sent(&error, tries, now),
        }
    } else {
        None
    };
    let request = match request::build(resource, content, current.as_ref(), request_id) {
        Ok(request) => request,
        Err(error) => return unfit(&error),
    };
    if request::says_nothing(resource, &request) {
        // Every key that it touched has been taken back by a later mutation: there is nothing to say.
        return Step::Finish(Verdict::Applied(None));
    }
    let outcome = write(context, resource, &request).await;
    let shown = |answer: &Value| shown::answered(resource, content, answer);
    after_call(outcome, shown, work.ids.len(), tries, Instant::now())
}

/// Nothing has been sent, because what has to be read first could not be.
pub(super) fn not_sent(error: &Error, tries: u32, now: Instant) -> Step {
    // What an operator can mend must revert nothing.
    if error.kind().policy().retry == Retry::Never && !error.kind().is_of_access() {
        return unfit(error);
    }
    Step::SendAgain { at: now + delay(tries), kind: error.kind(), everybody: false }
}

/// It can never be sent as it is.
pub(super) fn unfit(error: &Error) -> Step {
    Step::Finish(Verdict::Unfit { kind: error.kind(), message: error.to_string() })
}
