//! What a login, a sign-up and a change of a password change in the tenant, and what Actions see of it.
//! The profile is written before the Actions run, and the tenant log after them.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{connections, users};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::runtime::{Deed, Ran};
use crate::emulator::select;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};
use crate::emulator::writes;
use crate::emulator::{ids, logs};

const SESSIONS: &str = "session";
const TOKENS: &str = "refresh_token";
const EXECUTIONS: &str = "action_execution";
const ROLES: &str = "user_role";

const DATABASE: &str = "auth0";
/// How long a session lasts, in hours, unless it is used within three days.
const LIFETIME: i64 = 168;
const IDLE: i64 = 72;

/// A deed that has changed what it changes, before its Actions run.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Begun {
    /// What Actions see; each gets its own secrets with it.
    pub(in crate::emulator) event: Value,
    user_id: String,
    connection: String,
    client_id: String,
    ip: String,
    agent: String,
    session: Option<String>,
    token: Option<String>,
}

fn text<'b>(body: &'b Value, name: &str) -> Option<&'b str> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Changes what Auth0 changes before any Action runs.
///
/// # Errors
/// What Auth0 would refuse: an unknown or blocked user, a weak password.
pub(in crate::emulator) fn begin(
    world: &World,
    store: &mut Store,
    request: &Request,
    deed: Deed,
    body: &Value,
) -> Result<Begun, Problem> {
    let user_id = match deed {
        Deed::SignUp => sign_up(world, store, request, body)?,
        Deed::Login | Deed::ChangePassword => match user(store, body) {
            Some(user_id) => user_id,
            None if deed == Deed::Login => first_login(store, request, body)?,
            None => return Err(unknown()),
        },
    };
    let profile = store.get(users::TABLE, &user_id).map(|row| row.body.clone()).ok_or_else(unknown)?;
    if profile.get("blocked") == Some(&Value::Bool(true)) {
        return Err(Problem::new(401, "user is blocked", "unauthorized"));
    }
    let ip = text(body, "ip").unwrap_or("203.0.113.77").to_owned();
    let agent = text(body, "user_agent").unwrap_or("Mozilla/5.0 (X11; Linux x86_64)").to_owned();
    let connection = connection_of(&profile, body);
    let mut begun = Begun {
        event: Value::Null,
        client_id: text(body, "client_id").unwrap_or(&request.claims.client_id).to_owned(),
        user_id,
        connection,
        ip,
        agent,
        session: None,
        token: None,
    };
    match deed {
        Deed::Login => log_in(store, request, body, profile, &mut begun),
        Deed::ChangePassword => change_password(world, store, request, body, &begun.user_id)?,
        Deed::SignUp => {}
    }
    begun.event = event(store, request, deed, &begun);
    Ok(begun)
}

fn unknown() -> Problem {
    Problem::new(404, "The user does not exist.", "inexistent_user")
}

/// The user that a body names: by key, or by what one logs in with.
fn user(store: &Store, body: &Value) -> Option<String> {
    if let Some(id) = text(body, "user_id") {
        return store.get(users::TABLE, id).map(|_| id.to_owned());
    }
    let connection = text(body, "connection");
    let lives = |row: &Row| connection.is_none_or(|name| connection_of(&row.body, &Value::Null) == name);
    ["email", "username", "phone_number"].into_iter().find_map(|name| {
        let mut same = select::named(store, users::TABLE, name, text(body, name)?);
        same.find(|(_, row)| lives(row)).map(|(key, _)| key.clone())
    })
}

/// The connection that is used: the one that the body names, else the user's first.
fn connection_of(profile: &Fields, body: &Value) -> String {
    let first = || profile.get("identities")?.get(0)?.get("connection")?.as_str();
    text(body, "connection").or_else(first).unwrap_or_default().to_owned()
}

fn connection<'s>(store: &'s Store, name: &str) -> Option<&'s Row> {
    store.table(connections::TABLE).values().find(|row| row.text("name") == Some(name))
}

