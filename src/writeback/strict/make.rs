//! Makes one change at Auth0 to its end, or until its statement gives up.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Shared;
use super::intent::{Intent, Stands};
use crate::catalog::{NewKey, Resource, ResourceKind, RowKey};
use crate::error::Kind;
use crate::pg::mirror::{Operation, Row};
use crate::writeback::call::{Step, Verdict, after_read_back, delay};
use crate::writeback::lanes::{Node, Terms, Work};
use crate::writeback::request::Content;
use crate::writeback::{command, readback, settle, settlement, worker};

/// How a change ended.
#[derive(Debug)]
pub(super) enum Made {
    /// Auth0 has decided.
    Decided(Verdict),
    /// Time is up, and nothing has been done at Auth0.
    Unsent(Kind),
    /// Time is up, and nobody knows whether Auth0 has it.
    Unknown(Kind),
}

/// Makes the change; without `until`, however long it takes.
pub(super) async fn make(
    shared: &Shared,
    resource: &Resource,
    node: &Node,
    content: &Content,
    request_id: &str,
    until: Option<Instant>,
) -> Made {
    let context = &shared.context;
    let work = Work {
        ids: vec![0],
        node: node.clone(),
        operation: content.operation,
        uncertain: false,
        terms: Terms::default(),
    };
    let mut tries = 0;
    let mut step = {
        // It is closed never.
        let _one = shared.calls.acquire().await;
        call(shared, &work, content, request_id, tries).await
    };
    loop {
        let (at, kind, sent) = match step {
            Step::Finish(verdict) if resource.kind == ResourceKind::Command => return Made::Decided(verdict),
            // It may have run, and is never sent again.
            Step::ReadBack { .. } if resource.kind == ResourceKind::Command => {
                return Made::Decided(Verdict::Lost);
            }
            Step::Finish(verdict) => {
                let verdict = readback::named(context, resource, content, verdict).await;
                return Made::Decided(readback::as_read(context, resource, content, verdict).await);
            }
            Step::SendAgain { at, kind, .. } => (at, kind, false),
            // One change alone is never split.
            Step::SplitUp => (Instant::now() + delay(tries), Kind::Internal, false),
            Step::ReadBack { at, kind } => (at, kind, true),
        };
        if until.is_some_and(|until| at >= until) {
            return if sent { Made::Unknown(kind) } else { Made::Unsent(kind) };
        }
        tokio::time::sleep_until(at).await;
        tries += 1;
        step = if sent {
            match readback::read_back(context, resource, content).await {
                Ok(found) => after_read_back(found, content.operation, &content.after, Instant::now()),
                Err(error) => Step::ReadBack { at: Instant::now() + delay(tries), kind: error.kind() },
            }
        } else {
            if until.is_none() {
                shared.resumed().await;
            }
            let _one = shared.calls.acquire().await;
            call(shared, &work, content, request_id, tries).await
        };
    }
}

/// Makes the calls of a change, once; they come to their end though nobody waits any more.
async fn call(shared: &Shared, work: &Work, content: &Content, request_id: &str, tries: u32) -> Step {
    let (context, work, content) = (shared.context.clone(), work.clone(), content.clone());
    let id = request_id.to_owned();
    let call = async move {
        let resource = context.catalog.resource(&work.node.0).ok()?;
        Some(worker::call(&context, &work, resource, &content, &id, tries).await)
    };
    let ended = shared.under_way.make(request_id, call).await;
    ended.flatten().unwrap_or_else(|| Step::ReadBack { at: Instant::now(), kind: Kind::Internal })
}

/// Makes what a statement asks for; why not, as its reply tells it.
pub(super) async fn ask(shared: &Shared, intent: &mut Intent, until: Instant) -> Option<Value> {
    let resource = match shared.context.catalog.resource(&intent.node.0) {
        Ok(resource) => resource,
        Err(error) => {
            intent.stands = Stands::Nothing;
            return Some(json!({"kind": error.kind().as_str(), "message": error.to_string()}));
        }
    };
    let made = make(shared, resource, &intent.node, &intent.content, &intent.request_id, Some(until));
    let made = match tokio::time::timeout_at(until, made).await {
        Ok(made) => made,
        Err(_) => Made::Unknown(Kind::Auth0NoAnswer),
    };
    let (stands, refused) = judge(resource, &intent.node.1, &intent.content, made);
    intent.stands = stands;
    refused.map(|mut refused| {
        refused.insert("table".to_owned(), json!(intent.node.0));
        Value::Object(refused)
    })
}

/// What the end of a change means for the intent, and for its statement. Pure.
fn judge(
    resource: &Resource,
    key: &RowKey,
    content: &Content,
    made: Made,
) -> (Stands, Option<Map<String, Value>>) {
    let late = |kind: Kind, message: &str| {
        let text = json!({
            "kind": kind.as_str(), "sqlstate": "57014", "message": message,
            "hint": format!("Nothing is stored. {}", kind.policy().hint),
        });
        text.as_object().cloned()
    };
    let applied = |made: RowKey, answer: Option<Row>| (Stands::Applied { made, answer }, None);
    match made {
        Made::Decided(verdict) => {
            let mut refused = settlement::error_of(&verdict).and_then(|error| error.as_object().cloned());
            match verdict {
                Verdict::Applied(answer) if resource.kind == ResourceKind::Command => {
                    let ended = command::ended(&Verdict::Applied(answer), settle::now());
                    applied(key.clone(), Some(ended))
                }
                Verdict::Applied(answer) => {
                    let answer = answer.filter(|_| content.operation != Operation::Delete);
                    let named = answer.as_ref().and_then(|row| RowKey::of(resource, row));
                    let inserted = content.operation == Operation::Insert;
                    match named {
                        Some(made) if inserted => applied(made, answer),
                        // Without the key that Auth0 has made, the row could not be stored.
                        None if inserted && resource.new_key == NewKey::Server => (
                            Stands::Unknown,
                            late(Kind::Auth0Answer, "Auth0 has not told the key of the new row"),
                        ),
                        _ => applied(key.clone(), answer),
                    }
                }
                Verdict::Gone => applied(key.clone(), None),
                Verdict::Lost => (Stands::Unknown, refused),
                Verdict::Refused(_) | Verdict::PartlyRefused(_) | Verdict::Unfit { .. } => {
                    if let Some(refused) = &mut refused {
                        refused.insert("sqlstate".to_owned(), json!("22023"));
                    }
                    (Stands::Nothing, refused)
                }
            }
        }
        Made::Unsent(kind) => (Stands::Nothing, late(kind, "Auth0 could not be asked in time")),
        Made::Unknown(kind) => (Stands::Unknown, late(kind, "Auth0 has not answered in time")),
    }
}
