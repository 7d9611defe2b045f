//! Client grants: applications that Auth0's own integrations make get theirs from them.

use serde_json::Value;

use super::{Draft, Quirks, clients};
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

pub(super) const TABLE: &str = "client_grant";

const EXPRESS: &str = "express_configuration";

pub(super) struct ClientGrants;

impl Quirks for ClientGrants {
    fn create(&self, _: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let client = draft.body.get("client_id").and_then(Value::as_str);
        let client = client.and_then(|id| store.get(clients::TABLE, id));
        if client.is_some_and(|client| client.text("app_type") == Some(EXPRESS)) {
            let what = format!("Client of type {EXPRESS} cannot be used");
            return Err(Problem::new(400, what, "validation_error"));
        }
        Ok(())
    }
}