/// Users of databases sign up; those of other connections come into being when they first log in.
fn first_login(store: &mut Store, request: &Request, body: &Value) -> Result<String, Problem> {
    let name = text(body, "connection").unwrap_or_default();
    let strategy =
        connection(store, name).and_then(|row| row.text("strategy")).ok_or_else(unknown)?.to_owned();
    if strategy == DATABASE {
        return Err(unknown());
    }
    let given = text(body, "user_id").and_then(|id| id.split_once('|')).map(|(_, own)| own.to_owned());
    let own = given.unwrap_or_else(|| ids::hex(21));
    let id = format!("{strategy}|{own}");
    let now = ids::time(request.now);
    let identity = json!({"connection": name, "user_id": own, "provider": strategy, "isSocial": true});
    let mut profile = Fields::from_iter([
        ("user_id".to_owned(), id.as_str().into()),
        ("identities".to_owned(), json!([identity])),
        ("created_at".to_owned(), now.as_str().into()),
        ("updated_at".to_owned(), now.into()),
    ]);
    if let Some(email) = text(body, "email") {
        profile.insert("email".into(), email.into());
        profile.insert("email_verified".into(), true.into());
    }
    users::complete_profile(&mut profile);
    store.put(users::TABLE, &id, profile, Fields::new());
    Ok(id)
}

fn sign_up(world: &World, store: &mut Store, request: &Request, body: &Value) -> Result<String, Problem> {
    let shape = world.table(users::TABLE).map_err(|error| Problem::plain(500, error.to_string()))?;
    let create = shape.0.create.as_ref().ok_or_else(unknown)?;
    let mut sent = body.clone();
    if let Some(sent) = sent.as_object_mut() {
        ["client_id", "ip", "user_agent"].iter().for_each(|name| drop(sent.shift_remove(*name)));
    }
    let request = Request { body: Some(sent), ..request.clone() };
    let done = writes::create(world, store, &request, shape, &Fields::new(), &create.call)?;
    let id = done.row.as_ref().and_then(|row| row.get("user_id")?.as_str().map(str::to_owned));
    id.ok_or_else(unknown)
}

fn change_password(
    world: &World,
    store: &mut Store,
    request: &Request,
    body: &Value,
    user_id: &str,
) -> Result<(), Problem> {
    let shape = world.table(users::TABLE).map_err(|error| Problem::plain(500, error.to_string()))?;
    let update = shape.0.update.as_ref().ok_or_else(unknown)?;
    let password = text(body, "password").ok_or_else(|| Problem::body("password is missing"))?;
    let request = Request { body: Some(json!({"password": password})), ..request.clone() };
    let values = Fields::from_iter([("user_id".to_owned(), user_id.into())]);
    writes::update(world, store, &request, shape, &values, update).map(drop)
}

/// The profile counts the login, and a session begins.
fn log_in(store: &mut Store, request: &Request, body: &Value, mut profile: Fields, begun: &mut Begun) {
    let now = ids::time(request.now);
    let count = profile.get("logins_count").and_then(Value::as_u64).unwrap_or(0) + 1;
    profile.insert("last_login".into(), now.as_str().into());
    profile.insert("last_ip".into(), begun.ip.as_str().into());
    profile.insert("logins_count".into(), count.into());
    profile.insert("updated_at".into(), now.as_str().into());
    let hidden = store.get(users::TABLE, &begun.user_id).map(|row| row.hidden.clone()).unwrap_or_default();
    store.put(users::TABLE, &begun.user_id, profile, hidden);

    let later = |hours| ids::time(request.now + TimeDelta::hours(hours));
    let device = json!({
        "initial_ip": begun.ip, "initial_user_agent": begun.agent,
        "last_ip": begun.ip, "last_user_agent": begun.agent,
    });
    let id = ids::shaped("ses_{22}");
    let session = json!({
        "id": id, "user_id": begun.user_id, "created_at": now, "updated_at": now,
        "authenticated_at": now, "idle_expires_at": later(IDLE), "expires_at": later(LIFETIME),
        "last_interacted_at": now, "device": device, "clients": [{"client_id": begun.client_id}],
        "authentication": {"methods": [{"name": "pwd", "timestamp": now}]},
    });
    put(store, SESSIONS, &id, session);
    if body.get("refresh_token") == Some(&Value::Bool(true)) {
        let token = ids::shaped("rt_{22}");
        let row = json!({
            "id": token, "user_id": begun.user_id, "created_at": now, "idle_expires_at": null,
            "expires_at": later(LIFETIME), "device": device, "client_id": begun.client_id, "session_id": id,
            "rotating": false, "resource_servers": [], "last_exchanged_at": null,
        });
        put(store, TOKENS, &token, row);
        begun.token = Some(token);
    }
    begun.session = Some(id);
}

fn put(store: &mut Store, table: &str, key: &str, row: Value) {
    store.put(table, key, row.as_object().cloned().unwrap_or_default(), Fields::new());
}

