//! Actions: secrets become names, a draft is built after the answer, and deploying makes a version
//! of the draft and lets it run.

use serde_json::{Value, json};

use super::{Draft, Quirks, action_bindings, action_modules};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::keys::{self, key_of};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::routes::Action;
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table of actions.
pub(super) const TABLE: &str = "action";
/// Commands that let a version run.
pub(super) const DEPLOYS: [&str; 2] = ["action_deploy", "action_version_deploy"];

/// Drafts that were deployed.
pub(super) const VERSIONS: &str = "action_version";
const TRIGGERS: &str = "action_trigger";
const USES: &str = "action_module_action";
/// Shape of the ids of actions and their versions.
const ID: &str = "{uuid}";
/// Fields of a draft that a version holds.
const CONTENT: [&str; 6] = ["code", "dependencies", "secrets", "modules", "runtime", "supported_triggers"];
/// When a draft last changed, in milliseconds: it is built a while later.
const CHANGED: &str = "changed";
/// Fields of an action inside of what belongs to it.
const REFERENCE: [&str; 5] = ["id", "name", "supported_triggers", "created_at", "updated_at"];

/// The exceptions of actions.
pub(super) struct Actions;

/// The exceptions of the commands that deploy.
pub(super) struct Deploys;

impl Quirks for Actions {
    fn create(&self, _: &World, store: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let trigger = trigger(store, &mut draft.body);
        if let Some(runtime) = trigger.and_then(|row| row.text("default_runtime")) {
            draft.body.entry("runtime").or_insert_with(|| runtime.into());
        }
        name_modules(store, &mut draft.body);
        draft.body.insert("status".into(), "built".into());
        draft.once.insert("status".into(), "pending".into());
        draft.hidden.insert(CHANGED.into(), request.now.timestamp_millis().into());
        name_secrets(draft, &request_secrets(request), request);
        Ok(())
    }

    fn update(
        &self,
        store: &Store,
        request: &Request,
        _: &Row,
        patch: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        trigger(store, &mut draft.body);
        name_modules(store, &mut draft.body);
        if CONTENT.iter().any(|name| patch.contains_key(*name)) {
            draft.body.insert("all_changes_deployed".into(), false.into());
        }
        // Built when it is next looked at, after as long as building takes.
        draft.hidden.insert(CHANGED.into(), request.now.timestamp_millis().into());
        draft.once.insert("status".into(), "pending".into());
        name_secrets(draft, &request_secrets(request), request);
        Ok(())
    }

    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        build(world, store, request);
        let deleted = matches!(route.action, Action::Delete(_)) && !request.flag("force");
        let id = values.get("id").and_then(Value::as_str)?;
        let bound = store.table(action_bindings::TABLE).keys().any(|key| keys::last(key) == Some(id));
        let what = "The action cannot be deleted while it is bound to a trigger.";
        (deleted && bound).then(|| Err(Problem::plain(400, what)))
    }

    fn after(&self, store: &mut Store, Incoming { request, route, .. }: Incoming, answer: &mut Answer) {
        let asked = request.body.as_ref().and_then(|body| body.get("deploy")) == Some(&Value::Bool(true));
        let id = answer.body.as_ref().and_then(|body| Some(body.get("id")?.as_str()?.to_owned()));
        if let (Action::Create(_), true, Some(id)) = (&route.action, asked, id) {
            deploy(store, request, &id, None);
            let row = store.get(TABLE, &id).map(|row| row.body.clone()).unwrap_or_default();
            if let Some(Value::Object(shown)) = answer.body.as_mut() {
                for name in ["current_version", "deployed_version", "all_changes_deployed"] {
                    shown.extend(row.get(name).map(|value| (name.to_owned(), value.clone())));
                }
            }
        }
    }
}

