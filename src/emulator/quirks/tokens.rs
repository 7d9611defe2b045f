//! Taking back the refresh tokens that a list names.

use serde_json::Value;

use super::Quirks;
use crate::emulator::problem::Answer;
use crate::emulator::routes::Route;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

pub(super) const TABLE: &str = "refresh_token_revoke";

pub(super) struct Tokens;

impl Quirks for Tokens {
    fn after(&self, _: &World, store: &mut Store, request: &Request, _: &Route, _: &Fields, _: &mut Answer) {
        let ids = request.body.as_ref().and_then(|body| body["ids"].as_array());
        for id in ids.into_iter().flatten().filter_map(Value::as_str) {
            store.remove("refresh_token", id);
        }
    }
}
