//! The tenant's settings: durations that can be set in minutes and are shown in hours.

use serde_json::Value;

use super::{Draft, Quirks};
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::Request;

/// The table.
pub(in crate::emulator) const TABLE: &str = "tenant";

/// The exceptions of the tenant's settings.
pub(super) struct Tenants;

impl Quirks for Tenants {
    fn update(
        &self,
        _: &Store,
        _: &Request,
        _: &Row,
        patch: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        // The fields in minutes set the same durations as those in hours and are never shown.
        for (name, value) in patch {
            if let (Some(hours), Some(minutes)) = (name.strip_suffix("_in_minutes"), value.as_f64()) {
                draft.hidden.shift_remove(name);
                draft.body.insert(hours.to_owned(), Value::from(minutes / 60.0));
            }
        }
        Ok(())
    }
}
