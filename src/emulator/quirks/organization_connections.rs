//! Connections of organizations have two paths: the newer one shows two fields more, and those that
//! are switched off too.

use serde_json::Value;

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::keys::key_of;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::reads;
use crate::emulator::routes::{Action, Route};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::Scene;

pub(super) const TABLE: &str = "organization_connection";

pub(super) struct OrganizationConnections;

/// Whether a path is the newer one.
fn newer(route: &Route) -> bool {
    route.path.contains("/connections")
}

impl Quirks for OrganizationConnections {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        if !newer(route) {
            return None;
        }
        let shape = world.shape(TABLE)?;
        let scene = Scene { world, store, request };
        let mut answer = match &route.action {
            Action::List(list) => reads::list(scene, shape, list, values),
            Action::Get => reads::get(scene, shape, values),
            _ => return None,
        };
        if let Ok(Answer { body: Some(body), .. }) = &mut answer {
            show(store, values, body);
        }
        Some(answer)
    }

    fn after(&self, store: &mut Store, Incoming { route, values, .. }: Incoming, answer: &mut Answer) {
        if let Some(body) = answer.body.as_mut().filter(|_| newer(route)) {
            show(store, values, body);
        }
    }
}

/// Adds what the newer path shows to an item, or to each of a list.
fn show(store: &Store, values: &Fields, body: &mut Value) {
    let Some(organization) = values.get("organization_id").and_then(Value::as_str) else { return };
    let items = match body {
        Value::Object(fields) if fields.contains_key("connections") => fields["connections"].as_array_mut(),
        Value::Array(items) => Some(items),
        item => return add(store, organization, item),
    };
    items.into_iter().flatten().for_each(|item| add(store, organization, item));
}

fn add(store: &Store, organization: &str, item: &mut Value) {
    let connection = item["connection_id"].as_str().unwrap_or_default();
    let stored = store.get(TABLE, &key_of([organization, connection]));
    let defaults: [(&str, Value); 3] = [
        ("is_signup_enabled", false.into()),
        ("is_enabled", true.into()),
        ("organization_access_level", "none".into()),
    ];
    for (field, default) in defaults {
        let value = stored.and_then(|row| row.body.get(field).cloned()).unwrap_or(default);
        item[field] = value;
    }
}
