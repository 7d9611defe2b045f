//! Partials of prompts: a screen without any is as if it had not been sent.

use serde_json::Value;

use super::{Draft, Quirks};
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "prompt_partial";

/// The exceptions of partials.
pub(super) struct Partials;

impl Quirks for Partials {
    fn finish(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        if let Some(Value::Object(screens)) = draft.body.get_mut("partials") {
            screens.retain(|_, places| places.as_object().is_none_or(|places| !places.is_empty()));
        }
        Ok(())
    }
}
