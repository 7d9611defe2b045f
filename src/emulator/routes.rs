//! Which call of the Management API a method and a path name: every call of the catalogue and of
//! its `[emulator]` tables, and the tenant logs. It never runs one.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::rules::{Route as Extra, Rules};
use crate::catalog::{Call, Catalog, List, Recognise, ResourceKind, path_matches, placeholders};

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
    /// Deletes a row.
    Delete(Call),
    /// Makes links between the row of the path and those in the body.
    Link(Call),
    /// Undoes them.
    Unlink(Call),
    /// Lists tenant logs.
    Logs,
    /// One tenant log entry.
    Log,
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
pub(super) struct Routes(Vec<Route>);

impl Routes {
    /// The calls of the catalogue.
    pub(super) fn new(catalog: &Catalog, rules: &HashMap<String, Rules>) -> Routes {
        let mut routes = Vec::new();
        for resource in catalog.iter() {
            let linked = resource.kind == ResourceKind::Association;
            let mut add = |method: &str, path: &str, scopes: &[String], action: Action| {
                let (method, path, table) = (method.to_owned(), path.to_owned(), resource.table.clone());
                routes.push(Route { method, path, scopes: scopes.to_vec(), table, action });
            };
            for list in &resource.list {
                add("GET", &list.path, &list.scopes, Action::List(list.clone()));
            }
            if let Some(get) = &resource.get {
                add(&get.method, &get.path, &get.scopes, Action::Get);
            }
            if let Some(create) = &resource.create {
                let call = create.call.clone();
                let action = if linked { Action::Link(call) } else { Action::Create(call) };
                add(&create.call.method, &create.call.path, &create.call.scopes, action);
                if let (Recognise::Path { path }, Some(get)) = (&create.recognise, &resource.get) {
                    add("GET", path, &get.scopes, Action::By);
                }
            }
            if let Some(update) = &resource.update {
                add(&update.method, &update.path, &update.scopes, Action::Update(update.clone()));
            }
            if let Some(delete) = &resource.delete {
                let call = delete.clone();
                let action = if linked { Action::Unlink(call) } else { Action::Delete(call) };
                add(&delete.method, &delete.path, &delete.scopes, action);
            }
            for extra in rules.get(&resource.table).into_iter().flat_map(|rules| &rules.route) {
                match extra.clone() {
                    Extra::List(list) => {
                        add("GET", &list.path.clone(), &list.scopes.clone(), Action::List(list))
                    }
                    Extra::By(call) => add(&call.method, &call.path, &call.scopes, Action::By),
                    Extra::Find { path, scopes, field } => add("GET", &path, &scopes, Action::Find(field)),
                    Extra::Link(call) => {
                        add(
                            &call.method.clone(),
                            &call.path.clone(),
                            &call.scopes.clone(),
                            Action::Link(call),
                        );
                    }
                    Extra::Unlink(call) => {
                        add(
                            &call.method.clone(),
                            &call.path.clone(),
                            &call.scopes.clone(),
                            Action::Unlink(call),
                        );
                    }
                }
            }
        }
        // Tenant logs are no mirror table: they are how changes are learnt.
        for (path, action) in [("/logs", Action::Logs), ("/logs/{id}", Action::Log)] {
            let scopes = vec!["read:logs".to_owned(), "read:logs_users".to_owned()];
            let table = "log".to_owned();
            routes.push(Route { method: "GET".into(), path: path.into(), scopes, table, action });
        }
        // A path with fewer placeholders is meant before one with more.
        routes.sort_by_key(|route| placeholders(&route.path).count());
        Routes(routes)
    }

    /// The call that a method and a percent-encoded path below `/api/v2` name, with the values of
    /// its placeholders.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<(&Route, Map<String, Value>)> {
        self.0
            .iter()
            .filter(|route| route.method == method)
            .find_map(|route| path_matches(&route.path, path).map(|values| (route, values)))
    }

    /// The list whose path this is, with the values of its placeholders.
    pub(super) fn list(&self, path: &str) -> Option<(&Route, &List, Map<String, Value>)> {
        let (route, values) = self.find("GET", path)?;
        match &route.action {
            Action::List(list) => Some((route, list, values)),
            _ => None,
        }
    }

    /// Every scope that any call asks for, once.
    pub(super) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = self.0.iter().flat_map(|route| route.scopes.iter().cloned()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}
