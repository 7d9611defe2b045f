//! Organizations: the connections that a new one starts with are rows of their own elsewhere; the
//! answer to the create alone shows them, with what is known of each connection.

use serde_json::{Value, json};

use super::{Draft, Quirks, connections};
use crate::emulator::keys;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, Scene, World};

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

/// The table of members.
pub(super) const MEMBERS: &str = "organization_member";

/// Members: their list shows the roles that they have there, where it is asked to.
pub(super) struct Members;

impl Quirks for Members {
    fn list(&self, scene: Scene, values: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let asked = scene.request.param("fields").unwrap_or_default();
        let organization = values.get("organization_id").and_then(Value::as_str)?;
        if !asked.split(',').any(|field| field.trim() == "roles") {
            return None;
        }
        let mut shown = Vec::new();
        for member in keys_below(scene.store, MEMBERS, organization) {
            let Some(user) = scene.store.get(super::users::TABLE, member) else { continue };
            let mut item = user.body.clone();
            item.retain(|name, _| ["user_id", "email", "picture", "name"].contains(&name.as_str()));
            let roles = keys_below(scene.store, "organization_member_role", organization);
            let roles = roles.filter_map(|key| key.strip_prefix(member)?.strip_prefix(keys::BETWEEN));
            let roles = roles.filter_map(|role| scene.store.get("role", role));
            let roles = roles.map(|role| json!({"id": role.text("id"), "name": role.text("name")}));
            item.insert("roles".into(), roles.collect());
            shown.push(item);
        }
        Some(Ok(shown))
    }
}

/// What follows the organization in the keys of a table's rows.
fn keys_below<'s>(
    store: &'s Store,
    table: &str,
    organization: &'s str,
) -> impl Iterator<Item = &'s str> + 's {
    let keys = store.table(table).keys();
    keys.filter_map(move |key| key.strip_prefix(organization)?.strip_prefix(keys::BETWEEN))
}
