//! One Action: made, built, deployed, and bound to its trigger where that is how it runs.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::bindings;
use super::calls::{Calls, call, text};
use super::own::{self, Own};
use super::wanted::{CODE, SECRETS, Trigger, Wanted, name};
use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::Row;

/// How long Auth0 may take to build or to deploy.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(250);

/// The key of the column that a resource has for its row.
const KEY: &str = "id";
const BUILT: &str = "built";
const FAILED: &str = "failed";

/// What has to be done with an Action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Update,
    Deploy,
    Nothing,
}

/// Decides by what Auth0 shows, and by whether what it does not show is as it should be.
fn step(found: Option<&Row>, finished: bool) -> Step {
    let Some(row) = found else { return Step::Create };
    let has = |secret: &str| {
        let secrets = row.get("secrets").and_then(Value::as_array).into_iter().flatten();
        secrets.filter_map(|secret| secret.get("name")?.as_str()).any(|name| name == secret)
    };
    let same = text(row, "code").trim_end() == CODE.trim_end() && SECRETS.into_iter().all(has);
    let deployed = row.get("all_changes_deployed").and_then(Value::as_bool) == Some(true);
    match (same && finished, deployed) {
        (false, _) => Step::Update,
        (true, false) => Step::Deploy,
        (true, true) => Step::Nothing,
    }
}

/// Makes the Action of a trigger what it should be, and binds it where it has to be and is not; its key.
pub(super) async fn ensure(
    calls: &Calls<'_>,
    trigger: Trigger,
    own: Option<&Own>,
    wanted: &Wanted,
) -> Result<String> {
    let (name, digest) = (name(&calls.site.instance, trigger.id), wanted.digest_of_code(&trigger));
    let found = find(calls, own, &name).await?;
    let finished = own.is_some_and(|own| {
        own.digest == digest && found.as_ref().is_some_and(|row| text(row, KEY) == own.key)
    });
    let step = step(found.as_ref(), finished);
    let body = json!({
        "name": name,
        "supported_triggers": [{"id": trigger.id, "version": trigger.version}],
        "code": CODE,
        "dependencies": [],
        "secrets": wanted.secrets(trigger),
    });
    let row = match (step, found) {
        (Step::Create, _) | (_, None) => {
            if own.is_some() {
                tracing::warn!(
                    trigger = trigger.id,
                    "the service's Action is gone from Auth0; it is made again"
                );
            }
            let create = calls.code.create.as_ref().map(|create| &create.call);
            let create = call(create, calls.code, "makes a row")?;
            object(calls.make(create, &Row::new(), Some(body)).await?)?
        }
        (Step::Update, Some(row)) => {
            tracing::info!(trigger = trigger.id, "the service's Action is changed at Auth0");
            let update = call(calls.code.update.as_ref(), calls.code, "changes a row")?;
            object(calls.make(update, &key_of(calls.code, text(&row, KEY)), Some(body)).await?)?
        }
        (Step::Deploy | Step::Nothing, Some(row)) => row,
    };
    let key = text(&row, KEY).to_owned();
    if step != Step::Nothing {
        // Found again by its key, and not finished before it runs.
        let unfinished = Own { part: trigger.part.to_owned(), key: key.clone(), digest: String::new() };
        own::store(&calls.site.database, &calls.site.schema, &unfinished).await?;
        let deployed = deploy(calls, trigger, &key).await;
        calls.changed(calls.code, &key);
        deployed?;
        own::store(&calls.site.database, &calls.site.schema, &Own { digest, ..unfinished }).await?;
    }
    if trigger.is_bound && bindings::bind(calls, trigger, &key, &name).await? {
        tracing::info!(trigger = trigger.id, "the service's Action runs behind the others of its trigger");
    }
    Ok(key)
}

/// Unbinds and deletes the Action of a trigger, wherever it is.
pub(super) async fn remove(calls: &Calls<'_>, trigger: Trigger, own: Option<&Own>) -> Result<()> {
    let found = look(calls, trigger, own).await?;
    discard(calls, trigger, found).await
}

/// The Action of a trigger where there is one.
pub(super) async fn look(calls: &Calls<'_>, trigger: Trigger, own: Option<&Own>) -> Result<Option<Row>> {
    // One that was never made may be out of reach of the token's scopes.
    match find(calls, own, &name(&calls.site.instance, trigger.id)).await {
        Err(error) if own.is_none() && matches!(error.kind(), Kind::Auth0Forbidden | Kind::Auth0Scope) => {
            Ok(None)
        }
        found => found,
    }
}

