//! Blocks of users can be asked for by a login name too, which need not be any user's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Quirks;
use super::users::TABLE as USERS;
use crate::emulator::calls::Incoming;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::select;
use crate::emulator::store::Store;

pub(super) const TABLE: &str = "user_block";
pub(super) const COMMAND: &str = "user_unblock";

/// Fields that a user logs in with.
const NAMES: [&str; 3] = ["email", "username", "phone_number"];

/// Both the table and the command.
pub(super) struct Blocks;

impl Quirks for Blocks {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        if let Some(id) = values.get("user_id").and_then(Value::as_str) {
            return world.row(store, USERS, id).err().map(|_| Err(world.missing(TABLE, id)));
        }
        let Some(identifier) = request.param("identifier") else {
            let what = "Query validation error: 'Missing required property: identifier'.";
            return Some(Err(Problem::new(400, what, "invalid_query_string")));
        };
        let named = NAMES.iter().flat_map(|name| {
            let rows = select::named(store, USERS, name, identifier);
            rows.filter(|(_, row)| row.text(name) == Some(identifier)).map(|(id, _)| id.clone())
        });
        // Two of a user's names may be the same.
        let ids: BTreeSet<String> = named.collect();
        if route.method == "DELETE" {
            for id in ids {
                store.remove(TABLE, &id);
            }
            return Some(Ok(Answer::empty(204)));
        }
        let blocks =
            ids.iter().filter_map(|id| store.get(TABLE, id)?.body.get("blocked_for")?.as_array().cloned());
        let blocks: Vec<Value> = blocks.flatten().collect();
        Some(Ok(Answer::new(200, json!({ "blocked_for": blocks }))))
    }
}
