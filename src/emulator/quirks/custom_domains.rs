//! Custom domains: what a new one has to prove, what proving it changes, and the default, which is a
//! copy of one of them.

use serde_json::{Value, json};

use super::{Draft, Quirks};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::keys::SINGLE;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "custom_domain";
/// The table of the default.
pub(in crate::emulator) const DEFAULT: &str = "custom_domain_default";
/// The table of the command that looks for the proof.
pub(in crate::emulator) const VERIFY: &str = "custom_domain_verify";

const READY: &str = "ready";
const CERTIFICATE_DAYS: i64 = 90;

/// The exceptions of custom domains.
pub(super) struct CustomDomains;

impl Quirks for CustomDomains {
    fn create(&self, _: &World, store: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        draft.body.insert("primary".into(), store.table(TABLE).is_empty().into());
        draft.body.insert("is_default".into(), false.into());
        Ok(())
    }

    /// The record that proves the domain, which names the new id.
    fn finish(&self, _: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let text = |name: &str| draft.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, domain) = (text("custom_domain_id"), text("domain"));
        let method = if text("type") == "self_managed_certs" {
            let record = ids::shaped("{8x}-{4x}-{4x}-{4x}-{12x}");
            json!({"name": "TXT", "record": record, "domain": format!("_cf-custom-hostname.{domain}")})
        } else {
            let record = format!("{}-{}.edge.tenants.{}", request.tenant, id.replace('_', "-"), request.host);
            json!({"name": "CNAME", "record": record.to_lowercase(), "domain": domain})
        };
        if text("type") == "auth0_managed_certs" {
            draft
                .body
                .entry("certificate")
                .or_insert_with(|| json!({"certificate_authority": "letsencrypt"}));
        }
        draft.body.entry("verification").or_insert_with(|| json!({"methods": [method], "status": "pending"}));
        Ok(())
    }
}

/// The exceptions of the default: it shows what the custom domain shows.
pub(super) struct Default;

impl Quirks for Default {
    fn finish(&self, _: &World, store: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let domain = draft.body.get("domain").and_then(Value::as_str).unwrap_or(&request.host).to_owned();
        let own = store.table(TABLE).values().find(|row| row.text("domain") == Some(&domain));
        let known = [Some(request.host.as_str()), old(store)].contains(&Some(domain.as_str()));
        if own.map_or(!known, |row| row.text("status") != Some(READY)) {
            return Err(Problem::body("The domain must be verified before it can be set as default."));
        }
        draft.body = match own {
            Some(row) => row.body.clone(),
            None => Fields::from_iter([("domain".to_owned(), domain.into())]),
        };
        if own.is_some() {
            draft.body.insert("is_default".into(), true.into());
        }
        Ok(())
    }

    /// The rows know whether they are the default.
    fn after(&self, store: &mut Store, Incoming { request, .. }: Incoming, _: &mut Answer) {
        if request.method == "GET" {
            return;
        }
        let chosen = store.get(DEFAULT, SINGLE).and_then(|row| row.text("domain")).map(str::to_owned);
        let rows: Vec<_> = store.table(TABLE).iter().map(|(key, row)| (key.clone(), row.clone())).collect();
        for (key, mut row) in rows {
            let is_default = row.text("domain") == chosen.as_deref();
            if row.body.get("is_default") != Some(&is_default.into()) {
                row.body.insert("is_default".into(), is_default.into());
                store.put(TABLE, &key, row.body, row.hidden);
            }
        }
    }
}

/// What the default is so far.
fn old(store: &Store) -> Option<&str> {
    store.get(DEFAULT, SINGLE).and_then(|row| row.text("domain"))
}

/// Looking for the proof finds it here: the emulator asks no name server.
pub(super) struct Verify;

impl Quirks for Verify {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let key = values.get("custom_domain_id")?.as_str()?;
        Some(verify(world, store, request, key))
    }
}

fn verify(world: &World, store: &mut Store, request: &Request, key: &str) -> Result<Answer, Problem> {
    let mut row = world.row(store, TABLE, key)?.clone();
    if row.text("status") == Some(READY) {
        return Err(Problem::plain(400, "Custom domain already verified."));
    }
    let own = row.text("type") == Some("self_managed_certs");
    row.body.insert("status".into(), READY.into());
    if let Some(Value::Object(verification)) = row.body.get_mut("verification") {
        verification.insert("status".into(), "verified".into());
        verification.insert("last_verified_at".into(), ids::time(request.now).into());
    }
    if own {
        let origin = format!("{}-{}.edge.tenants.{}", request.tenant, key.replace('_', "-"), request.host);
        row.body.insert("origin_domain_name".into(), origin.to_lowercase().into());
    } else {
        let until = ids::time(request.now + chrono::TimeDelta::days(CERTIFICATE_DAYS));
        let certificate = json!({
            "status": "provisioned", "certificate_authority": "letsencrypt", "renews_before": until,
        });
        row.body.insert("certificate".into(), certificate);
    }
    store.put(TABLE, key, row.body.clone(), row.hidden);
    let mut answer = row.body;
    if own {
        // Shown once: the proxy proves itself with it.
        answer.insert("cname_api_key".into(), ids::hex(128).into());
    }
    Ok(Answer::new(200, Value::Object(answer)))
}
