//! Token exchange profiles: their action has to be there, of the right trigger, and deployed.

use serde_json::Value;

use super::{Draft, Quirks, actions};
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(super) const TABLE: &str = "token_exchange_profile";

/// The exceptions of token exchange profiles.
pub(super) struct TokenExchangeProfiles;

impl Quirks for TokenExchangeProfiles {
    fn create(&self, _: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let id = draft.body.get("action_id").and_then(Value::as_str).unwrap_or_default();
        let refused = |what: &str| Err(Problem::new(400, what, "invalid_body"));
        let Some(action) = store.get(actions::TABLE, id) else { return refused("Action not found") };
        let trigger = action.body.get("supported_triggers").and_then(|triggers| triggers.get(0)?.get("id"));
        if trigger.and_then(Value::as_str) != Some("custom-token-exchange") {
            return refused("Action must have supported_triggers: custom-token-exchange");
        }
        if !action.body.contains_key("deployed_version") {
            return refused("Action is not deployed");
        }
        Ok(())
    }
}
