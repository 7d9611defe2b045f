//! Credentials of clients: what Auth0 reads out of a key or certificate takes its place. Those that
//! come with a client are the same as those that are made below it.

use serde_json::Value;

use super::{Draft, Quirks, certificate, clients};
use crate::emulator::ids;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

pub(super) const TABLE: &str = "client_credential";

pub(super) struct Credentials;

impl Quirks for Credentials {
    fn create(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let pem = draft.hidden.shift_remove("pem");
        let parsed = draft.hidden.shift_remove("parse_expiry_from_cert") == Some(true.into());
        let mut sent = Value::Object(draft.body.clone());
        let certificate = pem.as_ref().and_then(Value::as_str).and_then(certificate::read);
        if let Some(pem) = pem {
            sent["pem"] = pem;
        }
        let shown = clients::credential(&sent, &ids::time(request.now));
        draft.body.extend(shown.as_object().cloned().unwrap_or_default());
        draft.body.retain(|_, value| !value.is_null());
        let kind = draft.body.get("credential_type").and_then(Value::as_str);
        let expires = kind == Some("x509_cert") || parsed;
        if let Some(certificate) = certificate.filter(|_| expires) {
            draft.body.insert("expires_at".into(), certificate.expires.into());
        }
        Ok(())
    }
}

/// Stores the credentials that a new client came with, as its answer shows them.
pub(super) fn keep(store: &mut Store, client: &str, answer: &Value) {
    let methods = answer["client_authentication_methods"].as_object().into_iter().flat_map(Fields::values);
    let request = std::iter::once(&answer["signed_request_object"]);
    for credential in methods.chain(request).filter_map(|method| method["credentials"].as_array()).flatten() {
        let (Some(id), Some(fields)) = (credential["id"].as_str(), credential.as_object()) else { continue };
        // Where only the id stands the credential is known already.
        if fields.len() > 1 {
            let mut fields = fields.clone();
            fields.retain(|_, value| !value.is_null());
            store.put(TABLE, &crate::emulator::keys::key_of([client, id]), fields, Fields::new());
        }
    }
}
