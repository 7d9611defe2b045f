//! Which call of the Management API a method and a path name: every call of the catalogue and of
//! its `[emulator]` tables, and the tenant logs. It never runs one.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::logs;
use super::rules::{Moment, Route as Extra, Rules};
use crate::catalog::{
    Call, Catalog, Command, List, Paging, Recognise, Replace, Resource, ResourceKind, path_matches,
    placeholders,
};

/// What a call does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Lists rows.
    List(List),
    /// One row by its key.
    Get,
    /// One row by other fields.
    By,
    /// Rows whose field equals the parameter of that name.
    Find(String),
    /// A new row.
    Create(Call),
    /// Changes a row.
    Update(Call),
    /// Makes a row or replaces it.
    Put { create: Call, update: Call },
    /// Deletes a row, or those that have the values of the path.
    Delete(Call),
    /// Makes and undoes links between the row of the path and those in the body.
    Links { make: Option<Call>, undo: Option<Call> },
    /// Replaces all rows below the path.
    Set(Replace),
    /// Runs a command.
    Run(Call),
    /// Lists tenant logs.
    Logs,
    /// One tenant log entry.
    Log,
}

impl Action {
    /// The kind of call.
    pub(super) fn moment(&self) -> Moment {
        match self {
            Action::List(_) | Action::Get | Action::By | Action::Find(_) | Action::Logs | Action::Log => {
                Moment::Read
            }
            Action::Create(_) | Action::Links { make: Some(_), .. } => Moment::Create,
            Action::Update(_) | Action::Put { .. } => Moment::Update,
            Action::Delete(_) | Action::Links { make: None, .. } => Moment::Delete,
            Action::Set(_) => Moment::Set,
            Action::Run(_) => Moment::Run,
        }
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// HTTP method in capitals.
    pub(super) method: String,
    /// Path below `/api/v2`, with placeholders.
    pub(super) path: String,
    /// Any one of them allows the call.
    pub(super) scopes: Vec<String>,
    /// The table that it is about.
    pub(super) table: String,
    /// What it does.
    pub(super) action: Action,
}

/// Every call.
#[derive(Debug)]
pub(super) struct Routes {
    all: Vec<Route>,
    /// Method and number of segments → places in `all`, the same order.
    alike: HashMap<(String, usize), Vec<usize>>,
}

impl Routes {
    /// The calls of the catalogue.
    pub(super) fn new(catalog: &Catalog, rules: &HashMap<String, Rules>) -> Routes {
        let mut routes = Routes { all: Vec::new(), alike: HashMap::new() };
        let served = |resource: &&Resource| resource.kind.is_read() || resource.kind == ResourceKind::Command;
        for resource in catalog.iter().filter(served) {
            routes.calls(resource);
        }
        for resource in catalog.iter() {
            for extra in rules.get(&resource.table).into_iter().flat_map(|rules| &rules.route) {
                routes.extra(resource, extra.clone());
            }
        }
        // A list that only looks into the answer of another call is no call of its own.
        for resource in catalog.iter().filter(served) {
            for list in &resource.list {
                let logs = list.paging == Paging::Log && resource.table == logs::TABLE;
                let action = if logs { Action::Logs } else { Action::List(list.clone()) };
                routes.add(resource, "GET", &list.path, &list.scopes, action);
            }
        }
        // A path with fewer placeholders is meant before one with more.
        routes.all.sort_by_key(|route| placeholders(&route.path).count());
        for (place, route) in routes.all.iter().enumerate() {
            let like = (route.method.clone(), length(&route.path));
            routes.alike.entry(like).or_default().push(place);
        }
        routes
    }

    fn calls(&mut self, resource: &Resource) {
        if let Some(get) = &resource.get {
            let log = resource.table == logs::TABLE;
            self.call(resource, get, |_| if log { Action::Log } else { Action::Get });
        }
        if let Some(create) = &resource.create {
            self.call(resource, &create.call, |call| create_or_link(resource, call));
            if let (Recognise::Path { path }, Some(get)) = (&create.recognise, &resource.get) {
                self.add(resource, "GET", path, &get.scopes, Action::By);
            }
        }
        if let Some(update) = &resource.update {
            self.call(resource, update, Action::Update);
        }
        if let Some(delete) = &resource.delete {
            self.call(resource, delete, |call| match call.body {
                Some(_) => Action::Links { make: None, undo: Some(call) },
                None => Action::Delete(call),
            });
        }
        if let Some(replace) = &resource.replace {
            self.call(resource, &replace.call, |_| Action::Set(replace.clone()));
        }
        for Command { call, .. } in &resource.command {
            self.call(resource, call, Action::Run);
        }
    }

