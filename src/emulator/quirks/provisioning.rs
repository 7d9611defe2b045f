//! Provisioning: only some kinds of connections take users over SCIM or from a directory, and the
//! mapping that Auth0 starts with goes by the kind.

use serde_json::Value;

use super::{Draft, Quirks, connections};
use crate::emulator::calls::Incoming;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// SCIM, one configuration for each connection.
pub(super) const SCIM: &str = "connection_scim_configuration";
/// A directory, one for each connection.
pub(super) const DIRECTORY: &str = "connection_directory_provisioning";

const SCIM_STRATEGIES: [&str; 4] = ["oidc", "okta", "samlp", "waad"];
const DIRECTORY_STRATEGIES: [&str; 1] = ["google-apps"];

/// The exceptions of SCIM.
pub(super) struct Scim;

/// The exceptions of directories.
pub(super) struct Directory;

/// The kind of the connection in the path.
fn strategy<'s>(store: &'s Store, values: &Fields) -> Option<&'s str> {
    store.get(connections::TABLE, values.get("connection_id")?.as_str()?)?.text("strategy")
}

impl Quirks for Scim {
    fn create(&self, _: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let strategy = strategy(store, &draft.keys).map(Value::from);
        draft.body.extend(strategy.map(|strategy| ("strategy".to_owned(), strategy)));
        Ok(())
    }

    fn call(&self, store: &mut Store, Incoming { values, .. }: Incoming) -> Option<Result<Answer, Problem>> {
        let unfit = !SCIM_STRATEGIES.contains(&strategy(store, values)?);
        let what = "This connection type does not support SCIM. Please see our documentation for the currently \
                    supported connection types: https://auth0.com/docs/authenticate/protocols/scim/configure-inbound-scim.";
        unfit.then(|| Err(Problem::plain(404, what)))
    }
}

impl Quirks for Directory {
    fn call(&self, store: &mut Store, Incoming { values, .. }: Incoming) -> Option<Result<Answer, Problem>> {
        let unfit = !DIRECTORY_STRATEGIES.contains(&strategy(store, values)?);
        let what = "The connection strategy does not support inbound directory provisioning";
        unfit.then(|| Err(Problem::plain(400, what)))
    }
}
