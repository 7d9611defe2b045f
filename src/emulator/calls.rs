//! One call of the Management API from the route to the answer: what the tenant lacks, the shape of
//! the path, the call itself, what it changes elsewhere, and its tenant log.

use serde_json::Value;

use super::deeds;
use super::keys;
use super::problem::{Answer, Problem};
use super::quirks;
use super::routes::{Action, Route};
use super::rules::{Fields, Moment};
use super::schema;
use super::show::{self, Shape};
use super::store::Store;
use super::template::Context;
use super::world::{Request, Scene, World};
use super::writes::{self, Done, status};
use super::{links, logs, reads};
use crate::catalog::{Call, Resource, WriteCall, placeholders};

/// A call whose sender may make it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    /// What never changes.
    pub(super) world: &'a World,
    /// The request.
    pub(super) request: &'a Request,
    /// The route that it took.
    pub(super) route: &'a Route,
    /// The values of its path by column.
    pub(super) values: &'a Fields,
}

/// Runs a call; a successful write leaves a tenant log.
pub(super) fn run(store: &mut Store, call: Incoming) -> Answer {
    let Incoming { world, request, route, .. } = call;
    match act(store, call) {
        Ok(answer) => {
            if request.method != "GET" {
                logs::note(world, store, request, route, &answer);
            }
            answer
        }
        Err(problem) => problem.into(),
    }
}

fn act(store: &mut Store, call: Incoming) -> Result<Answer, Problem> {
    let Incoming { world, request, route, values } = call;
    match &route.action {
        Action::Logs => return logs::list(store, request, values),
        Action::Log => {
            let id = values.values().next().and_then(Value::as_str);
            return logs::one(store, id.unwrap_or_default());
        }
        _ => {}
    }
    let shape = world.table(&route.table).map_err(|error| Problem::plain(500, error.to_string()))?;
    let moment = route.action.moment();
    deeds::gates(world, shape.1, moment, request.body.as_ref())?;
    schema::path(shape.0, shape.1, values)?;
    let values = &by_alias(store, shape, values);
    let call = Incoming { values, ..call };
    let quirks = quirks::of(&route.table);
    if let Some(answer) = quirks.call(store, call) {
        return answer;
    }
    if moment == Moment::Read {
        let answer = read(Scene { world, store, request }, shape, route, values)?;
        return Ok(deeds::answered(shape.1, moment, &Context::of(request, values), answer));
    }
    let done = write(store, call, shape)?;
    let context = Context { row: done.row.as_ref(), ..Context::of(request, values) };
    let sent = done.answer.body.clone();
    let context = Context { answer: sent.as_ref(), ..context };
    let mut answer = deeds::answered(shape.1, moment, &context, done.answer);
    let shown = answer.body.clone();
    let context = Context { answer: shown.as_ref(), ..context };
    deeds::effects(world, store, (shape.1, &route.path), moment, &context);
    quirks.after(store, call, &mut answer);
    Ok(answer)
}

/// The values of a path in which a row may be named by another field than its key.
fn by_alias(store: &Store, (resource, rules): Shape, values: &Fields) -> Fields {
    let mut values = values.clone();
    let ([column], false) = (resource.key.as_slice(), rules.alias.is_empty()) else { return values };
    let Some(named) = values.get(column).and_then(Value::as_str) else { return values };
    if store.get(&resource.table, named).is_none() {
        let mut rows = store.table(&resource.table).iter();
        // Some clients encode an address twice, and Auth0 takes that.
        let twice = percent_encoding::percent_decode_str(named).decode_utf8_lossy();
        let is = |text: Option<&str>| text == Some(named) || text == Some(&twice);
        let same = rows.find(|(_, row)| rules.alias.iter().any(|field| is(row.text(field))));
        if let Some((key, _)) = same {
            values.insert(column.clone(), key.as_str().into());
        }
    }
    values
}

fn read(scene: Scene, shape: Shape, route: &Route, values: &Fields) -> Result<Answer, Problem> {
    match &route.action {
        Action::List(list) => reads::list(scene, shape, list, values),
        Action::By => reads::by(scene, shape, values),
        Action::Find(field) => reads::find(scene, shape, field),
        _ => reads::get(scene, shape, values),
    }
}

fn write(store: &mut Store, call: Incoming, shape: Shape) -> Result<Done, Problem> {
    let Incoming { world, request, route, values } = call;
    match &route.action {
        Action::Create(call) => writes::create(world, store, request, shape, values, call),
        Action::Update(call) => writes::update(world, store, request, shape, values, call),
        Action::Put { create, update } => writes::put(world, store, request, shape, values, (create, update)),
        Action::Delete(call) => writes::delete(world, store, request, shape, values, call),
        Action::Links { make, undo } => {
            links::change(world, store, request, shape, values, (make.as_ref(), undo.as_ref()))
        }
        Action::Set(replace) => links::replace(world, store, request, shape, values, replace),
        Action::Run(call) => command(world, store, request, shape, values, call),
        _ => Err(Problem::plain(404, "Not Found")),
    }
}

/// Runs a command: what it answers and changes is data.
fn command(
    world: &World,
    store: &Store,
    request: &Request,
    shape: Shape,
    values: &Fields,
    call: &Call,
) -> Result<Done, Problem> {
    let (resource, rules) = shape;
    let body = request.object()?;
    schema::check(resource, rules, WriteCall::Create, &told(resource, call, values), &body)?;
    reads::parents(world, store, resource, values)?;
    // Rows that the body names must be there too.
    for column in resource.columns.keys() {
        if let (Some(value), false) = (body.get(resource.write_field(column)), values.contains_key(column)) {
            let named = Fields::from_iter([(column.clone(), value.clone())]);
            reads::parent(world, store, resource, column, &named)?;
        }
    }
    // The row that the path names last.
    let named = placeholders(&call.path).filter_map(|column| {
        let table = resource.columns.get(column)?.references.as_deref()?;
        let (other, rules) = world.shape(table)?;
        let key = values.get(column)?.as_str()?;
        let row = store.get(table, key)?;
        let scene = Scene { world, store, request };
        let mut fields = keys::columns(other, key);
        fields.extend(show::read(scene, (other, rules), key, row));
        Some(fields)
    });
    let row = named.last();
    let context = Context { row: row.as_ref(), ..Context::of(request, values) };
    deeds::forbid(rules, Moment::Run, &context)?;
    let template = rules.run.iter().find(|run| run.path == call.path).map(|run| &run.answer);
    let status = status(call);
    let answer = match template.or(rules.answer.run.as_ref()) {
        Some(template) => deeds::templated(template, &context, status),
        None if status == 204 => Answer::empty(status),
        None => Answer::new(status, Value::Object(Fields::new())),
    };
    Ok(Done { answer, row })
}

/// What need not stand in a command's body: what the path gives, and what picks the call.
fn told(resource: &Resource, call: &Call, values: &Fields) -> Fields {
    let mut known = values.clone();
    known.extend(placeholders(&call.path).map(|column| (column.to_owned(), Value::Null)));
    let picks = resource.command.iter().flat_map(|command| command.when.keys());
    known.extend(picks.map(|column| (column.clone(), Value::Null)));
    known
}
