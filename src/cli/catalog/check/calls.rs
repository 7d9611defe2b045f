//! The calls of a table against the operations of the document.

use super::document::{Document, Index, Operation};
use super::shape::Shape;
use super::{Difference, Findings};
use crate::catalog::{Call, Lifecycle, Recognise, Replace, Resource};

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

/// Looks every call of a table up.
pub(super) struct Lookup<'a> {
    pub(super) document: &'a Document,
    pub(super) operations: &'a [Operation<'a>],
    pub(super) index: &'a Index<'a>,
    pub(super) resource: &'a Resource,
}

/// What the document says of one call.
#[derive(Default)]
struct Found {
    body: Option<Shape>,
    answer: Option<Shape>,
    lifecycle: Option<Lifecycle>,
}

impl Lookup<'_> {
    /// Says what is gone or needs other scopes, and marks what is used.
    pub(super) fn examine(&self, findings: &mut Findings) -> Calls {
        let resource = self.resource;
        let mut calls = Calls::default();
        let mut lifecycles = Vec::new();
        let mut written = Vec::new();
        for list in &resource.list {
            let begun = findings.differences.len();
            let found = self.find("list", "GET", &list.path, &list.scopes, findings);
            findings.excuse(resource, None, list.differs.as_ref(), begun);
            lifecycles.extend(found.lifecycle);
            calls.lists.push(found.answer);
        }
        let mut call = |name: &str, call: &Call, template: Option<&toml::Value>, findings: &mut Findings| {
            let begun = findings.differences.len();
            let found = self.find(name, &call.method, &call.path, &call.scopes, findings);
            self.template(name, template, found.body.as_ref(), findings);
            findings.excuse(resource, None, call.differs.as_ref(), begun);
            lifecycles.extend(found.lifecycle);
            found
        };
        if let Some(get) = &resource.get {
            calls.get = call("get", get, None, findings).answer;
        }
        if let Some(create) = &resource.create {
            let found = call("create", &create.call, create.call.body.as_ref(), findings);
            calls.create = found.body;
            written.extend(found.answer);
            if let Recognise::Path { path } = &create.recognise {
                self.find("recognise", "GET", path, &[], findings);
            }
        }
        if let Some(update) = &resource.update {
            let found = call("update", update, update.body.as_ref(), findings);
            calls.update = found.body;
            written.extend(found.answer);
        }
        if let Some(delete) = &resource.delete {
            call("delete", delete, delete.body.as_ref(), findings);
        }
        for command in &resource.command {
            let found = call("command", &command.call, command.call.body.as_ref(), findings);
            calls.commands.push((found.body, found.answer));
        }
        if let Some(replace) = &resource.replace {
            let begun = findings.differences.len();
            let found =
                self.find("set", &replace.call.method, &replace.call.path, &replace.call.scopes, findings);
            self.items(replace, found.body.as_ref(), findings);
            findings.excuse(resource, None, replace.call.differs.as_ref(), begun);
            lifecycles.extend(found.lifecycle);
        }
        calls.written = written.into_iter().reduce(Shape::either);
        self.lifecycle(&lifecycles, findings);
        calls
    }

    fn find(
        &self,
        name: &str,
        method: &str,
        path: &str,
        scopes: &[String],
        findings: &mut Findings,
    ) -> Found {
        let Some(place) = self.index.find(method, path) else {
            findings.push(self.resource, None, format!("{name}: Auth0 has no {method} {path}"));
            return Found::default();
        };
        findings.used.insert(place);
        let operation = &self.operations[place];
        let unknown: Vec<_> =
            scopes.iter().map(String::as_str).filter(|scope| !operation.scopes.contains(scope)).collect();
        let unstated = scopes.is_empty() && !operation.scopes.is_empty() && name != "recognise";
        if !unknown.is_empty() || unstated {
            let ours = if unstated { "none".to_owned() } else { unknown.join(", ") };
            let theirs = operation.scopes.join(", ");
            findings.push(self.resource, None, format!("{name}: the scope is {ours}, Auth0 takes {theirs}"));
        }
        Found {
            body: self.document.body(operation),
            answer: self.document.answer(operation),
            lifecycle: known_lifecycle(operation.lifecycle),
        }
    }

    /// A table is released as far as the furthest of its calls.
    fn lifecycle(&self, calls: &[Lifecycle], findings: &mut Findings) {
        let Some(theirs) = calls.iter().min_by_key(|lifecycle| **lifecycle as u8) else { return };
        let ours = self.resource.lifecycle;
        if ours != *theirs && ours != Lifecycle::Ended {
            let what = format!("lifecycle is {}, at Auth0 {}", ours.as_str(), theirs.as_str());
            findings.push(self.resource, None, what);
        }
    }

    /// Compares one item of a list that is replaced whole.
    fn items(&self, replace: &Replace, body: Option<&Shape>, findings: &mut Findings) {
        let Some(body) = body else { return };
        let array = match &replace.array {
            Some(key) => body.fields.get(key).map(|field| &field.shape),
            None => Some(body),
        };
        match array.and_then(|array| array.items.as_deref()) {
            Some(item) => self.template("set", Some(&replace.item), Some(item), findings),
            None => findings.push(self.resource, None, "set: Auth0's body has no such list".to_owned()),
        }
    }

    /// Says which keys of a template the document's body has not, and which it needs besides.
    fn template(
        &self,
        name: &str,
        ours: Option<&toml::Value>,
        theirs: Option<&Shape>,
        findings: &mut Findings,
    ) {
        let (Some(toml::Value::Table(ours)), Some(theirs)) = (ours, theirs) else { return };
        let described = !theirs.fields.is_empty();
        for key in ours.keys().filter(|key| described && !theirs.fields.contains_key(*key)) {
            findings.push(self.resource, None, format!("{name}: Auth0's body has no {key}"));
        }
        let needed = theirs.fields.iter().filter(|(key, field)| field.required && !ours.contains_key(*key));
        for (key, _) in needed {
            findings.push(self.resource, None, format!("{name}: Auth0's body needs {key}"));
        }
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

    /// Drops what was found since `begun` where there is a reason for it, and says where there need be none.
    pub(super) fn excuse(
        &mut self,
        resource: &Resource,
        column: Option<&str>,
        reason: Option<&String>,
        begun: usize,
    ) {
        match (reason.is_some(), self.differences.len() > begun) {
            (true, true) => self.differences.truncate(begun),
            (true, false) => self.push(resource, column, "nothing differs: `differs` can go".to_owned()),
            (false, _) => {}
        }
    }
}
