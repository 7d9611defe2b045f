//! Invitations: their address leads to the application's own login, and they end when they were
//! told to.

use chrono::TimeDelta;
use serde_json::Value;

use super::{Draft, Quirks, clients, organizations};
use crate::emulator::ids;
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

pub(super) const TABLE: &str = "organization_invitation";

const WEEK: i64 = 604_800;

pub(super) struct Invitations;

impl Quirks for Invitations {
    fn create(
        &self,
        world: &World,
        store: &Store,
        request: &Request,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let organization = text(draft.keys.get("organization_id"));
        let client = world.row(store, clients::TABLE, &text(draft.body.get("client_id")))?;
        // Without a login route of the application's own it is the tenant's.
        let login = client
            .text("initiate_login_uri")
            .map_or_else(|| format!("https://{}/login", request.host), str::to_owned);
        let name = world.row(store, organizations::TABLE, &organization)?;
        let name = name.text("name").unwrap_or_default();
        let ticket = ids::word(32);
        let seconds = draft.hidden.shift_remove("ttl_sec").and_then(|ttl| ttl.as_i64());
        let seconds = seconds.filter(|seconds| *seconds > 0).unwrap_or(WEEK);
        let ends = ids::time(request.now + TimeDelta::seconds(seconds));
        let url = format!("{login}?invitation={ticket}&organization={organization}&organization_name={name}");
        for (field, value) in [("invitation_url", url), ("ticket_id", ticket), ("expires_at", ends)] {
            draft.body.insert(field.into(), value.into());
        }
        Ok(())
    }
}
