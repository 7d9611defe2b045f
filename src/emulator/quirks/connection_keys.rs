//! Keys of connections: one in use and one to come, made together; rotating moves each one on.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Quirks, connections};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::keys::{self, key_of};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table of keys.
pub(super) const TABLE: &str = "connection_key";
/// The command that makes the first ones.
pub(super) const CREATE: &str = "connection_key_create";
/// The command that moves them on.
pub(super) const ROTATE: &str = "connection_key_rotate";

/// Kinds of connections that sign.
const STRATEGIES: [&str; 2] = ["oidc", "okta"];
const ALGORITHM: &str = "RS256";
const PLACES: [&str; 3] = ["previous", "current", "next"];

/// The exceptions of reading keys.
pub(super) struct Keys;

/// The exceptions of the commands.
pub(super) struct Commands;

impl Quirks for Keys {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = values.get("connection_id").and_then(Value::as_str)?;
        let signs = signing(world, store, id, "keys are not available for this connection");
        signs.err().map(Err)
    }
}

impl Quirks for Commands {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, values }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = values.get("connection_id").and_then(Value::as_str)?;
        let wrong = match route.table.as_str() {
            ROTATE => "Key rotation is not supported on this connection",
            _ => "keys are not available for this connection",
        };
        let name = match signing(world, store, id, wrong) {
            Ok(name) => name,
            Err(problem) => return Some(Err(problem)),
        };
        let algorithm =
            request.body.as_ref().and_then(|body| body.get("signing_alg")).and_then(Value::as_str);
        let algorithm = algorithm.unwrap_or(ALGORITHM);
        Some(if route.table == ROTATE {
            rotate(store, request, id, &name, algorithm)
        } else {
            first(store, request, id, &name, algorithm)
        })
    }
}

/// The name of a connection that has keys.
fn signing(world: &World, store: &Store, id: &str, wrong: &str) -> Result<String, Problem> {
    let row = world.row(store, connections::TABLE, id)?;
    if !STRATEGIES.contains(&row.text("strategy").unwrap_or_default()) {
        return Err(Problem::new(400, wrong, "invalid_body"));
    }
    Ok(row.text("name").unwrap_or_default().to_owned())
}

/// Makes the keys of a connection that signs, where it has none.
pub(super) fn complete(store: &mut Store, request: &Request, id: &str, name: &str) {
    if of(store, id).is_empty() {
        make(store, request, id, name, ALGORITHM);
    }
}

fn make(store: &mut Store, request: &Request, id: &str, name: &str, algorithm: &str) -> Vec<Value> {
    let mut made = Vec::new();
    for place in ["current", "next"] {
        let mut key = one(name, algorithm);
        key.insert(place.into(), true.into());
        if place == "current" {
            key.insert("current_since".into(), ids::time(request.now).into());
        }
        store.put(TABLE, &key_of([id, kid(&key)]), key.clone(), Fields::new());
        made.push(key.into());
    }
    made
}

fn first(
    store: &mut Store,
    request: &Request,
    id: &str,
    name: &str,
    algorithm: &str,
) -> Result<Answer, Problem> {
    if !of(store, id).is_empty() {
        return Err(Problem::plain(409, "Keys have already been created for this connection."));
    }
    Ok(Answer::new(201, make(store, request, id, name, algorithm).into()))
}

fn rotate(
    store: &mut Store,
    request: &Request,
    id: &str,
    name: &str,
    algorithm: &str,
) -> Result<Answer, Problem> {
    let keys = of(store, id);
    if keys.is_empty() {
        return Err(Problem::plain(400, "Connection is not configured to use JWT Client Authentication"));
    }
    for (key, mut row) in keys {
        let place = PLACES.iter().position(|place| row.body.contains_key(*place)).unwrap_or(0);
        row.body.shift_remove(PLACES[place]);
        row.body.shift_remove("current_since");
        match place {
            0 => drop(store.remove(TABLE, &key)),
            place => {
                row.body.insert(PLACES[place - 1].into(), true.into());
                if PLACES[place - 1] == "current" {
                    row.body.insert("current_since".into(), ids::time(request.now).into());
                }
                store.put(TABLE, &key, row.body, row.hidden);
            }
        }
    }
    let mut next = one(name, algorithm);
    next.insert("next".into(), true.into());
    store.put(TABLE, &key_of([id, kid(&next)]), next.clone(), Fields::new());
    Ok(Answer::new(201, next.into()))
}

fn of(store: &Store, id: &str) -> Vec<(String, Row)> {
    let rows = store.table(TABLE).iter().filter(|(key, _)| keys::first(key) == Some(id));
    rows.map(|(key, row)| (key.clone(), row.clone())).collect()
}

fn kid(key: &Fields) -> &str {
    key.get("kid").and_then(Value::as_str).unwrap_or_default()
}

/// A key that looks like one; nothing is signed with it.
fn one(name: &str, algorithm: &str) -> Fields {
    let kid = ids::shaped("{43}");
    let digest: String = Sha256::digest(kid.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect();
    let thumbprint = digest[..40].to_owned();
    let pairs: Vec<&str> = (0..20).map(|at| &thumbprint[at * 2..at * 2 + 2]).collect();
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\r\n{}\r\n-----END {kind}-----", ids::word(64));
    let key = json!({
        "kid": kid, "algorithm": algorithm, "key_use": "signing", "subject_dn": format!("/CN={name}"),
        "cert": pem("CERTIFICATE"), "fingerprint": pairs.join(":"), "thumbprint": thumbprint, "pkcs": pem("PKCS7"),
    });
    key.as_object().cloned().unwrap_or_default()
}
