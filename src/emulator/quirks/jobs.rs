//! Jobs end a day after they began. An export is done in the background, and each look at it gives
//! another address of its file; an import makes and changes users at once, and remembers those that
//! it could not take.

use serde_json::{Value, json};

use super::{Draft, Quirks, users};
use crate::emulator::calls::Incoming;
use crate::emulator::exports::{self, Asked, Order};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::{Request, Scene, World};
use crate::emulator::{ids, logs, reads, select};

/// The table of jobs.
pub(in crate::emulator) const JOB: &str = "job";
pub(super) const EXPORT: &str = "job_users_export";
pub(super) const IMPORT: &str = "job_users_import";
pub(super) const ERRORS: &str = "job_error";
const PASSWORD: &str = "password";

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

/// Jobs as one sees them.
pub(super) struct Jobs;

impl Quirks for Jobs {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let id = text(values, "id")?;
        let job = store.get(JOB, id)?;
        if world.exports.expired(job, request.now) {
            return Some(Err(world.missing(JOB, id)));
        }
        let Request { host, tenant, now, .. } = request;
        let location = world.exports.location(host, tenant, id, job, *now)?;
        let shape = world.shape(JOB)?;
        let mut answer = reads::get(Scene { world, store, request }, shape, values);
        if let Ok(Answer { body: Some(Value::Object(body)), .. }) = &mut answer {
            body.insert("location".into(), location.into());
        }
        Some(answer)
    }
}

/// Orders of exports.
pub(super) struct Export;

impl Quirks for Export {
    fn call(
        &self,
        _: &mut Store,
        Incoming { world, request, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let rules = world.rules.get(EXPORT)?.export.as_ref()?;
        let sent = request.body.as_ref()?.as_object()?;
        let fields = asked(sent);
        if text(sent, "format") != Some("csv") {
            return None;
        }
        if fields.len() > rules.csv_most {
            let what = format!("Array is too long ({}), maximum {}", fields.len(), rules.csv_most);
            return Some(Err(Problem::payload(&what, Some(("fields", "")))));
        }
        let whole = fields.iter().find(|field| rules.csv_apart.contains(&field.name))?;
        let what = format!("{} cannot be exported as a single object in CSV format", whole.name);
        Some(Err(Problem::body(what)))
    }

    fn after(&self, store: &mut Store, Incoming { world, request, .. }: Incoming, answer: &mut Answer) {
        let id = answer.body.as_ref().and_then(|body| body["id"].as_str()).unwrap_or_default();
        let rules = world.rules.get(EXPORT).and_then(|rules| rules.export.as_ref());
        let (Some(job), Some(rules), Ok(sent)) = (store.get(JOB, id).cloned(), rules, request.object())
        else {
            return;
        };
        let mut fields = asked(&sent);
        if fields.is_empty() {
            let usual = rules.fields.iter();
            fields = usual.map(|name| Asked { name: name.clone(), export_as: None }).collect();
        }
        let first = |name: &str| name.split(['.', '[']).next().unwrap_or_default().to_owned();
        fields.retain(|field| !rules.never.contains(&first(&field.name)));
        let connection = text(&sent, "connection_id").and_then(|id| store.get(super::connections::TABLE, id));
        let connection = connection.and_then(|row| row.text("name"));
        let fault = request.job_fault.clone().unwrap_or_default();
        let order = Order {
            table: rules.table.clone(),
            format: text(&sent, "format").unwrap_or("json").to_owned(),
            fields,
            limit: sent.get("limit").and_then(Value::as_u64),
            only: connection.map(|name| ("identities.connection".to_owned(), name.to_owned())),
            fails: fault.fails,
            holds_ms: fault.holds_ms,
        };
        store.put(JOB, id, job.body, exports::ordered(&order));
        world.exports.wake.notify_one();
    }
}

fn asked(sent: &Fields) -> Vec<Asked> {
    let fields = sent.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| serde_json::from_value(field.clone()).ok()).collect()
}

pub(super) struct Import;

impl Quirks for Import {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, request, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        Some(import(world, store, request))
    }
}

/// Errors of a job: none is an answer without a body.
pub(super) struct Errors;

