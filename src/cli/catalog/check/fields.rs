//! What the document says of each field of a table, gathered from all its calls.

use indexmap::IndexMap;

use super::calls::Calls;
use super::shape::{Field, Shape};
use crate::catalog::{Class, List, Paging, Resource, placeholders};

/// One field, as the calls of a table show and take it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// As reading shows it, or the answer to a write alone.
    pub(super) shown: Option<Shape>,
    /// Whether reading shows it.
    pub(super) read: bool,
    /// As the body of a create takes it.
    pub(super) create: Option<Field>,
    /// As the body of an update takes it.
    pub(super) update: Option<Field>,
}

impl Known {
    /// What a client's value may be: what either call takes.
    pub(super) fn taken(&self) -> Option<Shape> {
        let taken = [&self.create, &self.update].into_iter().flatten().map(|field| field.shape.clone());
        taken.reduce(Shape::either)
    }
}

/// Fields by Auth0's name, and what could not be read from the document.
pub(super) struct Fields {
    pub(super) known: IndexMap<String, Known>,
    pub(super) faults: Vec<String>,
}

/// Gathers the fields of a table. None where the table has no fields of its own.
pub(super) fn gather(resource: &Resource, calls: &Calls) -> Fields {
    let mut fields = Fields { known: IndexMap::new(), faults: Vec::new() };
    for (list, answer) in resource.list.iter().zip(&calls.lists) {
        let Some(answer) = answer else { continue };
        match listed(list, answer) {
            Ok(item) => {
                fields.show(
                    true,
                    item.fields.iter().map(|(name, field)| (renamed(resource, list, name), field)),
                );
                let inner = list.fields.iter().filter(|(_, path)| path.contains('.'));
                let inner = inner.filter_map(|(column, path)| {
                    let mut steps = path.split('.');
                    let first = item.fields.get(steps.next()?)?;
                    Some((
                        resource.field(column),
                        steps.try_fold(first, |at, step| at.shape.fields.get(step))?,
                    ))
                });
                fields.show(true, inner);
            }
            Err(fault) => fields.faults.push(fault),
        }
    }
    for (read, answer) in [(true, &calls.get), (false, &calls.written)] {
        let Some(answer) = answer else { continue };
        fields.show(read, answer.fields.iter().map(|(name, field)| (name.as_str(), field)));
    }
    if let Some(body) = &calls.create
        && resource.create.as_ref().is_some_and(|create| create.call.body.is_none())
    {
        fields.take(resource, body, |known| &mut known.create);
    }
    if let Some(body) = &calls.update
        && resource.update.as_ref().is_some_and(|update| update.body.is_none())
    {
        fields.take(resource, body, |known| &mut known.update);
    }
    for (command, (body, answer)) in resource.command.iter().zip(&calls.commands) {
        if let Some(body) = body
            && command.call.body.is_none()
        {
            fields.take(resource, body, |known| &mut known.create);
        }
        // What a command answers about a row that is read again anyway needs no columns of its own.
        let shown_elsewhere =
            placeholders(&command.call.path).next().is_some() || !resource.changes.is_empty();
        if let Some(answer) = answer {
            let has = |name: &str| resource.columns.keys().any(|column| resource.field(column) == name);
            let wanted = answer.fields.iter().filter(|(name, _)| !shown_elsewhere || has(name));
            fields.show(true, wanted.map(|(name, field)| (name.as_str(), field)));
        }
    }
    fields
}

impl Fields {
    fn show<'a>(&mut self, read: bool, found: impl Iterator<Item = (&'a str, &'a Field)>) {
        for (name, field) in found {
            let known = self.known.entry(name.to_owned()).or_default();
            known.read |= read;
            known.shown = Some(match known.shown.take() {
                Some(shown) => shown.either(field.shape.clone()),
                None => field.shape.clone(),
            });
        }
    }

    fn take(&mut self, resource: &Resource, body: &Shape, place: impl Fn(&mut Known) -> &mut Option<Field>) {
        for (name, field) in &body.fields {
            let known = self.known.entry(read_name(resource, name).to_owned()).or_default();
            let place = place(known);
            *place = Some(match place.take() {
                // Two calls of a command table: what only one of them needs is not required.
                Some(other) => Field {
                    shape: other.shape.either(field.shape.clone()),
                    required: other.required && field.required,
                },
                None => field.clone(),
            });
        }
    }
}

/// The name that reading gives a field which bodies call otherwise.
fn read_name<'a>(resource: &'a Resource, written: &'a str) -> &'a str {
    let renamed = resource.columns.iter().find(|(_, column)| column.write_field.as_deref() == Some(written));
    renamed.map_or(written, |(name, _)| resource.field(name))
}

/// The name that the table's other calls give a field of a listed item.
fn renamed<'a>(resource: &'a Resource, list: &'a List, listed: &'a str) -> &'a str {
    let column = list.fields.iter().find(|(_, field)| *field == listed).map(|(column, _)| column);
    column.map_or(listed, |column| resource.field(column))
}

/// What one row of a list looks like.
fn listed<'a>(list: &List, answer: &'a Shape) -> Result<&'a Shape, String> {
    if list.paging == Paging::Single {
        return Ok(answer);
    }
    let enveloped = list.array.as_ref().map(|key| (key, answer.fields.get(key)));
    match enveloped {
        Some((_, Some(field))) => field
            .shape
            .items
            .as_deref()
            .ok_or_else(|| format!("list {}: Auth0 describes no items", list.path)),
        Some((key, None)) => Err(format!("list {}: the answer has no array {key}", list.path)),
        None => answer.items.as_deref().ok_or_else(|| {
            let arrays = answer.fields.iter().filter(|(_, field)| field.shape.is("array"));
            let keys: Vec<_> = arrays.map(|(name, _)| name.as_str()).collect();
            format!("list {}: the answer is no array; arrays in it: {}", list.path, keys.join(", "))
        }),
    }
}

/// The class that the document gives a field, and whether only one of two calls takes it.
pub(super) fn class(resource: &Resource, known: &Known) -> (Class, Option<&'static str>) {
    let creates = resource.create.is_some() || !resource.command.is_empty();
    let (create, update) = (known.create.is_some(), known.update.is_some());
    let shown = |class: Class| if known.shown.is_some() { class } else { Class::WriteOnly };
    match (create, update) {
        (false, false) => (Class::ReadOnly, None),
        (true, true) => (shown(Class::Writable), None),
        (true, false) => (shown(Class::CreateOnly), resource.update.is_some().then_some("create")),
        (false, true) => (shown(Class::Writable), creates.then_some("update")),
    }
}