/// What Actions see.
fn event(store: &Store, request: &Request, deed: Deed, begun: &Begun) -> Value {
    let row = |table: &str, key: &str| store.get(table, key).map(|row| row.body.clone()).unwrap_or_default();
    let profile = row(users::TABLE, &begun.user_id);
    let home = connection(store, &begun.connection);
    let part = |name: &str| home.and_then(|row| row.body.get(name).cloned()).unwrap_or_default();
    let client = row(super::clients::TABLE, &begun.client_id);
    let mut event = json!({
        "connection": {"id": part("id"), "name": begun.connection, "strategy": part("strategy"), "metadata": {}},
        "request": {"ip": begun.ip, "user_agent": begun.agent, "hostname": request.host, "method": "POST", "query": {}, "body": {}},
        "tenant": {"id": request.tenant},
        "transaction": {"locale": "en", "protocol": "oidc-basic-profile"},
    });
    let mut shown = profile.clone();
    shown.retain(|name, _| deed != Deed::ChangePassword || SHOWN_AFTER_A_PASSWORD.contains(&name.as_str()));
    if deed != Deed::ChangePassword {
        for metadata in ["app_metadata", "user_metadata"] {
            shown.entry(metadata).or_insert_with(|| json!({}));
        }
    }
    event["user"] = shown.into();
    if deed != Deed::Login {
        return event;
    }
    let near = format!("{}{}", begun.user_id, crate::emulator::keys::BETWEEN);
    let roles = store.table(ROLES).keys().filter_map(|key| key.strip_prefix(&near));
    let names: Vec<Value> =
        roles.filter_map(|role| Some(store.get("role", role)?.body.get("name")?.clone())).collect();
    event["authorization"] = json!({"roles": names});
    event["authentication"] = json!({"methods": [{"name": "pwd", "timestamp": ids::time(request.now)}]});
    event["client"] = json!({"client_id": begun.client_id, "name": client.get("name"), "metadata": {}});
    event["stats"] = json!({"logins_count": profile.get("logins_count")});
    event["session"] = json!({"id": begun.session, "created_at": ids::time(request.now)});
    event
}

const SHOWN_AFTER_A_PASSWORD: [&str; 7] = [
    "user_id",
    "email",
    "email_verified",
    "last_password_reset",
    "phone_number",
    "phone_verified",
    "username",
];

/// The tenant log, the execution of the Actions, and the answer.
///
/// # Errors
/// A denied login.
pub(in crate::emulator) fn end(
    _: &World,
    store: &mut Store,
    request: &Request,
    (deed, begun): (Deed, &Begun),
    ran: &Ran,
) -> Result<Answer, Problem> {
    let execution = (!ran.results.is_empty()).then(|| ids::word(40));
    if let Some(id) = &execution {
        let now = ids::time(request.now);
        let row = json!({
            "id": id, "trigger_id": deed.trigger(), "status": "final", "results": ran.results,
            "created_at": now, "updated_at": now,
        });
        put(store, EXECUTIONS, id, row);
    }
    let kind = match deed {
        Deed::Login if ran.denied.is_some() => "f",
        Deed::Login => "s",
        Deed::SignUp => "ss",
        Deed::ChangePassword => "scp",
    };
    let profile = store.get(users::TABLE, &begun.user_id).map(|row| row.body.clone()).unwrap_or_default();
    let mut about = Fields::new();
    about.insert("user_id".into(), begun.user_id.as_str().into());
    about.insert("connection".into(), begun.connection.as_str().into());
    about.insert("client_id".into(), begun.client_id.as_str().into());
    about.insert("ip".into(), begun.ip.as_str().into());
    about.insert("user_agent".into(), begun.agent.as_str().into());
    about.extend(profile.get("name").map(|name| ("user_name".to_owned(), name.clone())));
    if let Some(why) = &ran.denied {
        about.insert("description".into(), why.as_str().into());
    }
    if let Some(id) = &execution {
        about.insert("details".into(), json!({"actions": {"executions": [id]}}));
    }
    logs::event(store, request, kind, &about);
    let told = json!({
        "ran": ran.results.len(), "results": ran.results, "execution_id": execution,
        "calls": ran.calls, "logs": ran.logs, "failure": ran.failure,
    });
    if let Some(why) = &ran.denied {
        if let Some(id) = &begun.session {
            store.remove(SESSIONS, id);
        }
        if let Some(id) = &begun.token {
            store.remove(TOKENS, id);
        }
        let body = json!({"error": "access_denied", "error_description": why, "actions": told});
        return Ok(Answer::new(401, body));
    }
    Ok(Answer::new(
        200,
        json!({
            "user_id": begun.user_id, "session_id": begun.session, "refresh_token_id": begun.token,
            "actions": told,
        }),
    ))
}
