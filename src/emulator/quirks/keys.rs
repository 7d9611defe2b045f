//! Keys: rotating moves every signing key by one place, and a new level of the hierarchy of
//! encryption keys destroys the one that it replaces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, Scene, World};

/// The table of encryption keys.
pub(in crate::emulator) const ENCRYPTION: &str = "encryption_key";
/// The tables of the commands that this is about.
pub(in crate::emulator) const ROTATE: &str = "signing_key_rotate";
/// Revoking a signing key.
pub(in crate::emulator) const REVOKE: &str = "signing_key_revoke";
/// New keys at every level.
pub(in crate::emulator) const REKEY: &str = "encryption_key_rekey";
/// The material of a root key.
pub(in crate::emulator) const IMPORT: &str = "encryption_key_import";
/// The key that wraps it.
pub(in crate::emulator) const WRAP: &str = "encryption_key_wrapping_key";

const SIGNING: &str = "signing_key";
const MASTER: &str = "tenant-master-key";
const ROOTS: [&str; 2] = ["environment-root-key", "customer-provided-root-key"];
/// Fewer bytes hold no wrapped key.
const LEAST_MATERIAL: usize = 64;

/// The exceptions of keys.
pub(super) struct Keys;

impl Quirks for Keys {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let kid = values.get("kid").and_then(Value::as_str).unwrap_or_default();
        match route.table.as_str() {
            ROTATE => Some(Ok(rotate(store, request))),
            REVOKE => Some(revoke(world, store, request, kid)),
            REKEY => {
                let root = active(store, &ROOTS).unwrap_or_default();
                renew(store, request, &root);
                Some(Ok(Answer::empty(204)))
            }
            IMPORT => Some(import(world, store, request, kid)),
            WRAP => Some(wrap(world, store, kid)),
            _ => None,
        }
    }
}

fn rows(store: &Store, table: &str) -> Vec<(String, Fields)> {
    store.table(table).iter().map(|(key, row)| (key.clone(), row.body.clone())).collect()
}

fn is(row: &Fields, field: &str) -> bool {
    row.get(field) == Some(&true.into())
}

fn rotate(store: &mut Store, request: &Request) -> Answer {
    let now: Value = ids::time(request.now).into();
    for (kid, mut row) in rows(store, SIGNING) {
        let (was_current, was_next) = (is(&row, "current"), is(&row, "next"));
        row.insert("current".into(), was_next.into());
        row.insert("next".into(), false.into());
        row.insert("previous".into(), was_current.into());
        if was_current {
            row.insert("current_until".into(), now.clone());
        }
        if was_next {
            row.insert("current_since".into(), now.clone());
        }
        store.put(SIGNING, &kid, row, Fields::new());
    }
    let next = signing_key();
    let (kid, cert) = (next["kid"].as_str().unwrap_or_default().to_owned(), next["cert"].clone());
    store.put(SIGNING, &kid, next, Fields::new());
    Answer::new(201, json!({"cert": cert, "kid": kid}))
}

/// A new key in the next place. Nothing is signed with it, so that its certificate has the form alone.
fn signing_key() -> Fields {
    let certificate = STANDARD.encode(ids::word(480));
    let block = |kind: &str| format!("-----BEGIN {kind}-----\r\n{certificate}\r\n-----END {kind}-----");
    let mut row = Fields::new();
    row.insert("kid".into(), ids::word(21).into());
    row.insert("cert".into(), block("CERTIFICATE").into());
    row.insert("pkcs7".into(), block("PKCS7").into());
    for name in ["current", "next", "previous"] {
        row.insert(name.into(), (name == "next").into());
    }
    row.insert("fingerprint".into(), pairs().into());
    row.insert("thumbprint".into(), ids::hex(40).to_uppercase().into());
    row.insert("revoked".into(), false.into());
    row
}

fn pairs() -> String {
    (0..20).map(|_| ids::hex(2).to_uppercase()).collect::<Vec<_>>().join(":")
}

