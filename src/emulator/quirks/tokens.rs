//! Taking back the refresh tokens that a list names.

use serde_json::Value;

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::problem::Answer;
use crate::emulator::store::Store;

pub(super) const TABLE: &str = "refresh_token_revoke";

pub(super) struct Tokens;

impl Quirks for Tokens {
    fn after(&self, store: &mut Store, Incoming { request, .. }: Incoming, _: &mut Answer) {
        let ids = request.body.as_ref().and_then(|body| body["ids"].as_array());
        for id in ids.into_iter().flatten().filter_map(Value::as_str) {
            store.remove("refresh_token", id);
        }
    }
}
