//! Forms: lists count the flows in a form instead of showing what it is made of.

use serde_json::Value;

use super::Quirks;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::world::Scene;

/// The table.
pub(super) const TABLE: &str = "form";

const LISTED: [&str; 6] = ["id", "name", "created_at", "updated_at", "embedded_at", "submitted_at"];

/// The exceptions of forms.
pub(super) struct Forms;

impl Quirks for Forms {
    fn list(&self, scene: Scene, _: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let rows = scene.store.table(TABLE).values().map(|row| {
            let listed =
                LISTED.iter().filter_map(|name| Some(((*name).to_owned(), row.body.get(*name)?.clone())));
            let mut item: Fields = listed.collect();
            let nodes = row.body.get("nodes").and_then(Value::as_array);
            let flows = nodes.into_iter().flatten().filter(|node| node["type"] == "FLOW").count();
            item.insert("flow_count".into(), flows.into());
            item
        });
        Some(Ok(rows.collect()))
    }
}