/// Unbinds and deletes the Action that was found, and forgets it.
pub(super) async fn discard(calls: &Calls<'_>, trigger: Trigger, found: Option<Row>) -> Result<()> {
    if let Some(row) = found {
        let (key, name) = (text(&row, KEY), name(&calls.site.instance, trigger.id));
        if trigger.is_bound {
            bindings::unbind(calls, trigger, key).await?;
        }
        calls.delete(calls.code, key).await?;
        tracing::info!(trigger = trigger.id, "the service's Action is removed from Auth0");
        calls.note_removed(|removed| removed.actions.push(name));
    }
    own::forget(&calls.site.database, &calls.site.schema, trigger.part).await
}

/// The Action by its key, or by its name: its key may never have been stored.
async fn find(calls: &Calls<'_>, own: Option<&Own>, name: &str) -> Result<Option<Row>> {
    if let Some(own) = own
        && let Some(row) = calls.get(calls.code, &own.key).await?
    {
        return Ok(Some(row));
    }
    match calls.named(calls.code, name).await? {
        Some(row) => calls.get(calls.code, text(&row, KEY)).await,
        None => Ok(None),
    }
}

/// Waits until the draft is built, lets it run, and waits until it does.
async fn deploy(calls: &Calls<'_>, trigger: Trigger, key: &str) -> Result<()> {
    until(calls, trigger, key, "built", |row| text(row, "status") == BUILT).await?;
    let command = calls.deploy.command.first().map(|command| &command.call);
    let command = call(command, calls.deploy, "runs it")?;
    let named =
        calls.deploy.columns.iter().find(|(_, column)| column.references.as_ref() == Some(&calls.code.table));
    let (column, _) =
        named.ok_or_else(|| Error::new(Kind::Catalog, "what deploys names nothing to deploy"))?;
    calls.make(command, &Row::from_iter([(column.clone(), key.into())]), None).await?;
    let deployed = |row: &Row| row.get("all_changes_deployed").and_then(Value::as_bool) == Some(true);
    until(calls, trigger, key, "deployed", deployed).await
}

async fn until(
    calls: &Calls<'_>,
    trigger: Trigger,
    key: &str,
    what: &str,
    done: impl Fn(&Row) -> bool,
) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let row = calls.get(calls.code, key).await?;
        let Some(row) = row else {
            let what = format!("the Action for {} was deleted while it was being {what}", trigger.id);
            return Err(Error::new(Kind::Auth0Answer, what));
        };
        if done(&row) {
            return Ok(());
        }
        if text(&row, "status") == FAILED {
            let what = format!(
                "Auth0 could not build the Action for {}; its errors stand in the dashboard",
                trigger.id
            );
            return Err(Error::new(Kind::Auth0Refused, what));
        }
        if Instant::now() >= end {
            let what =
                format!("the Action for {} is not {what} after {} seconds", trigger.id, PATIENCE.as_secs());
            return Err(Error::new(Kind::Auth0Server, what));
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) fn key_of(resource: &Resource, key: &str) -> Row {
    RowKey::single(key).to_json(resource)
}

pub(super) fn object(answer: Value) -> Result<Row> {
    match answer {
        Value::Object(row) if !text(&row, KEY).is_empty() => Ok(row),
        _ => Err(Error::new(Kind::Auth0Answer, "what the service has made has no key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, deployed: bool) -> Row {
        let secrets: Vec<Value> = SECRETS.iter().map(|name| json!({"name": name})).collect();
        let row = json!({"code": code, "all_changes_deployed": deployed, "secrets": secrets});
        row.as_object().cloned().unwrap()
    }

    #[test]
    fn an_action_is_touched_only_where_it_is_not_as_it_should_be() {
        assert_eq!(step(None, false), Step::Create);
        assert_eq!(step(None, true), Step::Create);
        assert_eq!(step(Some(&row(CODE, true)), true), Step::Nothing);
        assert_eq!(step(Some(&row(CODE.trim_end(), true)), true), Step::Nothing);
        assert_eq!(step(Some(&row(CODE, false)), true), Step::Deploy);
        assert_eq!(step(Some(&row(CODE, true)), false), Step::Update, "its secrets are older");
        assert_eq!(step(Some(&row("// mine", true)), true), Step::Update, "somebody has edited it");
        let mut bare = row(CODE, true);
        bare.insert("secrets".into(), json!([{"name": SECRETS[0]}]));
        assert_eq!(step(Some(&bare), true), Step::Update, "a secret is missing");
    }
}
