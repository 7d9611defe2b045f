//! What runs at a trigger: bindings, which name an action in several ways, and the versions behind
//! them with the values of their secrets.

use serde_json::{Value, json};

use super::Quirks;
use super::actions::{TABLE as ACTIONS, VERSIONS};
use crate::emulator::calls::Incoming;
use crate::emulator::keys;
use crate::emulator::links;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::routes::Action;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::Request;

/// The table.
pub(super) const TABLE: &str = "action_trigger_binding";

/// The most actions that a trigger runs.
const MOST: usize = 20;

/// The exceptions of what runs at a trigger.
pub(super) struct Bindings;

impl Quirks for Bindings {
    /// An action can be named by its id, by its name, and by the binding that it has already.
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let Action::Set(replace) = &route.action else { return None };
        let mut body = request.body.clone()?;
        let items = body.get_mut("bindings")?.as_array_mut()?;
        if items.len() > MOST {
            let what = format!("Array is too long ({}), maximum {MOST}", items.len());
            return Some(Err(Problem::payload(&what, Some(("bindings", "")))));
        }
        for item in items.iter_mut() {
            if let Err(problem) = by_id(store, item) {
                return Some(Err(problem));
            }
        }
        let shape = match world.table(TABLE) {
            Ok(shape) => shape,
            Err(error) => return Some(Err(Problem::plain(500, error.to_string()))),
        };
        let request = Request { body: Some(body), ..request.clone() };
        let done = links::replace(world, store, &request, shape, values, replace);
        Some(done.map(|done| done.answer))
    }
}

/// Makes a reference to an action one by its id.
fn by_id(store: &Store, item: &mut Value) -> Result<(), Problem> {
    let Some(named) = item.get_mut("ref") else { return Ok(()) };
    let wanted = named.get("value").and_then(Value::as_str).unwrap_or_default();
    let found = match named.get("type").and_then(Value::as_str) {
        Some("action_name") => {
            let mut rows = store.table(ACTIONS).iter();
            rows.find(|(_, row)| row.text("name") == Some(wanted)).map(|(key, _)| key.as_str())
        }
        Some("binding_id") => {
            let mut rows = store.table(TABLE).iter();
            rows.find(|(_, row)| row.text("id") == Some(wanted)).and_then(|(key, _)| keys::last(key))
        }
        _ => return Ok(()),
    };
    let missing = || Problem::plain(404, "That action does not exist.");
    *named = json!({"type": "action_id", "value": found.ok_or_else(missing)?});
    Ok(())
}

/// An action that runs at a trigger, in the version that is deployed.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Bound {
    version: String,
    name: String,
    code: String,
    secrets: Fields,
}

impl Bound {
    /// As the runtime takes it.
    pub(in crate::emulator) fn order(&self) -> Value {
        json!({"version": self.version, "name": self.name, "code": self.code, "secrets": self.secrets})
    }
}

/// What runs at a trigger, in its order; what was never deployed does not.
pub(in crate::emulator) fn bound(store: &Store, trigger: &str) -> Vec<Bound> {
    let here = store.table(TABLE).iter().filter(|(key, _)| keys::first(key) == Some(trigger));
    let mut here: Vec<(u64, &str)> = here
        .filter_map(|(key, row)| {
            let place = row.body.get("position").and_then(Value::as_u64).unwrap_or(u64::MAX);
            Some((place, keys::last(key)?))
        })
        .collect();
    here.sort_unstable_by_key(|(place, _)| *place);
    here.into_iter().filter_map(|(_, action)| running(store, action)).collect()
}

/// An action in the version that runs; none where it was never deployed.
pub(in crate::emulator) fn running(store: &Store, action: &str) -> Option<Bound> {
    let mut versions = store.table(VERSIONS).iter().filter(|(key, _)| keys::first(key) == Some(action));
    let (_, version) = versions.find(|(_, row)| row.body.get("deployed") == Some(&Value::Bool(true)))?;
    let secrets = version.hidden.get("secrets").and_then(Value::as_array).into_iter().flatten();
    let secrets = secrets.filter_map(|secret| {
        Some((secret.get("name")?.as_str()?.to_owned(), secret.get("value").cloned().unwrap_or_default()))
    });
    Some(Bound {
        version: version.text("id")?.to_owned(),
        name: store.get(ACTIONS, action)?.text("name").unwrap_or_default().to_owned(),
        code: version.text("code").unwrap_or_default().to_owned(),
        secrets: secrets.collect(),
    })
}