impl Quirks for Deploys {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let text = |name: &str| values.get(name).and_then(Value::as_str);
        let id = text("action_id").unwrap_or_default();
        build(world, store, request);
        if let Err(missing) = world.row(store, TABLE, id) {
            return Some(Err(missing));
        }
        let built = store.get(TABLE, id).is_none_or(|row| row.text("status") == Some("built"));
        if !built && text("version_id").is_none() {
            let what = "A draft must be in the 'built' state in order to be deployed.";
            return Some(Err(Problem::plain(400, what)));
        }
        let mut source = None;
        if let Some(version) = text("version_id") {
            match world.row(store, VERSIONS, &key_of([id, version])) {
                Ok(row) => source = Some(row.clone()),
                Err(missing) => return Some(Err(missing)),
            }
            let update = request.body.as_ref().and_then(|body| body.get("update_draft"));
            if let (Some(source), Some(Value::Bool(true))) = (&source, update) {
                draft_from(store, id, &source.body);
            }
        }
        Some(Ok(Answer::new(200, deploy(store, request, id, source).into())))
    }
}

/// Shows drafts as pending while they are built, and as built afterwards.
fn build(world: &World, store: &mut Store, request: &Request) {
    let lasts = i64::try_from(world.action_build.as_millis()).unwrap_or(i64::MAX);
    let now = request.now.timestamp_millis();
    let status = |row: &Row| {
        let changed = row.hidden.get(CHANGED).and_then(Value::as_i64)?;
        let status = if now.saturating_sub(changed) < lasts { "pending" } else { "built" };
        (row.text("status") != Some(status)).then_some(status)
    };
    let rows = store.table(TABLE).iter();
    let moved: Vec<_> =
        rows.filter_map(|(key, row)| Some((key.clone(), row.clone(), status(row)?))).collect();
    for (key, mut row, status) in moved {
        row.body.insert("status".into(), status.into());
        store.put(TABLE, &key, row.body, row.hidden);
    }
}

/// What secrets a body carries; values stay out of what is shown.
fn request_secrets(request: &Request) -> Option<Vec<Value>> {
    request.body.as_ref()?.get("secrets")?.as_array().cloned()
}

/// Keeps the values of secrets and shows their names and times.
pub(super) fn name_secrets(draft: &mut Draft, secrets: &Option<Vec<Value>>, request: &Request) {
    let Some(secrets) = secrets else { return };
    let known = draft.hidden.get("secrets").and_then(Value::as_array).cloned().unwrap_or_default();
    // One that is named without its value keeps it.
    let whole = |secret: &Value| {
        let known = known.iter().find(|known| known.get("name") == secret.get("name"));
        known.filter(|_| secret.get("value").is_none()).unwrap_or(secret).clone()
    };
    let secrets: Vec<Value> = secrets.iter().map(whole).collect();
    draft.hidden.insert("secrets".into(), secrets.clone().into());
    let shown = secrets
        .iter()
        .map(|secret| json!({"name": secret.get("name"), "updated_at": ids::time(request.now)}));
    draft.body.insert("secrets".into(), shown.collect());
}

/// The trigger of a body, whose version is filled in where it names none.
fn trigger<'s>(store: &'s Store, body: &mut Fields) -> Option<&'s Row> {
    let named = body.get_mut("supported_triggers")?.as_array_mut()?.first_mut()?.as_object_mut()?;
    let id = named.get("id")?.as_str()?.to_owned();
    let version = named.get("version").and_then(Value::as_str).map(str::to_owned);
    let current = |row: &&Row| {
        row.text("id") == Some(&id)
            && match &version {
                Some(version) => row.text("version") == Some(version),
                None => row.text("status") == Some("CURRENT"),
            }
    };
    let row = store.table(TRIGGERS).values().find(current)?;
    named.entry("version").or_insert_with(|| row.text("version").unwrap_or("v1").into());
    Some(row)
}

