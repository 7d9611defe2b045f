//! Network rules: Auth0 names the lists that it keeps itself, and the tenant where one is read by
//! its key alone.

use serde_json::Value;

use super::{Draft, Quirks};
use crate::emulator::calls::Incoming;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(super) const TABLE: &str = "network_acl";

const LISTS: [&str; 2] = ["auth0.low_reputation", "auth0.icloud_relay_proxy"];

/// The exceptions of network rules.
pub(super) struct NetworkAcls;

impl Quirks for NetworkAcls {
    fn finish(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let named = ["/rule/match/auth0_managed", "/rule/not_match/auth0_managed"];
        let body = Value::Object(draft.body.clone());
        let named = named.iter().filter_map(|place| body.pointer(place)?.as_array()).flatten();
        let strange: Vec<&str> =
            named.filter_map(Value::as_str).filter(|name| !LISTS.contains(name)).collect();
        if strange.is_empty() {
            return Ok(());
        }
        Err(Problem::body(format!(
            "Invalid curated list name(s): {}. Allowed curated list names are: {}",
            strange.join(", "),
            LISTS.join(", ")
        )))
    }
    fn after(&self, _: &mut Store, _: Incoming, answer: &mut Answer) {
        if let Some(Value::Object(shown)) = answer.body.as_mut() {
            shown.shift_remove("tenant_id");
        }
    }
}
