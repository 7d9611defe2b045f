//! Connections: each strategy has options of its own, some of which Auth0 works out from others.

use serde_json::{Map, Value, json};

use super::{Draft, Quirks, connection_keys, discovery, saml, users};
use crate::emulator::calls::Incoming;
use crate::emulator::ids;
use crate::emulator::keys::{self, key_of};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::{Fields, KindOf, fill};
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};

/// The table.
pub(in crate::emulator) const TABLE: &str = "connection";

/// Applications that may use a connection.
pub(super) const CLIENTS: &str = "connection_client";

/// The exceptions of connections.
pub(super) struct Connections;

/// The exceptions of their applications.
pub(super) struct Clients;

const IDENTIFIERS: [&str; 3] = ["email", "username", "phone_number"];

fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

impl Quirks for Connections {
    fn create(&self, world: &World, _: &Store, request: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let text = |name: &str| draft.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, strategy) = (text("name"), text("strategy"));
        check(&draft.body, &strategy)?;
        if !draft.body.get("options").is_some_and(Value::is_object) {
            draft.body.insert("options".into(), json!({}));
        }
        draft.body.entry("realms").or_insert_with(|| json!([name]));
        let newer = draft.body["options"].get("password_options").is_some();
        let kind = world.rules.get(TABLE).and_then(|rules| rules.kind_of(&draft.body));
        let Some(kind) = kind else { return Ok(()) };
        // Placeholders of the catalogue's defaults for this strategy.
        for default in [&kind.create, &kind.always] {
            let own = fill_in(&Value::Object(default.clone()), &name, &request.host);
            if let Value::Object(own) = own {
                fill(&mut draft.body, &own);
            }
        }
        // The older of the two ways to say what a password must be like.
        if let Some(options) = draft.body.get_mut("options").and_then(Value::as_object_mut).filter(|_| newer)
        {
            options.shift_remove("passwordPolicy");
        }
        Ok(())
    }

    fn judge(&self, _: &World, _: &Store, row: &Row, patch: &Fields) -> Result<(), Problem> {
        check(patch, row.text("strategy").unwrap_or_default())
    }

    fn update(
        &self,
        _: &Store,
        _: &Request,
        old: &Row,
        _: &Fields,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let old = old.body.get("options").and_then(Value::as_object);
        let options = draft.body.get_mut("options").and_then(Value::as_object_mut);
        if let (Some(old), Some(options)) = (old, options) {
            saml::keep(old, options);
        }
        Ok(())
    }

    fn finish(&self, world: &World, _: &Store, _: &Request, draft: &mut Draft) -> Result<(), Problem> {
        let strategy = draft.body.get("strategy").and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = world.rules.get(TABLE).and_then(|rules| rules.kind_of(&draft.body)).cloned();
        let Some(Value::Object(options)) = draft.body.get_mut("options") else { return Ok(()) };
        if let Some(kind) = kind {
            scopes(options, &kind);
        }
        discovery::complete(&strategy, options);
        saml::complete(&strategy, options);
        Ok(())
    }

    fn after(&self, store: &mut Store, Incoming { request, .. }: Incoming, answer: &mut Answer) {
        if let Some(key) = answer.body.as_ref().and_then(|body| Some(body.get("id")?.as_str()?.to_owned())) {
            link(store, &key);
        }
        // A connection that signs what it asks of its provider gets keys at once.
        let Some(body) = answer.body.as_ref() else { return };
        let text = |place: &str| body.pointer(place).and_then(Value::as_str);
        let signs = text("/options/token_endpoint_auth_method") == Some("private_key_jwt");
        if let (true, Some(id), Some(name)) = (signs, text("/id"), text("/name")) {
            connection_keys::complete(store, request, id, name);
        }
    }

    fn dependents(&self, store: &Store, key: &str) -> Vec<(String, String)> {
        // A database's users go with it.
        let name = store.get(TABLE, key).and_then(|row| row.text("name")).unwrap_or_default();
        let rows = store.table(users::TABLE).iter().filter(|(_, row)| {
            let identities = row.body.get("identities").and_then(Value::as_array);
            identities.is_some_and(|all| all.len() == 1 && all[0]["connection"].as_str() == Some(name))
        });
        rows.map(|(key, _)| (users::TABLE.to_owned(), key.clone())).collect()
    }
}

