//! Attack protection: what is sent of a stage is laid over what the stage has, a level deeper than
//! other objects are merged.

use serde_json::Value;

use super::{Draft, Quirks};
use crate::emulator::problem::Problem;
use crate::emulator::rules::{Fields, fill};
use crate::emulator::store::{Row, Store};
use crate::emulator::world::Request;

/// The table.
pub(in crate::emulator) const TABLE: &str = "attack_protection_suspicious_ip_throttling";

const STAGE: &str = "stage";

/// The exceptions of suspicious IP throttling.
pub(super) struct AttackProtection;

impl Quirks for AttackProtection {
    fn update(
        &self,
        _: &Store,
        _: &Request,
        old: &Row,
        _: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let known = old.body.get(STAGE).and_then(Value::as_object);
        if let (Some(Value::Object(stages)), Some(known)) = (draft.body.get_mut(STAGE), known) {
            fill(stages, known);
        }
        Ok(())
    }
}
