//! The tenant's logs: an entry for every successful write, read by checkpoint or by search.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::ids;
use super::packed::View;
use super::paging::number;
use super::problem::{Answer, Problem};
use super::quirks::clients;
use super::routes::Route;
use super::rules::{Fields, Moment, Search};
use super::search::{self, Query};
use super::show;
use super::store::Store;
use super::world::{Request, World};
use crate::catalog::Class;

/// The table of the tenant's logs, where it is mirrored.
pub(super) const TABLE: &str = "log";

const MASK: &str = "*****";
/// Of a correlation id Auth0 keeps so many characters.
const CORRELATION: usize = 64;
const LARGEST_PAGE: usize = 100;

/// Notes a successful write.
pub(super) fn note(world: &World, store: &mut Store, request: &Request, route: &Route, answer: &Answer) {
    let rules = world.rules.get(&route.table);
    let title = rules.and_then(|rules| match route.action.moment() {
        Moment::Create | Moment::Run => rules.log.create.as_ref(),
        Moment::Update | Moment::Set => rules.log.update.as_ref(),
        Moment::Delete => rules.log.delete.as_ref(),
        Moment::Read => None,
    });
    let description = title.cloned().unwrap_or_else(|| format!("{} {}", request.method, route.path));
    let id = next_id(store, request.now);
    let client = store.get(clients::TABLE, &request.claims.client_id);
    let query: Fields =
        request.query.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let mut entry = json!({
        "date": ids::time(request.now),
        "type": "sapi",
        "description": description,
        "client_id": request.claims.client_id,
        "client_name": client.and_then(|client| client.text("name")).unwrap_or_default(),
        "ip": request.ip,
        "user_agent": request.agent,
        "details": {
            "request": {
                "method": request.method.to_lowercase(),
                "path": format!("/api/v2{}", request.path),
                "query": query,
                "body": masked(world, &route.table, request.body.clone()),
                "userAgent": request.agent,
                "channel": "api",
                "ip": request.ip,
                "auth": {"user": {}, "strategy": "jwt", "credentials": {"jti": request.claims.id}},
            },
            "response": {
                "statusCode": answer.status,
                "body": masked(world, &route.table, answer.body.clone()),
            },
        },
        "user_id": "",
        "log_id": id,
        "_id": id,
        "isMobile": false,
        "tenant_name": request.tenant,
        "environment_name": "prod-us-1",
    });
    if let Some(correlation) = &request.correlation {
        entry["references"] =
            json!({"correlation_id": correlation.chars().take(CORRELATION).collect::<String>()});
    }
    store.log(entry);
}

/// Notes what happened without a call of its own: a type of the tenant log, and what it tells.
pub(super) fn event(store: &mut Store, request: &Request, kind: &str, about: &Fields) {
    let id = next_id(store, request.now);
    let mut entry = json!({
        "date": ids::time(request.now),
        "type": kind,
        "ip": request.ip,
        "details": {},
        "log_id": id,
        "_id": id,
        "isMobile": false,
        "tenant_name": request.tenant,
        "environment_name": "prod-us-1",
    });
    for (name, value) in about {
        entry[name] = value.clone();
    }
    store.log(entry);
}

/// The next id: `900`, the time, and a counter, so that ids grow in the order of writing.
fn next_id(store: &Store, now: DateTime<Utc>) -> String {
    const FIRST: u64 = 36_854_775_808;
    let last = store.logs().last().and_then(|entry| entry["log_id"].as_str());
    let counter = last.and_then(|id| id.get(41..)?.parse::<u64>().ok()).map_or(FIRST, |counter| counter + 1);
    let mut time = now.format("%Y%m%d%H%M%S%3f").to_string();
    // A clock that was set back must not hide entries behind a checkpoint.
    if let Some(last) = last.and_then(|id| id.get(3..20)).filter(|last| *last > time.as_str()) {
        time = last.to_owned();
    }
    format!("900{time}000000000000001223372{counter:012}")
}

