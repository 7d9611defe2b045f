//! Imports of users: a job takes a file of at most 500 KB and makes its users one after the other in the
//! background, two jobs at a time. A user that cannot be made fails alone. A job's row holds the file and
//! how far it is, so that it survives a restart.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jobs::{ERRORS, JOB};
use super::{Draft, Quirks, connections, users};
use crate::emulator::calls::Incoming;
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, World};
use crate::emulator::{ids, logs, select};

/// The table of orders.
pub(super) const TABLE: &str = "job_users_import";
/// The call that orders one.
pub(in crate::emulator) const PATH: &str = "/jobs/users-imports";
/// Where a job's row keeps what is to be imported; never shown.
const ORDER: &str = "import";
/// Jobs under way at most.
const AT_A_TIME: usize = 2;
/// Bytes of a file at most.
const LARGEST: usize = 512_000;
const PASSWORD: &str = "password";

/// What a user of a file may have.
const TAKEN: [&str; 17] = [
    "app_metadata",
    "blocked",
    "custom_password_hash",
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "mfa_factors",
    "name",
    "nickname",
    "password_hash",
    "phone_number",
    "phone_verified",
    "picture",
    "user_id",
    "user_metadata",
    "username",
];

/// Two users of a connection never share one of these.
const UNIQUE: [&str; 3] = ["email", "user_id", "username"];

/// What an import may change of a user who is there; metadata is replaced whole.
const UPSERTED: [&str; 8] = [
    "app_metadata",
    "email_verified",
    "family_name",
    "given_name",
    "name",
    "nickname",
    "picture",
    "user_metadata",
];

/// What is left of an import.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::emulator) struct Order {
    users: Vec<Value>,
    connection: String,
    upsert: bool,
    /// Users before this one are done.
    next: usize,
    inserted: u64,
    updated: u64,
    failed: Vec<Value>,
    /// Host of the tenant, as events name it.
    pub(in crate::emulator) host: String,
    /// The job fails half way; a fault.
    fails: bool,
    /// How long it is in the works at least, in milliseconds; a fault.
    pub(in crate::emulator) holds_ms: u64,
}

/// Orders of imports.
pub(super) struct Import;

impl Quirks for Import {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        Some(begin(world, store, request))
    }
}

fn begin(world: &World, store: &mut Store, request: &Request) -> Result<Answer, Problem> {
    let sent = request.object()?;
    for (name, kind) in [("users", " file"), ("connection_id", "")] {
        if !sent.contains_key(name) {
            return Err(Problem::body(format!("Must provide '{name}'{kind} as multipart part.")));
        }
    }
    let connection_id = text(&sent, "connection_id").unwrap_or_default();
    let connection = world.row(store, connections::TABLE, connection_id)?;
    if connection.text("strategy") != Some("auth0") {
        return Err(Problem::body("Connection must be a database connection."));
    }
    let option = |name: &str| connection.body.get("options").and_then(|options| options.get(name));
    let is_on = |name: &str| option(name) == Some(&Value::Bool(true));
    if is_on("enabledDatabaseCustomization") && !is_on("import_mode") {
        return Err(Problem::body("Custom Database Connections without import mode are not allowed."));
    }
    let connection = connection.text("name").unwrap_or_default().to_owned();
    let file = sent.get("users").unwrap_or(&Value::Null);
    if file.to_string().len() > LARGEST {
        let what = format!("Payload content length greater than maximum allowed: {LARGEST}");
        return Err(Problem::plain(413, what));
    }
    let users = file.as_array().ok_or_else(|| Problem::body("Users file is not a JSON array"))?;
    if users.is_empty() {
        return Err(Problem::body("Users file must not be empty."));
    }
    let active = store.table(JOB).values().filter(|job| is_open(job)).count();
    if active >= AT_A_TIME {
        let what = format!(
            "There are {active} active import users jobs, please wait until some of them are finished and try again"
        );
        return Err(Problem::new(429, what, "too_many_requests"));
    }
    let fault = request.job_fault.clone().unwrap_or_default();
    let order = Order {
        users: users.clone(),
        connection: connection.clone(),
        upsert: sent.get("upsert").is_some_and(|value| value == "true" || value == &Value::Bool(true)),
        host: request.host.clone(),
        fails: fault.fails.is_some(),
        holds_ms: fault.holds_ms,
        ..Order::default()
    };
    let id = format!("job_{}", ids::word(16));
    let mut job = Fields::new();
    job.insert("type".into(), "users_import".into());
    job.insert("status".into(), "pending".into());
    job.insert("connection_id".into(), connection_id.into());
    job.insert("connection".into(), connection.into());
    if let Some(external) = text(&sent, "external_id").filter(|text| !text.is_empty()) {
        job.insert("external_id".into(), external.into());
    }
    job.insert("created_at".into(), ids::time(request.now).into());
    job.insert("id".into(), id.as_str().into());
    let answer = Answer::new(202, Value::Object(job.clone()));
    store.put(JOB, &id, job, hidden(&order));
    world.imports.notify_one();
    Ok(answer)
}

