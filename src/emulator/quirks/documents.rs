//! Applications from metadata documents, and new secrets. The emulator fetches nothing: a document
//! is taken to say as little as it may.

use serde_json::{Value, json};

use super::{Draft, Quirks, clients};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

pub(super) const PREVIEW: &str = "client_cimd_preview";
pub(super) const REGISTER: &str = "client_cimd_register";
pub(super) const ROTATE: &str = "client_rotate_secret";

const DOCUMENT: &str = "external_client_id";

/// Both calls that take a document.
pub(super) struct Documents;

impl Quirks for Documents {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, route, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        Some(document(world, store, request, route.path.ends_with("/register")))
    }
}

fn document(world: &World, store: &mut Store, request: &Request, register: bool) -> Result<Answer, Problem> {
    let body = request.object()?;
    let address = body
        .get(DOCUMENT)
        .and_then(Value::as_str)
        .ok_or_else(|| Problem::payload(&format!("Missing required property: {DOCUMENT}"), None))?;
    let Some(host) = address.strip_prefix("https://").and_then(|rest| rest.split('/').next()) else {
        return Err(Problem::payload(
            &format!("Object didn't pass validation for format absolute-https-uri-or-empty: {address}"),
            Some((DOCUMENT, "URL to the Client ID Metadata Document")),
        ));
    };
    let mapped = json!({
        DOCUMENT: address,
        "name": host,
        "logo_uri": format!("https://{host}/logo.png"),
        "callbacks": [format!("https://{host}/")],
        "grant_types": ["authorization_code"],
        "app_type": "native",
        "token_endpoint_auth_method": "none",
    });
    let known = store.table(clients::TABLE).iter().find(|(_, row)| row.text(DOCUMENT) == Some(address));
    let known = known.map(|(id, _)| id.clone());
    let validation = json!({"valid": true, "violations": [], "warnings": []});
    let mut answer = json!({"mapped_fields": mapped, "validation": validation});
    if !register {
        if let Some(id) = known {
            answer["client_id"] = id.into();
        }
        return Ok(Answer::new(200, answer));
    }
    let fields = mapped.as_object().cloned().unwrap_or_default();
    let (status, id) = match known {
        Some(id) => {
            let Row { mut body, hidden, .. } = world.row(store, clients::TABLE, &id)?.clone();
            body.extend(fields);
            store.put(clients::TABLE, &id, body, hidden);
            (200, id)
        }
        None => {
            let id = format!("tpc_{}", ids::word(22));
            let mut draft = Draft { body: fields, ..Draft::default() };
            draft.body.insert("client_id".into(), id.as_str().into());
            draft.body.insert("is_first_party".into(), false.into());
            draft.body.insert(
                "jwt_configuration".into(),
                json!({"alg": "RS256", "lifetime_in_seconds": 3600, "secret_encoded": false}),
            );
            draft.body.insert("external_metadata_type".into(), "cimd".into());
            draft.body.insert("external_metadata_created_by".into(), "admin".into());
            super::of(clients::TABLE).create(world, store, request, &mut draft)?;
            let shape =
                world.table(clients::TABLE).map_err(|error| Problem::plain(500, error.to_string()))?;
            let none = Fields::new();
            let context = crate::emulator::template::Context::of(request, &none);
            crate::emulator::writes::complete(shape, &mut draft.body, &context);
            store.put(clients::TABLE, &id, draft.body, draft.hidden);
            (201, id)
        }
    };
    answer["client_id"] = id.into();
    Ok(Answer::new(status, answer))
}

/// A new secret in place of the old one; the answer is the whole client with it.
pub(super) struct Rotate;

impl Quirks for Rotate {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = values.get("client_id").and_then(Value::as_str).unwrap_or_default();
        let row = match world.row(store, clients::TABLE, id) {
            Ok(row) => row.clone(),
            Err(problem) => return Some(Err(problem)),
        };
        let Row { mut body, hidden, .. } = row;
        body.insert(clients::SECRET.into(), ids::word(64).into());
        store.put(clients::TABLE, id, body.clone(), hidden);
        Some(Ok(Answer::new(200, Value::Object(body))))
    }
}
