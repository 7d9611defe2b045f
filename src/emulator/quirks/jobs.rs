//! Jobs end a day after they began. They are done in the background; each look at an export gives
//! another address of its file, and an import remembers the users that it could not take.

use serde_json::Value;

use super::Quirks;
use crate::emulator::calls::Incoming;
use crate::emulator::exports::{self, Asked, Order};
use crate::emulator::problem::{Answer, Problem};
use crate::emulator::reads;
use crate::emulator::rules::Fields;
use crate::emulator::store::Store;
use crate::emulator::world::{Request, Scene};

/// The table of jobs.
pub(in crate::emulator) const JOB: &str = "job";
pub(super) const EXPORT: &str = "job_users_export";
pub(super) const ERRORS: &str = "job_error";

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

fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}