fn masked(world: &World, table: &str, body: Option<Value>) -> Value {
    let Some((resource, _)) = world.shape(table) else { return body.unwrap_or_else(|| json!({})) };
    // A list of things is masked item by item.
    if let Some(Value::Array(items)) = body {
        return items.into_iter().map(|item| masked(world, table, Some(item))).collect();
    }
    if resource.whole.as_ref().and_then(|whole| resource.columns.get(whole)).is_some_and(|c| c.secret) {
        return MASK.into();
    }
    let mut body = body.unwrap_or_else(|| json!({}));
    let (Ok((resource, rules)), Some(fields)) = (world.table(table), body.as_object_mut()) else {
        return body;
    };
    for (name, value) in fields.iter_mut() {
        let named = |column: &str| resource.field(column) == name || resource.write_field(column) == name;
        let column = resource.columns.iter().find(|(column, _)| named(column));
        let secret = column.is_some_and(|(_, column)| column.secret && column.class == Class::WriteOnly);
        if let (Some((_, column)), Value::Object(inner)) = (column, &mut *value) {
            for key in &column.secret_keys {
                inner.get_mut(key).map(|value| *value = MASK.into()).unwrap_or_default();
            }
        }
        if secret || rules.scoped.contains_key(name) {
            *value = MASK.into();
        }
    }
    body
}

/// `GET /logs`: by checkpoint with `from` or `take`, else by search; of the user that the path names,
/// where it names one.
///
/// # Errors
/// Auth0's refusal of a parameter.
pub(super) fn list(store: &Store, request: &Request, values: &Fields) -> Result<Answer, Problem> {
    if request.param("from").is_some() || request.param("take").is_some() {
        return by_checkpoint(store, request);
    }
    let query = request.param("q").or_else(|| request.param("search")).filter(|text| !text.trim().is_empty());
    let query = query.map(|query| Query::parse(query, Search::any())).transpose()?;
    let per_page = number(request, "per_page", 50, LARGEST_PAGE)?;
    let page = number(request, "page", 0, usize::MAX)?;
    let entries = store.logs().iter().filter_map(Value::as_object);
    let entries = entries.filter(|entry| values.iter().all(|(field, value)| entry.get(field) == Some(value)));
    let entries = entries.filter(|entry| {
        query.as_ref().is_none_or(|query| query.matches(View::Fields(entry), &|_| Vec::new()))
    });
    let mut entries: Vec<&Fields> = entries.collect();
    // Newest first unless asked otherwise; entries of one time keep that order.
    match request.param("sort").filter(|sort| *sort != "date:-1") {
        Some(order) => entries = search::sort(order, entries, |entry| entry)?,
        None => entries.reverse(),
    }
    let total = entries.len();
    let start = page.saturating_mul(per_page);
    let page = entries.into_iter().skip(start).take(per_page);
    let page: Vec<Value> =
        page.map(|entry| Value::Object(show::select(request, &[], entry.clone()))).collect();
    if request.flag("include_totals") {
        let length = page.len();
        let body = json!({"start": start, "limit": per_page, "length": length, "total": total, "logs": page});
        return Ok(Answer::new(200, body));
    }
    Ok(Answer::new(200, Value::Array(page)))
}

fn by_checkpoint(store: &Store, request: &Request) -> Result<Answer, Problem> {
    let take = number(request, "take", 50, LARGEST_PAGE)?;
    let from = request.param("from").unwrap_or_default();
    let seen = store.logs().partition_point(|entry| entry["log_id"].as_str().is_some_and(|id| id <= from));
    let page: Vec<Value> = store.logs().iter().skip(seen).take(take).cloned().collect();
    // An empty page repeats the same checkpoint, so that it can be asked again.
    let last = page.last().and_then(|entry| entry["log_id"].as_str()).unwrap_or(from);
    let next = format!("<http://{}/api/v2/logs?from={last}&take={take}>; rel=\"next\"", request.host);
    let mut answer = Answer::new(200, Value::Array(page));
    answer.headers.push(("link", next));
    Ok(answer)
}

/// `GET /logs/{id}`.
///
/// # Errors
/// 404.
pub(super) fn one(store: &Store, id: &str) -> Result<Answer, Problem> {
    let found = store.logs().iter().find(|entry| entry["log_id"].as_str() == Some(id));
    let missing = || Problem::new(404, "The log does not exist", "inexistent_log");
    found.cloned().map(|entry| Answer::new(200, entry)).ok_or_else(missing)
}
