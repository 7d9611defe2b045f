//! One call of the Management API from the route to the answer, with its tenant log.

use serde_json::Value;

use super::problem::{Answer, Problem};
use super::routes::{Action, Route};
use super::rules::Fields;
use super::store::Store;
use super::world::{Request, World};
use super::{links, logs, reads, writes};

/// Runs a call whose sender may make it; a successful write leaves a tenant log.
pub(super) fn run(
    world: &World,
    store: &mut Store,
    request: &Request,
    route: &Route,
    values: &Fields,
) -> Answer {
    let answer = act(world, store, request, route, values);
    match answer {
        Ok(answer) => {
            if request.method != "GET" {
                logs::note(world, store, request, route, &answer);
            }
            answer
        }
        Err(problem) => problem.into(),
    }
}

fn act(
    world: &World,
    store: &mut Store,
    request: &Request,
    route: &Route,
    values: &Fields,
) -> Result<Answer, Problem> {
    match &route.action {
        Action::Logs => return logs::list(store, request),
        Action::Log => return logs::one(store, values.get("id").and_then(Value::as_str).unwrap_or_default()),
        _ => {}
    }
    let shape = world.table(&route.table).map_err(|error| Problem::plain(500, error.to_string()))?;
    match &route.action {
        Action::List(list) => reads::list(world, store, request, shape, list, values),
        Action::Get => reads::get(world, store, request, shape, values),
        Action::By => reads::by(world, store, request, shape, values),
        Action::Find(field) => reads::find(store, request, shape, field),
        Action::Create(call) => writes::create(world, store, request, shape, call),
        Action::Update(call) => writes::update(world, store, request, shape, values, call),
        Action::Delete(call) => writes::delete(world, store, shape, values, call),
        Action::Link(call) => links::change(world, store, request, shape.0, values, call, true),
        Action::Unlink(call) => links::change(world, store, request, shape.0, values, call, false),
        Action::Logs | Action::Log => Err(Problem::plain(404, "Not Found")),
    }
}
