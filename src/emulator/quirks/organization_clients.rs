//! Applications of organizations: adding some answers with what was added.

use serde_json::Value;

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::keys::key_of;
use crate::emulator::problem::Answer;
use crate::emulator::routes::Action;
use crate::emulator::show;
use crate::emulator::store::Store;
use crate::emulator::world::Scene;

/// The table.
pub(super) const TABLE: &str = "organization_client";

/// The exceptions of an organization's applications.
pub(super) struct OrganizationClients;

impl Quirks for OrganizationClients {
    fn after(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
        answer: &mut Answer,
    ) {
        let made = matches!(route.action, Action::Links { .. }) && answer.status == 201;
        let (true, Some(shape)) = (made, world.shape(TABLE)) else { return };
        let organization = values.get("organization_id").and_then(Value::as_str).unwrap_or_default();
        let sent = request.body.as_ref().and_then(|body| body.get("clients")).and_then(Value::as_array);
        let ids = sent.into_iter().flatten().filter_map(|client| client.get("client_id")?.as_str());
        let scene = Scene { world, store, request };
        let rows = ids.filter_map(|id| {
            let key = key_of([organization, id]);
            let row = store.get(TABLE, &key)?;
            Some(Value::Object(show::read(scene, shape, &key, row)))
        });
        answer.body = Some(rows.collect());
    }
}