impl Quirks for Errors {
    fn call(
        &self,
        store: &mut Store,
        Incoming { world, values, .. }: Incoming,
    ) -> Option<Result<Answer, Problem>> {
        let job = values.get("job_id").and_then(Value::as_str).unwrap_or_default();
        if let Err(problem) = world.row(store, JOB, job) {
            return Some(Err(problem));
        }
        let errors = store.get(ERRORS, job).and_then(|row| row.body.get("errors").cloned());
        Some(Ok(errors.map_or_else(|| Answer::empty(204), |errors| Answer::new(200, errors))))
    }
}

fn import(world: &World, store: &mut Store, request: &Request) -> Result<Answer, Problem> {
    let sent = request.object()?;
    for name in ["users", "connection_id"] {
        if !sent.contains_key(name) {
            return Err(Problem::payload(&format!("Missing required property: {name}"), None));
        }
    }
    let connection_id = text(&sent, "connection_id").unwrap_or_default();
    let connection = world.row(store, super::connections::TABLE, connection_id)?;
    let connection = connection.text("name").unwrap_or_default().to_owned();
    let users = sent.get("users").and_then(Value::as_array).cloned();
    let users = users.ok_or_else(|| Problem::body("Users file is not a JSON array"))?;
    let upsert = sent.get("upsert").is_some_and(|value| value == "true" || value == &json!(true));
    let (mut inserted, mut updated, mut failed) = (0, 0, Vec::new());
    for user in &users {
        match one(world, store, request, user, &connection, upsert) {
            Ok(true) => inserted += 1,
            Ok(false) => updated += 1,
            Err(error) => failed.push(json!({"user": user, "errors": [error]})),
        }
    }
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
    let mut about = Fields::new();
    about.insert("connection_id".into(), connection_id.into());
    about.insert("description".into(), "Successfully imported users".into());
    logs::event(store, request, "sui", &about);
    job.insert("status".into(), "completed".into());
    let summary =
        json!({"failed": failed.len(), "updated": updated, "inserted": inserted, "total": users.len()});
    job.insert("summary".into(), summary);
    store.put(JOB, &id, job, Fields::new());
    if !failed.is_empty() {
        let mut errors = Fields::new();
        errors.insert("errors".into(), failed.into());
        store.put(ERRORS, &id, errors, Fields::new());
    }
    Ok(answer)
}

/// Whether a user was made, or changed; or why not.
fn one(
    world: &World,
    store: &mut Store,
    request: &Request,
    user: &Value,
    connection: &str,
    upsert: bool,
) -> Result<bool, Value> {
    let fault = |code: &str, message: &str| json!({"code": code, "message": message});
    let fields = user.as_object().ok_or_else(|| fault("INVALID_TYPE", "Expected type object"))?;
    let Some(email) = text(fields, "email").map(str::to_lowercase) else {
        return Err(fault("OBJECT_REQUIRED", "Missing required property: email"));
    };
    if !email.contains('@') {
        return Err(
            json!({"code": "FORMAT", "message": "Object didn't pass validation for format email", "path": "email"}),
        );
    }
    let at_home = |row: &Row| {
        row.text("email") == Some(&email) && row.body["identities"][0]["connection"] == connection
    };
    let known = select::named(store, users::TABLE, "email", &email).find(|(_, row)| at_home(row));
    if let Some((id, row)) = known.map(|(id, row)| (id.clone(), row.clone())) {
        if !upsert {
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
    body.shift_remove("custom_password_hash");
    body.shift_remove("password_hash");
    let mut hidden = Fields::new();
    hidden.insert("connection".into(), connection.into());
    // Imported users need no password: they reset it, or bring its hash along.
    hidden.insert(PASSWORD.into(), format!("Aa1!{}", ids::word(24)).into());
    let mut draft = Draft { body, hidden, ..Draft::default() };
    super::of(users::TABLE).create(world, store, request, &mut draft).map_err(|problem| {
        let answer = Answer::from(problem).body.unwrap_or_default();
        fault("NOT_PASSED", answer["message"].as_str().unwrap_or_default())
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