impl Quirks for Clients {
    fn after(&self, store: &mut Store, Incoming { values, .. }: Incoming, _: &mut Answer) {
        // The connection's own list shows the same.
        let Some(key) = values.get("connection_id").and_then(Value::as_str) else { return };
        let Some(row) = store.get(TABLE, key).cloned() else { return };
        let mut body = row.body;
        body.insert("enabled_clients".into(), linked(store, key).into());
        store.put(TABLE, key, body, row.hidden);
    }
}

/// Applications linked to a connection, in the order in which they were.
fn linked(store: &Store, key: &str) -> Vec<String> {
    let links = store.table(CLIENTS).iter().filter_map(|(link, row)| {
        let (connection, client) = link.split_once(keys::BETWEEN)?;
        (connection == key).then(|| (row.number, client.to_owned()))
    });
    let mut links: Vec<_> = links.collect();
    links.sort_unstable();
    links.into_iter().map(|(_, client)| client).collect()
}

/// Links the applications that a connection's own list names.
fn link(store: &mut Store, key: &str) {
    let named = store.get(TABLE, key).and_then(|row| row.body.get("enabled_clients")?.as_array().cloned());
    let named: Vec<String> =
        named.into_iter().flatten().filter_map(|client| client.as_str().map(str::to_owned)).collect();
    let before = linked(store, key);
    for gone in before.iter().filter(|client| !named.contains(client)) {
        store.remove(CLIENTS, &key_of([key, gone]));
    }
    for new in named.iter().filter(|client| !before.contains(client)) {
        store.put(CLIENTS, &key_of([key, new]), Fields::new(), Fields::new());
    }
}

/// Options that exclude or ask for each other.
fn check(body: &Fields, strategy: &str) -> Result<(), Problem> {
    if is_true(body.get("cross_app_access_requesting_app").and_then(|app| app.get("active")))
        && !["oidc", "okta"].contains(&strategy)
    {
        let what = "Cross App Access Requesting App is not supported for this connection.";
        return Err(Problem::new(400, what, "operation_not_supported"));
    }
    let options = body.get("options").and_then(Value::as_object);
    let Some(attributes) = options.and_then(|options| options.get("attributes")?.as_object()) else {
        return Ok(());
    };
    let option = |name: &str| options.and_then(|options| options.get(name)).filter(|value| !value.is_null());
    if is_true(option("requires_username")) {
        return Err(Problem::body("Cannot set both options.attributes and options.requires_username"));
    }
    if option("validation").is_some() {
        return Err(Problem::body("Cannot set both options.attributes and options.validation"));
    }
    let active = |attribute: &Value| is_true(attribute.get("identifier").and_then(|id| id.get("active")));
    if !attributes.values().any(active) {
        return Err(Problem::body("attributes must contain one active identifier"));
    }
    for name in IDENTIFIERS {
        let Some(attribute) = attributes.get(name) else { continue };
        if name == "email" && attribute.get("unique") == Some(&Value::Bool(false)) && active(attribute) {
            return Err(Problem::body("cannot add non-unique email attribute"));
        }
        let signup = attribute.get("signup").and_then(|signup| signup.get("status")).and_then(Value::as_str);
        if is_true(attribute.get("profile_required")) && signup.is_some_and(|status| status != "required") {
            return Err(Problem::body(format!("attribute {name} must also be required on signup")));
        }
    }
    Ok(())
}

/// What is asked of the provider follows from the flags of the options.
fn scopes(options: &mut Map<String, Value>, kind: &KindOf) {
    if kind.scopes.is_empty() && !kind.scopes_from_flags {
        return;
    }
    let asked = kind.scopes.iter().filter(|(flag, _)| *flag == "*" || is_true(options.get(*flag)));
    let asked: Vec<&str> = asked.map(|(_, scope)| scope.as_str()).collect();
    let scope = if kind.scopes_joined { json!(asked.join(",")) } else { json!(asked) };
    options.insert("scope".into(), scope);
}

fn fill_in(template: &Value, name: &str, host: &str) -> Value {
    match template {
        Value::String(text) => {
            let text = text.replace("{name}", name).replace("{host}", host);
            if text.contains('{') { ids::shaped(&text).into() } else { text.into() }
        }
        Value::Array(items) => items.iter().map(|item| fill_in(item, name, host)).collect(),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(key, value)| (key.clone(), fill_in(value, name, host)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}
