//! The e-mail provider: another service knows nothing of the settings and credentials of the old one.

use serde_json::{Value, json};

use super::{Draft, Quirks};
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::Request;

/// The table.
pub(in crate::emulator) const TABLE: &str = "email";

/// The exceptions of the e-mail provider.
pub(super) struct Emails;

impl Quirks for Emails {
    fn update(
        &self,
        _: &Store,
        _: &Request,
        old: &Row,
        patch: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let renamed =
            patch.get("name").and_then(Value::as_str).is_some_and(|name| old.text("name") != Some(name));
        if renamed && !patch.contains_key("settings") {
            draft.body.shift_remove("settings");
        }
        if renamed && !patch.contains_key("credentials") {
            draft.body.insert("credentials".into(), json!({}));
        }
        Ok(())
    }
}
