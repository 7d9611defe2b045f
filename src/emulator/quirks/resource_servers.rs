//! APIs: a permission that an API loses is lost by roles and users, and two of Auth0's own APIs are
//! switched on by being created.

use serde_json::{Value, json};

use super::{Draft, Quirks, certificate};
use crate::emulator::calls::Incoming;
use crate::emulator::keys;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

pub(super) const TABLE: &str = "resource_server";

/// The fingerprint of a key in PEM.
fn fingerprint(pem: &str) -> String {
    certificate::digest(&certificate::bytes(pem).unwrap_or_default())
}

/// Tables whose rows name a permission of an API.
const LINKS: [&str; 2] = ["role_permission", "user_permission"];

pub(super) struct ResourceServers;

impl Quirks for ResourceServers {
    fn create(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let own = draft.body.get("identifier").and_then(Value::as_str).is_some_and(|id| id.ends_with("/me/"));
        if own {
            let system = json!({
                "name": "Auth0 My Account API",
                "scopes": [
                    {"value": "create:me:connected_accounts", "description": "Create Connected Accounts"},
                    {"value": "read:me:connected_accounts", "description": "Read Connected Accounts"},
                    {"value": "delete:me:connected_accounts", "description": "Delete Connected Accounts"},
                    {"value": "read:me:authentication_methods", "description": "Read Authentication Methods"},
                    {"value": "delete:me:authentication_methods", "description": "Delete Authentication Methods"},
                    {"value": "update:me:authentication_methods", "description": "Update Authentication Methods"},
                    {"value": "read:me:factors", "description": "Read Factors"},
                    {"value": "create:me:authentication_methods", "description": "Create Authentication Methods"},
                ],
                "signing_alg": "RS256",
                "allow_offline_access": true,
                "token_lifetime": 600,
                "token_lifetime_for_web": 600,
                "skip_consent_for_verifiable_first_party_clients": true,
                "is_system": true,
                "proof_of_possession": {"mechanism": "dpop", "required": false},
                "subject_type_authorization": {
                    "user": {"policy": "require_client_grant"},
                    "client": {"policy": "deny_all"},
                },
            });
            draft.body.extend(system.as_object().cloned().unwrap_or_default());
        }
        Ok(())
    }

    fn finish(&self, _: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        // Auth0 keeps a fingerprint of the key in place of the key.
        if let Some(Value::Object(key)) =
            draft.body.get_mut("token_encryption").and_then(|e| e.get_mut("encryption_key"))
            && let Some(pem) = key.shift_remove("pem").as_ref().and_then(Value::as_str)
        {
            key.insert("thumbprint_sha256".into(), fingerprint(pem).into());
        }
        Ok(())
    }

    fn delete(&self, row: &Row) -> Result<(), Problem> {
        if row.body.get("is_system") == Some(&true.into()) && row.text("name") == Some("Auth0 Management API")
        {
            return Err(Problem::new(400, "Cannot delete a system API.", "operation_not_supported"));
        }
        Ok(())
    }

    fn after(&self, store: &mut Store, Incoming { world, route, .. }: Incoming, answer: &mut Answer) {
        let Some(body) = answer.body.as_ref().filter(|_| route.method == "PATCH") else { return };
        let has = |name: &str| {
            body["scopes"].as_array().is_some_and(|scopes| scopes.iter().any(|scope| scope["value"] == name))
        };
        for table in LINKS {
            let Some((resource, _)) = world.shape(table) else { continue };
            let lost = store.table(table).keys().filter(|key| {
                let link = keys::columns(resource, key);
                link["resource_server_identifier"] == body["identifier"]
                    && !link["permission_name"].as_str().is_some_and(has)
            });
            let lost: Vec<String> = lost.cloned().collect();
            for key in lost {
                store.remove(table, &key);
            }
        }
    }
}
