//! Clients: their ids and secrets, credentials that are kept and never shown, and the global client.

use serde_json::{Value, json};

use super::{Draft, Quirks, certificate, credentials};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table. The token endpoint needs it too: applications are the tenant's API users.
pub(in crate::emulator) const TABLE: &str = "client";
/// The field that holds the secret.
pub(in crate::emulator) const SECRET: &str = "client_secret";

const METHODS: &str = "client_authentication_methods";

/// The exceptions of clients.
pub(super) struct Clients;

impl Quirks for Clients {
    fn create(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        check(&draft.body)?;
        draft.body.insert("tenant".into(), request.tenant.as_str().into());
        // A client that proves itself by keys or certificates has no secret.
        if !draft.body.contains_key(METHODS) {
            draft.body.insert(SECRET.into(), ids::word(64).into());
        }
        let subject = format!("/CN={}", request.host);
        let mut keys = json!([{"cert": ids::word(64), "pkcs7": ids::word(64), "subject": subject}]);
        draft.body.insert("signing_keys".into(), keys.clone());
        // The private key is shown once.
        keys[0]["key"] = ids::word(64).into();
        draft.once.insert("signing_keys".into(), keys);
        draft.once.insert("encrypted".into(), true.into());
        Ok(())
    }

    fn judge(&self, _: &World, _: &Store, _: &Row, patch: &Fields) -> Result<(), Problem> {
        check(patch)
    }

    fn finish(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        // `client_secret` can be set, and unlike other write-only fields it is shown.
        if let Some(secret) = draft.hidden.shift_remove(SECRET) {
            draft.body.insert(SECRET.into(), secret);
        }
        // Credentials sent with the client become objects of their own: the answer shows them once,
        // the client keeps their ids.
        if let Some(Value::Object(methods)) = draft.body.get_mut(METHODS) {
            let mut shown = methods.clone();
            for (method, sent) in methods.iter_mut() {
                let lists = [sent.get_mut("credentials"), shown[method].get_mut("credentials")];
                let [Some(Value::Array(kept)), Some(Value::Array(shown))] = lists else { continue };
                for (kept, shown) in kept.iter_mut().zip(shown) {
                    if kept["id"].is_null() {
                        *shown = credential(kept, &ids::time(request.now));
                    }
                    *kept = json!({"id": shown["id"]});
                }
            }
            draft.once.insert(METHODS.into(), Value::Object(shown));
        }
        // The older name of a part of `oidc_logout`, which Auth0 keeps answering.
        if let Some(urls) =
            draft.body.get("oidc_logout").and_then(|logout| logout.get("backchannel_logout_urls"))
        {
            let older = json!({"backchannel_logout_urls": urls});
            draft.body.insert("oidc_backchannel_logout".into(), older);
        }
        // The older name of the same switch.
        if let Some(value) = draft.body.get("cross_origin_authentication").cloned() {
            draft.body.insert("cross_origin_auth".into(), value);
        }
        Ok(())
    }

    fn after(&self, store: &mut Store, Incoming { route, .. }: Incoming, answer: &mut Answer) {
        // Credentials that came with the client are rows of their own.
        if let Some(body) = answer.body.as_ref().filter(|_| route.method != "DELETE") {
            credentials::keep(store, body["client_id"].as_str().unwrap_or_default(), body);
        }
    }

    fn delete(&self, row: &Row) -> Result<(), Problem> {
        // It stands for the tenant itself.
        if row.body.get("global") == Some(&Value::Bool(true)) {
            return Err(Problem::body("The global client cannot be deleted"));
        }
        Ok(())
    }
}

/// A default organization names itself and the flows that it is for.
fn check(body: &Fields) -> Result<(), Problem> {
    let Some(Value::Object(default)) = body.get("default_organization") else { return Ok(()) };
    match ["organization_id", "flows"].into_iter().find(|name| !default.contains_key(*name)) {
        Some(name) => Err(Problem::payload(
            &format!("Missing required property: {name}"),
            Some(("default_organization", "Organization that is used where a request names none")),
        )),
        None => Ok(()),
    }
}

/// A credential as Auth0 shows it when it is new.
pub(super) fn credential(sent: &Value, now: &str) -> Value {
    let id = format!("cred_{}", ids::word(22));
    let kind = &sent["credential_type"];
    let mut shown = json!({"id": id, "name": sent["name"], "credential_type": kind, "created_at": now, "updated_at": now});
    let certificate = sent["pem"].as_str().and_then(certificate::read);
    match kind.as_str() {
        Some("public_key") => {
            let algorithm = sent["alg"].as_str().unwrap_or("RS256");
            shown["alg"] = algorithm.into();
            let key = sent["pem"].as_str().and_then(certificate::bytes).unwrap_or_default();
            shown["kid"] = certificate::digest(&key).into();
        }
        Some("x509_cert") => {
            if let Some(certificate) = certificate {
                shown["expires_at"] = certificate.expires.replace(".000Z", "Z").into();
                shown["thumbprint_sha256"] = certificate::digest(&certificate.bytes).into();
            }
        }
        _ => {
            let subject = certificate
                .map(|certificate| certificate.lines())
                .or(sent["subject_dn"].as_str().map(str::to_owned));
            shown["subject_dn"] = subject.unwrap_or_default().into();
        }
    }
    shown
}
