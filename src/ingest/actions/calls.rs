//! The calls by which the service makes something of its own at Auth0, as the catalogue describes
//! them. They carry the service's correlation id; what they change is asked for here, because the
//! tenant log's reader passes by what is ours.

use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use serde_json::{Map, Value};

use super::{Removed, Site};
use crate::auth0::{Lane, Pages, Request};
use crate::catalog::{Call, Catalog, List, Replace, Resource, RowKey, Serves, Target};
use crate::error::{Error, Kind, Result};
use crate::ingest::Queue;
use crate::pg::mirror::Row;

/// What the service may do at Auth0 for itself.
pub(super) struct Calls<'a> {
    pub(super) site: &'a Site,
    pub(super) code: &'a Resource,
    pub(super) deploy: &'a Resource,
    pub(super) binding: &'a Resource,
    pub(super) feed: &'a Resource,
    queue: &'a Queue,
    removed: Mutex<Removed>,
}

impl<'a> Calls<'a> {
    /// `whole` is the catalogue with what is not mirrored too.
    ///
    /// # Errors
    /// `catalog` where a resource is missing.
    pub(super) fn new(site: &'a Site, whole: &'a Catalog, queue: &'a Queue) -> Result<Calls<'a>> {
        Ok(Calls {
            site,
            code: whole.serving(Serves::Code)?,
            deploy: whole.serving(Serves::Deploy)?,
            binding: whole.serving(Serves::Binding)?,
            feed: whole.serving(Serves::Feed)?,
            queue,
            removed: Mutex::default(),
        })
    }

    /// What has been removed so far.
    pub(super) fn removed(&self) -> Removed {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_removed(&self, note: impl FnOnce(&mut Removed)) {
        note(&mut self.removed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes a call with the values of its path. A call whose answer is lost is an error: the next
    /// look finds what has become of it.
    pub(super) async fn make(&self, call: &Call, values: &Row, body: Option<Value>) -> Result<Value> {
        let method = call.method.parse::<Method>();
        let method = method.map_err(|error| Error::with(Kind::Catalog, "a call has no method", error))?;
        let read = Request::of_row(call, values, Lane::Refetch)?;
        let correlation_id = Some(format!("{}-webhook", self.site.instance));
        // A call that the limit refuses has done nothing, so it is made again like a read.
        Ok(self.site.auth0.read(&Request { method, body, correlation_id, ..read }).await?.body)
    }

    /// A row of one of these resources by its key; none where Auth0 has none.
    pub(super) async fn get(&self, resource: &Resource, key: &str) -> Result<Option<Row>> {
        let get = call(resource.get.as_ref(), resource, "reads a row")?;
        match self.make(get, &RowKey::single(key).to_json(resource), None).await {
            Ok(Value::Object(row)) => Ok(Some(row)),
            Ok(_) => Err(Error::new(Kind::Auth0Answer, format!("{}: the answer is no object", get.path))),
            Err(error) if error.kind() == Kind::Auth0NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The row with a name.
    pub(super) async fn named(&self, resource: &Resource, name: &str) -> Result<Option<Row>> {
        let list = resource.list.first();
        let list =
            list.ok_or_else(|| Error::new(Kind::Catalog, format!("{} has no list", resource.table)))?;
        let rows = self.all(list, &Map::new()).await?;
        Ok(rows.into_iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name)))
    }

    /// Every item of a list.
    pub(super) async fn all(&self, list: &List, values: &Row) -> Result<Vec<Row>> {
        let mut pages = Pages::new(&self.site.auth0, list, values, Lane::Refetch)?;
        let mut rows = Vec::new();
        while let Some(page) = pages.next_page().await? {
            rows.extend(page);
        }
        match pages.cut() {
            None => Ok(rows),
            Some(_) => Err(Error::new(Kind::Auth0Answer, "Auth0 shows only a part of a list")),
        }
    }

    /// Deletes a row; one that is not there is deleted.
    pub(super) async fn delete(&self, resource: &Resource, key: &str) -> Result<()> {
        let delete = call(resource.delete.as_ref(), resource, "deletes a row")?;
        let done = match self.make(delete, &RowKey::single(key).to_json(resource), None).await {
            Err(error) if error.kind() != Kind::Auth0NotFound => Err(error),
            _ => Ok(()),
        };
        self.changed(resource, key);
        done
    }

    /// The mirror reads a row that we have changed.
    pub(super) fn changed(&self, resource: &Resource, key: &str) {
        let catalog = &self.site.catalog;
        let row = RowKey::single(key).to_json(resource);
        self.queue.ask(Target::suspected(catalog, &resource.table, RowKey::single(key)));
        for table in resource
            .serves
            .iter()
            .filter(|serves| **serves == Serves::Code)
            .flat_map(|_| &self.deploy.changes)
        {
            self.queue.ask(Target::changed(catalog, resource, &row, table));
        }
    }

    /// The mirror reads a list that we have changed.
    pub(super) fn list_changed(&self, resource: &Resource, values: &Row) {
        let mirrored = self.site.catalog.get(&resource.table);
        self.queue.ask(mirrored.and_then(|resource| Target::narrowest(&self.site.catalog, resource, values)));
    }
}

/// A call that must be there.
pub(super) fn call<'c>(call: Option<&'c Call>, resource: &Resource, what: &str) -> Result<&'c Call> {
    call.ok_or_else(|| Error::new(Kind::Catalog, format!("{} has no call that {what}", resource.table)))
}

/// The call that sets a list, which must be there.
pub(super) fn replace(resource: &Resource) -> Result<&Replace> {
    let missing = || Error::new(Kind::Catalog, format!("{} has no call that sets a list", resource.table));
    resource.replace.as_ref().ok_or_else(missing)
}

/// A text of a row.
pub(super) fn text<'r>(row: &'r Row, name: &str) -> &'r str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}
