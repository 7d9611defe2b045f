//! The calls of a table against the operations of the document.

use super::document::{Document, Index, Operation};
use super::shape::Shape;
use super::{Difference, Findings};
use crate::catalog::{Call, Lifecycle, Recognise, Resource};

/// What the document says of the calls of one table.
#[derive(Default)]
pub(super) struct Calls {
    /// Of each list, in order: its answer.
    pub(super) lists: Vec<Option<Shape>>,
    /// What reading one row answers.
    pub(super) get: Option<Shape>,
    /// The body that creates a row.
    pub(super) create: Option<Shape>,
    /// The body that changes a row.
    pub(super) update: Option<Shape>,
    /// What creating and changing answer.
    pub(super) written: Option<Shape>,
    /// Of each command: body and answer.
    pub(super) commands: Vec<(Option<Shape>, Option<Shape>)>,
}

/// Looks every call up; says what is gone or needs other scopes, and marks what is used.
pub(super) fn examine(
    document: &Document,
    operations: &[Operation<'_>],
    index: &Index<'_>,
    resource: &Resource,
    findings: &mut Findings,
) -> Calls {
    let mut lifecycles = Vec::new();
    let mut find = |name: &str, method: &str, path: &str, scopes: &[String], findings: &mut Findings| {
        let Some(place) = index.find(method, path) else {
            findings.push(resource, None, format!("{name}: Auth0 has no {method} {path}"));
            return None;
        };
        findings.used.insert(place);
        let operation = &operations[place];
        lifecycles.extend(known_lifecycle(operation.lifecycle));
        let unknown: Vec<_> =
            scopes.iter().map(String::as_str).filter(|scope| !operation.scopes.contains(scope)).collect();
        if !unknown.is_empty() || (scopes.is_empty() && !operation.scopes.is_empty()) {
            let ours = if scopes.is_empty() { "none".to_owned() } else { unknown.join(", ") };
            let theirs = operation.scopes.join(", ");
            findings.push(resource, None, format!("{name}: the scope is {ours}, Auth0 takes {theirs}"));
        }
        Some(operation)
    };
    let body = |operation: Option<&Operation<'_>>| operation.and_then(|operation| document.body(operation));
    let answer = |operation: Option<&Operation<'_>>| operation.and_then(|o| document.answer(o));
    let mut calls = Calls::default();
    for list in &resource.list {
        let operation = find("list", "GET", &list.path, &list.scopes, findings);
        calls.lists.push(answer(operation));
    }
    let mut call = |name: &str, call: &Call, findings: &mut Findings| {
        find(name, &call.method, &call.path, &call.scopes, findings)
    };
    if let Some(get) = &resource.get {
        calls.get = answer(call("get", get, findings));
    }
    let mut written = Vec::new();
    if let Some(create) = &resource.create {
        let operation = call("create", &create.call, findings);
        calls.create = body(operation);
        template(resource, "create", create.call.body.as_ref(), calls.create.as_ref(), findings);
        written.push(answer(operation));
        if let Recognise::Path { path } = &create.recognise
            && index.find("GET", path).map(|place| findings.used.insert(place)).is_none()
        {
            findings.push(resource, None, format!("recognise: Auth0 has no GET {path}"));
        }
    }
    if let Some(update) = &resource.update {
        let operation = call("update", update, findings);
        calls.update = body(operation);
        template(resource, "update", update.body.as_ref(), calls.update.as_ref(), findings);
        written.push(answer(operation));
    }
    if let Some(delete) = &resource.delete {
        let taken = body(call("delete", delete, findings));
        template(resource, "delete", delete.body.as_ref(), taken.as_ref(), findings);
    }
    if let Some(replace) = &resource.replace {
        let taken = body(call("set", &replace.call, findings));
        let array = match &replace.array {
            Some(key) => taken.as_ref().and_then(|body| Some(&body.fields.get(key)?.shape)),
            None => taken.as_ref(),
        };
        match array.and_then(|array| array.items.as_deref()) {
            Some(item) => template(resource, "set", Some(&replace.item), Some(item), findings),
            None => findings.push(resource, None, "set: Auth0's body has no such list".to_owned()),
        }
    }
    for command in &resource.command {
        let operation = call("command", &command.call, findings);
        let taken = body(operation);
        template(resource, "command", command.call.body.as_ref(), taken.as_ref(), findings);
        calls.commands.push((taken, answer(operation)));
    }
    calls.written = written.into_iter().flatten().reduce(Shape::either);
    lifecycle(resource, &lifecycles, findings);
    calls
}

/// A table is released as far as the furthest of its calls.
fn lifecycle(resource: &Resource, calls: &[Lifecycle], findings: &mut Findings) {
    let Some(theirs) = calls.iter().min_by_key(|lifecycle| **lifecycle as u8) else { return };
    if resource.lifecycle != *theirs && resource.lifecycle != Lifecycle::Ended {
        let (ours, theirs) = (resource.lifecycle.as_str(), theirs.as_str());
        findings.push(resource, None, format!("lifecycle is {ours}, at Auth0 {theirs}"));
    }
}

/// Says which keys of a template the document's body has not, and which it needs besides.
fn template(
    resource: &Resource,
    name: &str,
    ours: Option<&toml::Value>,
    theirs: Option<&Shape>,
    findings: &mut Findings,
) {
    let (Some(toml::Value::Table(ours)), Some(theirs)) = (ours, theirs) else { return };
    for key in ours.keys().filter(|key| !theirs.fields.is_empty() && !theirs.fields.contains_key(*key)) {
        findings.push(resource, None, format!("{name}: Auth0's body has no {key}"));
    }
    for (key, _) in theirs.fields.iter().filter(|(key, field)| field.required && !ours.contains_key(*key)) {
        findings.push(resource, None, format!("{name}: Auth0's body needs {key}"));
    }
}

fn known_lifecycle(word: &str) -> Option<Lifecycle> {
    match word {
        "GA" => Some(Lifecycle::Available),
        "EA" => Some(Lifecycle::EarlyAccess),
        "beta" => Some(Lifecycle::Beta),
        _ => None,
    }
}

impl Findings {
    /// Notes a difference of a table, or of one of its columns.
    pub(super) fn push(&mut self, resource: &Resource, column: Option<&str>, what: String) {
        let column = column.map(str::to_owned);
        self.differences.push(Difference { table: resource.table.clone(), column, what });
    }
}