/// Fills in what an action's modules are called and which version of them it uses.
fn name_modules(store: &Store, body: &mut Fields) {
    let modules = body.get_mut("modules").and_then(Value::as_array_mut);
    for module in modules.into_iter().flatten().filter_map(Value::as_object_mut) {
        let id = module.get("module_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(row) = store.get(action_modules::TABLE, &id) else { continue };
        if let Some(name) = row.body.get("name") {
            module.insert("module_name".into(), name.clone());
        }
        let version = module.get("module_version_id").and_then(Value::as_str).unwrap_or_default();
        let number = store
            .get(action_modules::VERSIONS, &key_of([id.as_str(), version]))
            .and_then(|row| row.body.get("version_number").cloned());
        module.extend(number.map(|number| ("module_version_number".to_owned(), number)));
    }
}

/// Makes the draft what a version holds.
fn draft_from(store: &mut Store, id: &str, source: &Fields) {
    let Some(row) = store.get(TABLE, id).cloned() else { return };
    let mut body = row.body;
    for name in CONTENT {
        if let Some(value) = source.get(name) {
            body.insert(name.into(), value.clone());
        }
    }
    store.put(TABLE, id, body, row.hidden);
}

/// A new version of the draft, or of an earlier version, which runs from now on; the answer.
fn deploy(store: &mut Store, request: &Request, id: &str, source: Option<Row>) -> Fields {
    let Some(row) = store.get(TABLE, id).cloned() else { return Fields::new() };
    let mut action = row.body;
    let of_draft = source.is_none();
    // The values of secrets run with the version that they were given for.
    let (source, secrets) = match source {
        Some(version) => (version.body, version.hidden),
        None => (action.clone(), row.hidden.clone()),
    };
    let now = ids::time(request.now);
    let of_action = |key: &str| keys::first(key) == Some(id);
    let earlier: Vec<(String, Row)> = store
        .table(VERSIONS)
        .iter()
        .filter(|(key, _)| of_action(key))
        .map(|(key, row)| (key.clone(), row.clone()))
        .collect();
    let last = earlier.iter().filter_map(|(_, row)| row.body.get("number")?.as_u64()).max();
    for (key, mut row) in earlier {
        row.body.insert("deployed".into(), false.into());
        store.put(VERSIONS, &key, row.body, row.hidden);
    }
    let mut version: Fields =
        CONTENT.iter().filter_map(|name| Some(((*name).to_owned(), source.get(*name)?.clone()))).collect();
    let version_id = ids::shaped(ID);
    version.insert("id".into(), version_id.as_str().into());
    version.insert("number".into(), (last.unwrap_or(0) + 1).into());
    version.insert("status".into(), "built".into());
    version.insert("created_at".into(), now.as_str().into());
    version.insert("updated_at".into(), now.as_str().into());
    let mut answer = version.clone();
    version.insert("built_at".into(), now.as_str().into());
    version.insert("deployed".into(), true.into());

    let current = json!({
        "id": version_id, "code": version.get("code"), "runtime": version.get("runtime"), "status": "BUILT",
        "number": version.get("number"), "build_time": now, "created_at": now, "updated_at": now,
    });
    action.insert("current_version".into(), current);
    action.insert("deployed_version".into(), version.clone().into());
    if of_draft {
        action.insert("all_changes_deployed".into(), true.into());
    }
    uses(store, id, &action, &version);
    let mut reference: Fields =
        REFERENCE.iter().filter_map(|name| Some(((*name).to_owned(), action.get(*name)?.clone()))).collect();
    reference.insert("all_changes_deployed".into(), false.into());
    version.insert("action".into(), reference.clone().into());
    store.put(TABLE, id, action, row.hidden);
    store.put(VERSIONS, &key_of([id, &version_id]), version, secrets);
    answer.insert("deployed".into(), false.into());
    answer.insert("action".into(), reference.into());
    answer
}

/// Which modules the version that runs uses.
fn uses(store: &mut Store, id: &str, action: &Fields, version: &Fields) {
    let old: Vec<String> =
        store.table(USES).keys().filter(|key| keys::last(key) == Some(id)).cloned().collect();
    for key in old {
        store.remove(USES, &key);
    }
    for module in version.get("modules").and_then(Value::as_array).into_iter().flatten() {
        let Some(module_id) = module.get("module_id").and_then(Value::as_str) else { continue };
        let mut body = Fields::new();
        body.insert("action_name".into(), action.get("name").cloned().unwrap_or_default());
        for name in ["module_version_id", "module_version_number"] {
            if let Some(value) = module.get(name) {
                body.insert(name.into(), value.clone());
            }
        }
        store.put(USES, &key_of([module_id, id]), body, Fields::new());
    }
}