    fn extra(&mut self, resource: &Resource, extra: Extra) {
        match extra {
            Extra::List(list) => {
                self.add(
                    resource,
                    "GET",
                    &list.path.clone(),
                    &list.scopes.clone(),
                    if resource.table == logs::TABLE { Action::Logs } else { Action::List(list) },
                );
            }
            Extra::Find { path, scopes, field } => {
                self.add(resource, "GET", &path, &scopes, Action::Find(field));
            }
            Extra::Get(call) => self.call(resource, &call, |_| Action::Get),
            Extra::By(call) => self.call(resource, &call, |_| Action::By),
            Extra::Create(call) => self.call(resource, &call, Action::Create),
            Extra::Update(call) => self.call(resource, &call, Action::Update),
            Extra::Delete(call) => self.call(resource, &call, Action::Delete),
            Extra::Run(call) => self.call(resource, &call, Action::Run),
            Extra::Link(call) => {
                self.call(resource, &call, |call| Action::Links { make: Some(call), undo: None });
            }
            Extra::Unlink(call) => {
                self.call(resource, &call, |call| Action::Links { make: None, undo: Some(call) });
            }
            Extra::Set(replace) => {
                let call = replace.call.clone();
                self.call(resource, &call, |_| Action::Set(replace));
            }
        }
    }

    fn call(&mut self, resource: &Resource, call: &Call, action: impl FnOnce(Call) -> Action) {
        self.add(resource, &call.method, &call.path, &call.scopes, action(call.clone()));
    }

    fn add(&mut self, resource: &Resource, method: &str, path: &str, scopes: &[String], action: Action) {
        let (method, path, table) = (method.to_owned(), path.to_owned(), resource.table.clone());
        self.push(Route { method, path, scopes: scopes.to_vec(), table, action });
    }

    /// Adds a route. One method and path can make and change rows, or make and undo links; else the
    /// first that was named stands.
    fn push(&mut self, route: Route) {
        let same = |known: &&mut Route| known.method == route.method && alike(&known.path, &route.path);
        let Some(known) = self.all.iter_mut().find(same) else { return self.all.push(route) };
        if known.table != route.table {
            return;
        }
        match (&mut known.action, route.action) {
            (Action::Create(create), Action::Update(update)) => {
                known.action = Action::Put { create: create.clone(), update };
            }
            (Action::Links { make, undo }, Action::Links { make: other, undo: another }) => {
                *make = make.take().or(other);
                *undo = undo.take().or(another);
            }
            _ => {}
        }
    }

    /// The call that a method and a percent-encoded path below `/api/v2` name, with the values of
    /// its placeholders.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<(&Route, Map<String, Value>)> {
        let places = self.alike.get(&(method.to_owned(), length(path)))?;
        places.iter().find_map(|place| {
            let route = &self.all[*place];
            path_matches(&route.path, path).map(|values| (route, values))
        })
    }

    /// Every scope that any call asks for, once.
    pub(super) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> =
            self.all.iter().flat_map(|route| route.scopes.iter().cloned()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}

/// Links carry their keys in the body; what has no body of its own is made of its fields.
fn create_or_link(resource: &Resource, call: Call) -> Action {
    match resource.kind {
        ResourceKind::Association if call.body.is_some() => Action::Links { make: Some(call), undo: None },
        _ => Action::Create(call),
    }
}

/// Segments of a path.
fn length(path: &str) -> usize {
    path.trim_end_matches('/').split('/').count()
}

/// Whether two paths differ in the names of placeholders alone.
fn alike(one: &str, other: &str) -> bool {
    let segments = |path: &'_ str| -> Vec<String> {
        path.split('/')
            .map(|part| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() })
            .collect()
    };
    segments(one) == segments(other)
}
