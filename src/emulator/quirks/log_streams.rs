//! Log streams: what Auth0 adds to a sink, what it masks, and what a stream with priority carries.

use serde_json::{Value, json};

use super::{Draft, Quirks};
use crate::emulator::ids;
use crate::emulator::problem::Problem;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "log_stream";

const MASK: &str = "********";

/// The exceptions of log streams.
pub(super) struct LogStreams;

impl Quirks for LogStreams {
    fn finish(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let kind = draft.body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(Value::Object(sink)) = draft.body.get_mut("sink") {
            match kind.as_str() {
                "eventbridge" if !sink.contains_key("awsPartnerEventSource") => {
                    let id = ids::shaped("{8x}-{4x}-{4x}-{4x}-{12x}");
                    let source = format!("aws.partner/auth0.com/{}-{id}/auth0.logs", request.tenant);
                    sink.insert("awsPartnerEventSource".into(), source.into());
                }
                "eventgrid" if !sink.contains_key("azurePartnerTopic") => {
                    let id = sink.get("azureSubscriptionId").and_then(Value::as_str).unwrap_or_default();
                    let topic = format!("azure.partner/auth0.com/{}-{id}/auth0.logs", request.tenant);
                    sink.insert("azurePartnerTopic".into(), topic.into());
                }
                "mixpanel" if sink.contains_key("mixpanelServiceAccountPassword") => {
                    sink.insert("mixpanelServiceAccountPassword".into(), MASK.into());
                }
                _ => {}
            }
        }
        // Streams with priority carry security events, whatever they were asked to.
        if draft.body.get("isPriority") == Some(&true.into()) {
            draft.body.insert("filters".into(), json!([{"type": "category", "name": "security"}]));
        }
        if draft.body.get("filters").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            draft.body.shift_remove("filters");
        }
        Ok(())
    }
}
