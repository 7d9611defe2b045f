//! Organizations: the connections that a new one starts with are rows of their own elsewhere; the
//! answer to the create alone shows them, with what is known of each connection.

use serde_json::{Value, json};

use super::{Draft, Quirks, connections};
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "organization";

const CONNECTIONS: &str = "enabled_connections";

/// The exceptions of organizations.
pub(super) struct Organizations;

impl Quirks for Organizations {
    fn create(&self, world: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let Some(Value::Array(mut enabled)) = draft.hidden.shift_remove(CONNECTIONS) else { return Ok(()) };
        for one in &mut enabled {
            let Some(key) = one["connection_id"].as_str() else { continue };
            let row = world.row(store, connections::TABLE, key)?;
            one["connection"] = json!({"name": row.text("name"), "strategy": row.text("strategy")});
            if one["show_as_button"].is_null() {
                one["show_as_button"] = true.into();
            }
        }
        draft.once.insert(CONNECTIONS.into(), enabled.into());
        Ok(())
    }
}