fn is_open(job: &Row) -> bool {
    job.hidden.contains_key(ORDER)
}

fn hidden(order: &Order) -> Fields {
    Fields::from_iter([(ORDER.to_owned(), serde_json::to_value(order).unwrap_or_default())])
}

/// Imports that are not over, in the order of their beginning.
pub(in crate::emulator) fn open(store: &Store) -> Vec<(String, Order)> {
    let jobs = store.table(JOB).iter().filter_map(|(id, job)| {
        Some((id.clone(), serde_json::from_value(job.hidden.get(ORDER)?.clone()).ok()?))
    });
    jobs.collect()
}

/// Imports at most `most` more users; whether the job is over.
pub(in crate::emulator) fn go_on(
    world: &World,
    store: &mut Store,
    request: &Request,
    id: &str,
    most: usize,
) -> bool {
    let Some(mut job) = store.get(JOB, id).cloned() else { return true };
    let order = job.hidden.get(ORDER).and_then(|order| serde_json::from_value(order.clone()).ok());
    let Some(mut order): Option<Order> = order else { return true };
    let total = order.users.len();
    let last = if order.fails { total / 2 } else { total };
    let end = last.min(order.next + most);
    let mut seen: HashSet<(&str, String)> =
        order.users.get(..order.next).unwrap_or_default().iter().flat_map(marks).collect();
    let (mut inserted, mut updated, mut failed) = (0, 0, Vec::new());
    for user in order.users.get(order.next..end).unwrap_or_default() {
        let marks = marks(user);
        let twice = marks.iter().find(|mark| seen.contains(*mark)).map(|(name, _)| {
            json!({"code": "DUPLICATED_USER", "message": format!("A user with this {name} was already provided.")})
        });
        seen.extend(marks);
        let done = match twice {
            Some(error) => Err(error),
            None => one(world, store, request, user, &order),
        };
        match done {
            Ok(true) => inserted += 1,
            Ok(false) => updated += 1,
            Err(error) => failed.push(json!({"user": shown(user), "errors": [error]})),
        }
    }
    order.inserted += inserted;
    order.updated += updated;
    order.failed.extend(failed);
    order.next = end;
    let over = end == last;
    if over {
        conclude(store, request, id, &mut job, &order);
        job.hidden.shift_remove(ORDER);
    } else {
        job.body.insert("status".into(), "processing".into());
        job.body.insert("percentage_done".into(), (end * 100 / total.max(1)).into());
        job.hidden = hidden(&order);
    }
    store.put(JOB, id, job.body, job.hidden);
    over
}

fn conclude(store: &mut Store, request: &Request, id: &str, job: &mut Row, order: &Order) {
    let failed = order.fails;
    job.body.insert("status".into(), if failed { "failed" } else { "completed" }.into());
    job.body.shift_remove("percentage_done");
    let mut about = Fields::new();
    about.insert("connection_id".into(), job.body.get("connection_id").cloned().unwrap_or_default());
    let what = if failed { "Failed users import" } else { "Successfully imported users" };
    about.insert("description".into(), what.into());
    logs::event(store, request, if failed { "fui" } else { "sui" }, &about);
    if failed {
        return;
    }
    let summary = json!({
        "failed": order.failed.len(),
        "updated": order.updated,
        "inserted": order.inserted,
        "total": order.users.len(),
    });
    job.body.insert("summary".into(), summary);
    if !order.failed.is_empty() {
        let errors = Fields::from_iter([("errors".to_owned(), order.failed.clone().into())]);
        store.put(ERRORS, id, errors, Fields::new());
    }
}

