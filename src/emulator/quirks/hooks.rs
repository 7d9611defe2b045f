//! Secrets of hooks: sent by name, never shown again, deleted by a list of names.

use serde_json::{Value, json};

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::keys::path_key;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;

/// The table.
pub(in crate::emulator) const TABLE: &str = "hook_secret";

const SECRETS: &str = "secrets";
const SHOWN: &str = "_VALUE_NOT_SHOWN_";

/// The exceptions of secrets of hooks.
pub(super) struct HookSecrets;

impl Quirks for HookSecrets {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        if request.method == "GET" {
            return None;
        }
        let key = path_key(world.catalog.get(&route.table)?, values);
        let row = store.get(&route.table, &key);
        let mut secrets = row.and_then(|row| row.body.get(SECRETS)?.as_object().cloned()).unwrap_or_default();
        match &request.body {
            Some(Value::Object(sent)) => {
                secrets.extend(sent.keys().map(|name| (name.clone(), SHOWN.into())));
            }
            Some(Value::Array(names)) => {
                secrets.retain(|name, _| !names.iter().any(|gone| gone.as_str() == Some(name)));
            }
            _ => {}
        }
        store.put(
            &route.table,
            &key,
            Fields::from_iter([(SECRETS.to_owned(), secrets.into())]),
            Fields::new(),
        );
        let deleted = request.method == "DELETE";
        Some(Ok(if deleted { Answer::empty(204) } else { Answer::new(201, json!({})) }))
    }
}
