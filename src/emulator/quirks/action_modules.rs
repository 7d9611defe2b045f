//! Action modules: secrets become names, publishing makes a version of the draft, and one that a
//! deployed action uses stays.

use serde_json::{Value, json};

use super::actions::name_secrets;
use super::{Draft, Quirks};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::keys::{self, key_of};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::routes::Action;
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table of modules.
pub(super) const TABLE: &str = "action_module";
/// The table of their versions.
pub(super) const VERSIONS: &str = "action_module_version";
/// The command that goes back to a version.
pub(super) const ROLLBACK: &str = "action_module_rollback";

const USES: &str = "action_module_action";
const ID: &str = "{uuid}";
const CONTENT: [&str; 3] = ["code", "dependencies", "secrets"];
/// Fields of a version inside of its module.
const LATEST: [&str; 5] = ["id", "version_number", "code", "dependencies", "secrets"];

/// The exceptions of modules.
pub(super) struct Modules;

/// The exceptions of their versions.
pub(super) struct Versions;

/// The exceptions of going back.
pub(super) struct Rollback;

fn secrets(request: &Request) -> Option<Vec<Value>> {
    request.body.as_ref()?.get("secrets")?.as_array().cloned()
}

impl Quirks for Modules {
    fn create(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        name_secrets(draft, &secrets(request), request);
        Ok(())
    }

    fn update(
        &self,
        _: &Store,
        request: &Request,
        old: &Row,
        _: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        name_secrets(draft, &secrets(request), request);
        draft.body.insert("all_changes_published".into(), false.into());
        // The answer to a PATCH has the time of the change before.
        if let Some(time) = old.body.get("updated_at") {
            draft.once.insert("updated_at".into(), time.clone());
        }
        Ok(())
    }

    fn call(
        &self,
        store: &mut Store,
        Incoming { route, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = values.get("id").and_then(Value::as_str)?;
        let used = store.table(USES).keys().any(|key| keys::first(key) == Some(id));
        let what = "The Actions Module cannot be deleted because it is in use by one or more actions.";
        (matches!(route.action, Action::Delete(_)) && used).then(|| Err(Problem::plain(412, what)))
    }

    fn after(&self, store: &mut Store, Incoming { request, route, .. }: Incoming, answer: &mut Answer) {
        let asked = request.body.as_ref().and_then(|body| body.get("publish")) == Some(&Value::Bool(true));
        let id = answer.body.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
        if let (Action::Create(_), true, Some(id)) = (&route.action, asked, id) {
            let mut version = Fields::new();
            fill(store, request, id, &mut version);
            publish(store, id, version);
        }
    }
}

impl Quirks for Versions {
    fn create(
        &self,
        world: &World,
        store: &Store,
        request: &Request,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let id = draft.keys.get("module_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let module = world.row(store, TABLE, &id)?;
        if module.body.get("all_changes_published") == Some(&Value::Bool(true)) {
            return Err(Problem::plain(409, "No draft version is available to publish."));
        }
        fill(store, request, &id, &mut draft.body);
        Ok(())
    }

    fn after(&self, store: &mut Store, Incoming { route, values, .. }: Incoming, answer: &mut Answer) {
        let id = values.get("module_id").and_then(Value::as_str).unwrap_or_default();
        if let (Action::Create(_), Some(Value::Object(version))) = (&route.action, &answer.body) {
            show_latest(store, id, version);
        }
    }
}

impl Quirks for Rollback {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = values.get("module_id").and_then(Value::as_str).unwrap_or_default();
        let version = request.body.as_ref().and_then(|body| body.get("module_version_id"));
        let version = version.and_then(Value::as_str).unwrap_or_default();
        let Some(version) = store.get(VERSIONS, &key_of([id, version])).cloned() else {
            return Some(Err(Problem::plain(404, "The module or version does not exist.")));
        };
        let module = match world.row(store, TABLE, id) {
            Ok(row) => row.clone(),
            Err(missing) => return Some(Err(missing)),
        };
        let mut body = module.body;
        let same = CONTENT.iter().all(|name| body.get(*name) == version.body.get(*name));
        if same && body.get("all_changes_published") == Some(&Value::Bool(true)) {
            let what = "The specified version is already the current draft version.";
            return Some(Err(Problem::plain(409, what)));
        }
        for name in CONTENT {
            if let Some(value) = version.body.get(name) {
                body.insert(name.into(), value.clone());
            }
        }
        let latest = body.get("latest_version").and_then(|latest| latest.get("id"));
        let published = latest == version.body.get("id");
        body.insert("all_changes_published".into(), published.into());
        body.insert("updated_at".into(), ids::time(request.now).into());
        store.put(TABLE, id, body.clone(), module.hidden);
        Some(Ok(Answer::new(200, body.into())))
    }
}

/// A version of the module's draft; what it has already stays.
fn fill(store: &Store, request: &Request, id: &str, version: &mut Fields) {
    let Some(module) = store.get(TABLE, id) else { return };
    for name in CONTENT {
        if let Some(value) = module.body.get(name) {
            version.insert(name.into(), value.clone());
        }
    }
    let numbers = store.table(VERSIONS).iter().filter(|(key, _)| keys::first(key) == Some(id));
    let last = numbers.filter_map(|(_, row)| row.body.get("version_number")?.as_u64()).max();
    version.insert("version_number".into(), (last.unwrap_or(0) + 1).into());
    version.entry("created_at").or_insert_with(|| ids::time(request.now).into());
}

fn publish(store: &mut Store, id: &str, mut version: Fields) {
    let version_id = ids::shaped(ID);
    version.insert("id".into(), version_id.as_str().into());
    version.insert("module_id".into(), id.into());
    show_latest(store, id, &version);
    store.put(VERSIONS, &key_of([id, &version_id]), version, Fields::new());
}

/// The module shows its newest version.
fn show_latest(store: &mut Store, id: &str, version: &Fields) {
    let Some(row) = store.get(TABLE, id).cloned() else { return };
    let mut body = row.body;
    let latest: Fields =
        LATEST.iter().filter_map(|name| Some(((*name).to_owned(), version.get(*name)?.clone()))).collect();
    body.insert("latest_version".into(), json!(latest));
    body.insert("all_changes_published".into(), true.into());
    store.put(TABLE, id, body, row.hidden);
}