/// By what the file's other users must differ from this one.
fn marks(user: &Value) -> Vec<(&'static str, String)> {
    UNIQUE.into_iter().filter_map(|name| Some((name, user.get(name)?.as_str()?.to_lowercase()))).collect()
}

/// A user as the list of errors shows it.
fn shown(user: &Value) -> Value {
    let mut user = user.clone();
    for name in ["password_hash", "custom_password_hash"] {
        if let Some(value) = user.get_mut(name) {
            *value = "*****".into();
        }
    }
    user
}

fn fault(code: &str, message: impl Into<String>) -> Value {
    json!({"code": code, "message": message.into()})
}

/// Whether a user was made, or changed; or why not.
fn one(
    world: &World,
    store: &mut Store,
    request: &Request,
    user: &Value,
    order: &Order,
) -> Result<bool, Value> {
    let fields = user.as_object().ok_or_else(|| fault("INVALID_TYPE", "Expected type object"))?;
    if let Some(other) = fields.keys().find(|name| !TAKEN.contains(&name.as_str())) {
        return Err(fault("NOT_PASSED", format!("Additional properties not allowed: {other}")));
    }
    for name in ["email_verified", "blocked", "phone_verified"] {
        if fields.get(name).is_some_and(|value| !value.is_boolean()) {
            return Err(json!({"code": "INVALID_TYPE", "message": "Expected type boolean", "path": name}));
        }
    }
    let Some(email) = text(fields, "email").map(str::to_lowercase) else {
        return Err(fault("OBJECT_REQUIRED", "Missing required property: email"));
    };
    if !email.contains('@') {
        return Err(
            json!({"code": "FORMAT", "message": "Object didn't pass validation for format email", "path": "email"}),
        );
    }
    let at_home = |row: &Row| {
        row.text("email") == Some(&email)
            && row.body["identities"][0]["connection"] == order.connection.as_str()
    };
    let known = select::named(store, users::TABLE, "email", &email).find(|(_, row)| at_home(row));
    if let Some((id, row)) = known.map(|(id, row)| (id.clone(), row.clone())) {
        if !order.upsert {
            return Err(fault("DUPLICATED_USER", "The user already exist and upsert parameter is false"));
        }
        let mut body = row.body;
        for name in UPSERTED {
            if let Some(value) = fields.get(name) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        body.insert("updated_at".into(), ids::time(request.now).into());
        store.put(users::TABLE, &id, body, row.hidden);
        return Ok(false);
    }
    let mut body = fields.clone();
    for name in ["custom_password_hash", "password_hash", "mfa_factors"] {
        body.shift_remove(name);
    }
    // Unlike a call, which knows its own prefix, a file gets it put before whatever it has.
    if let Some(own) = text(&body, "user_id").filter(|own| own.starts_with("auth0|")) {
        let twice = format!("auth0|{own}");
        body.insert("user_id".into(), twice.into());
    }
    let mut hidden = Fields::new();
    hidden.insert("connection".into(), order.connection.as_str().into());
    // Imported users need no password: they reset it, or bring its hash along.
    hidden.insert(PASSWORD.into(), format!("Aa1!{}", ids::word(24)).into());
    let mut draft = Draft { body, hidden, ..Draft::default() };
    super::of(users::TABLE).create(world, store, request, &mut draft).map_err(|problem| {
        let answer = Answer::from(problem);
        let code = if answer.status == 409 { "DUPLICATED_USER" } else { "NOT_PASSED" };
        fault(code, answer.body.unwrap_or_default()["message"].as_str().unwrap_or_default())
    })?;
    draft.hidden.shift_remove(PASSWORD);
    for stamp in ["created_at", "updated_at"] {
        draft.body.insert(stamp.into(), ids::time(request.now).into());
    }
    let id = text(&draft.body, "user_id").unwrap_or_default().to_owned();
    store.put(users::TABLE, &id, draft.body, draft.hidden);
    Ok(true)
}

fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}
