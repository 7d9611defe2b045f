//! Makes the calls that replace a parent's whole list of links: read, edit, send, one after another
//! for each parent, so that two lanes below it never overwrite each other's links.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::call::{Step, Verdict, after_call, not_there};
use super::links::{self, Edited};
use super::request::{self, Content};
use super::worker::{Context, not_sent, unfit, write};
use crate::auth0::{Lane, Pages};
use crate::catalog::{List, Replace, Resource, RowKey, fill_path};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Row, row_listed};

/// Parents whose lists are being edited.
#[derive(Debug, Default)]
pub struct Parents(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Parents {
    /// Waits until nobody else edits the list of this path, and keeps others from it.
    async fn hold(&self, path: String) -> OwnedMutexGuard<()> {
        let one = {
            let mut parents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            parents.retain(|_, one| Arc::strong_count(one) > 1);
            Arc::clone(parents.entry(path).or_default())
        };
        one.lock_owned().await
    }
}

/// Does what a mutation of one link asks for.
pub(super) async fn call(
    context: &Context,
    resource: &Resource,
    replace: &Replace,
    content: &Content,
    request_id: &str,
    tries: u32,
) -> Step {
    let now = Instant::now();
    let Some(path) = fill_path(&replace.call.path, &content.key) else {
        let what = format!("a value for {} is missing", replace.call.path);
        return unfit(&Error::new(Kind::Internal, what));
    };
    let _alone = context.parents.hold(path).await;
    let there = match there(context, resource, replace, &content.key).await {
        Ok(there) => there,
        Err(error) => return not_sent(&error, tries, now),
    };
    let (list, place) = match links::edit(resource, replace, there, content) {
        Edited::Gone => return Step::Finish(Verdict::Gone),
        Edited::Absent => return Step::Finish(Verdict::Refused(not_there())),
        Edited::List(list, place) => (list, place),
    };
    let body = Some(links::body(replace, &list));
    let request = match request::request(&replace.call, &content.key, body, request_id) {
        Ok(request) => request,
        Err(error) => return unfit(&error),
    };
    let outcome = write(context, resource, &request).await;
    let mine = place.and_then(|place| list.get(place)).cloned();
    let shown = |answer: &Value| answered(resource, replace, content, answer).or(mine);
    after_call(outcome, shown, 1, tries, Instant::now())
}

/// The parent's links as Auth0 has them, in their order.
async fn there(
    context: &Context,
    resource: &Resource,
    replace: &Replace,
    key: &Map<String, Value>,
) -> Result<Vec<Row>> {
    let list = list_of(resource, replace, key).ok_or_else(|| {
        Error::new(Kind::Catalog, format!("{} has no list of the links of one parent", resource.table))
    })?;
    let mut pages = Pages::new(&context.auth0, list, key, Lane::Write)?;
    let mut rows = Vec::new();
    while let Some(items) = pages.next_page().await? {
        rows.extend(items.iter().map(|item| row_listed(resource, list, item, key)));
    }
    match pages.cut() {
        Some(_) => {
            Err(Error::new(Kind::Catalog, "Auth0 shows only a part of the links, the others would be lost"))
        }
        None => Ok(rows),
    }
}

/// The list that shows what the call replaces.
fn list_of<'a>(resource: &'a Resource, replace: &Replace, key: &Map<String, Value>) -> Option<&'a List> {
    let below = || resource.list.iter().filter(|list| fill_path(&list.path, key).is_some());
    below().find(|list| list.path == replace.call.path).or_else(|| below().next())
}

/// The link in an answer that shows the new list.
fn answered(resource: &Resource, replace: &Replace, content: &Content, answer: &Value) -> Option<Row> {
    let items = match &replace.array {
        Some(key) => answer.get(key)?,
        None => answer,
    };
    let list = list_of(resource, replace, &content.key)?;
    let wanted = RowKey::of(resource, &content.key);
    let rows = items.as_array()?.iter().filter_map(Value::as_object);
    let mut rows = rows.map(|item| row_listed(resource, list, item, &content.key)).enumerate();
    let (place, mut row) = rows.find(|(_, row)| RowKey::of(resource, row) == wanted)?;
    if let Some(column) = &replace.order {
        row.insert(column.clone(), Value::from(place));
    }
    Some(row)
}