fn revoke(world: &World, store: &mut Store, request: &Request, kid: &str) -> Result<Answer, Problem> {
    let mut row = world.row(store, SIGNING, kid)?.body.clone();
    row.insert("revoked".into(), true.into());
    row.insert("revoked_at".into(), ids::time(request.now).into());
    store.put(SIGNING, kid, row.clone(), Fields::new());
    Ok(Answer::new(200, Value::Object(row)))
}

/// The active key of one of these kinds.
fn active(store: &Store, kinds: &[&str]) -> Option<String> {
    let mut keys = store.table(ENCRYPTION).iter();
    let found = keys.find(|(_, row)| {
        row.text("state") == Some("active") && row.text("type").is_some_and(|kind| kinds.contains(&kind))
    });
    found.map(|(kid, _)| kid.clone())
}

/// A new master key below a root key, in place of the old one.
fn renew(store: &mut Store, request: &Request, root: &str) {
    if let Some(old) = active(store, &[MASTER]) {
        set_state(store, request, &old, "destroyed");
    }
    let (now, kid) = (ids::time(request.now), ids::shaped("{8x}-{4x}-{4x}-{4x}-{12x}"));
    let row = json!({
        "kid": kid, "type": MASTER, "state": "active", "created_at": now, "updated_at": now,
        "parent_kid": root, "public_key": null,
    });
    if let Value::Object(row) = row {
        store.put(ENCRYPTION, &kid, row, Fields::new());
    }
}

fn set_state(store: &mut Store, request: &Request, kid: &str, state: &str) {
    if let Some(mut row) = store.get(ENCRYPTION, kid).map(|row| row.body.clone()) {
        row.insert("state".into(), state.into());
        row.insert("updated_at".into(), ids::time(request.now).into());
        store.put(ENCRYPTION, kid, row, Fields::new());
    }
}

fn import(world: &World, store: &mut Store, request: &Request, kid: &str) -> Result<Answer, Problem> {
    let body = request.object()?;
    let row = world.row(store, ENCRYPTION, kid)?;
    if row.text("state") != Some("pre-activation") {
        let what = "Failed precondition. Key import not in progress or unable to find the wrapping key. Make \
                    sure you have followed all the steps to import a key.";
        return Err(Problem::plain(409, what));
    }
    let material = body.get("wrapped_key").and_then(Value::as_str).unwrap_or_default();
    if material.len() < LEAST_MATERIAL {
        return Err(Problem::body("Invalid input. Wrapped key material is invalid or unsupported key type."));
    }
    if let Some(root) = active(store, &ROOTS) {
        set_state(store, request, &root, "destroyed");
    }
    set_state(store, request, kid, "active");
    renew(store, request, kid);
    let mut answer = world.row(store, ENCRYPTION, kid)?.body.clone();
    answer.shift_remove("public_key");
    Ok(Answer::new(201, Value::Object(answer)))
}

fn wrap(world: &World, store: &Store, kid: &str) -> Result<Answer, Problem> {
    let row = world.row(store, ENCRYPTION, kid)?;
    if row.text("state") != Some("pre-activation") {
        let what = "Failed precondition. Create new encryption key without the key material first.";
        return Err(Problem::plain(409, what));
    }
    let key = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", ids::word(64));
    Ok(Answer::new(201, json!({"public_key": key, "algorithm": "CKM_RSA_AES_KEY_WRAP"})))
}

/// Encryption keys are listed from the newest to the oldest.
pub(super) struct EncryptionKeys;

impl Quirks for EncryptionKeys {
    fn list(&self, scene: Scene, _: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        let rows = scene.store.table(ENCRYPTION).values();
        let mut rows: Vec<Fields> = rows.map(|row| row.body.clone()).collect();
        let created = |row: &Fields| row.get("created_at").map(Value::to_string);
        rows.sort_by_key(|row| std::cmp::Reverse(created(row)));
        Some(Ok(rows))
    }
}
