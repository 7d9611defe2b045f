//! One column against what the document says of its field.

use std::collections::BTreeSet;

use super::fields::{self, Known};
use super::shape::Shape;
use crate::catalog::{
    Class, Column, ColumnType, Format, JsonShape, NewKey, Resource, ResourceKind, WriteCall, placeholders,
};

/// Numbers beyond this are a way of saying that there is no limit.
const UNLIMITED: f64 = 9_007_199_254_740_991.0;

/// Everything in which a column differs from its field, as phrases.
pub(super) fn differences(resource: &Resource, name: &str, column: &Column, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    let taken = known.taken();
    // The column shows what reading shows; bodies may take less.
    if let Some(shape) = known.shown.as_ref().or(taken.as_ref())
        && !fits(column.kind, shape)
    {
        found.push(format!("type is {}, at Auth0 {}", column.kind.sql(), words(shape)));
    }
    class(resource, name, column, known, &mut found);
    let client_gives = column.class != Class::ReadOnly;
    if resource.create.is_some() || !resource.command.is_empty() {
        let required = known.create.as_ref().is_some_and(|field| field.required);
        if required != column.required && client_gives && known.taken().is_some() {
            found.push(if required {
                "Auth0 requires it".into()
            } else {
                "Auth0 does not require it".into()
            });
        }
    }
    if let Some(shape) = taken.filter(|_| client_gives) {
        limits(column, &shape, &mut found);
    }
    found
}

fn class(resource: &Resource, name: &str, column: &Column, known: &Known, found: &mut Vec<String>) {
    let (theirs, only_on) = fields::class(resource, known);
    let is_key = resource.key.iter().any(|key| key == name);
    let agrees = match column.class {
        // Its value comes from a path, or goes in a template.
        Class::ReadOnly | Class::CreateOnly if in_path(resource, name) => true,
        _ if super::in_template(resource, name) => true,
        Class::ReadOnly if resource.kind == ResourceKind::Command => known.shown.is_some(),
        _ if resource.kind == ResourceKind::Command => known.create.is_some(),
        Class::WriteOnly => {
            theirs == Class::WriteOnly || (theirs != Class::ReadOnly && (column.secret || !known.read))
        }
        // The key of a row stays; where Auth0 makes it, a client cannot give it.
        Class::CreateOnly if is_key => {
            !(resource.new_key == NewKey::Server && resource.made_column() == Some(name))
        }
        Class::ReadOnly if is_key => known.create.is_none() || resource.new_key == NewKey::Server,
        ours => ours == theirs,
    };
    if !agrees {
        found.push(format!("class is {}, at Auth0 {}", column.class.as_str(), theirs.as_str()));
    } else if column.class != Class::ReadOnly && column.class != Class::CreateOnly && !is_key {
        let ours = column.only_on.map(|call| match call {
            WriteCall::Create => "create",
            WriteCall::Update => "update",
        });
        // Where there is one writing call, there is nothing to tell apart.
        let several = resource.create.is_some() && resource.update.is_some();
        if ours != only_on && several {
            let say =
                |call: Option<&str>| call.map_or("both calls".to_owned(), |call| format!("the {call} alone"));
            found.push(format!("goes with {}, at Auth0 with {}", say(ours), say(only_on)));
        }
    }
}

/// Whether a client's value goes into the path of a call that lists, creates or runs.
fn in_path(resource: &Resource, name: &str) -> bool {
    let creating = resource.create.iter().map(|create| &create.call);
    let commands = resource.command.iter().map(|command| &command.call);
    let mut paths = creating.chain(commands).map(|call| call.path.as_str());
    paths.any(|path| placeholders(path).any(|placeholder| placeholder == name))
        || resource.list.iter().any(|list| list.placeholders().any(|placeholder| placeholder == name))
}

/// Whether a column of this type holds every value that the shape allows.
fn fits(kind: ColumnType, shape: &Shape) -> bool {
    if shape.types.is_empty() {
        return true;
    }
    let time = shape.format.as_deref() == Some("date-time");
    let items = |fit: fn(&Shape) -> bool| shape.is("array") && shape.items.as_deref().is_none_or(fit);
    let texts = items(|item| item.types.is_empty() || item.is("string"));
    let others = items(|item| item.types.len() != 1 || !item.is("string"));
    match kind {
        ColumnType::Text => shape.is("string") && !time,
        ColumnType::Timestamptz => {
            shape.is("string") && (time || matches!(shape.format.as_deref(), None | Some("date")))
        }
        ColumnType::Boolean => shape.is("boolean"),
        ColumnType::Bigint => shape.is("integer") || shape.is("number"),
        ColumnType::Double => shape.is("number"),
        ColumnType::TextArray => texts,
        ColumnType::Jsonb => shape.types.len() > 1 || shape.is("object") || others,
    }
}

fn words(shape: &Shape) -> String {
    let types: Vec<_> = shape.types.iter().map(String::as_str).collect();
    let items = shape.items.iter().flat_map(|items| &items.types).map(String::as_str).collect::<Vec<_>>();
    let mut words = types.join(" or ");
    if !items.is_empty() {
        words.push_str(&format!(" of {}", items.join(" or ")));
    }
    if let Some(format) = &shape.format {
        words.push_str(&format!(" ({format})"));
    }
    words
}

/// What a client's value must be.
fn limits(column: &Column, shape: &Shape, found: &mut Vec<String>) {
    let one = match column.kind {
        ColumnType::TextArray => shape.items.as_deref().cloned().unwrap_or_default(),
        _ => shape.clone(),
    };
    values(column, &one, found);
    let mut differ = |what: &str, ours: Option<String>, theirs: Option<String>| {
        if ours != theirs {
            let say = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
            found.push(format!("{what} is {}, at Auth0 {}", say(ours), say(theirs)));
        }
    };
    let number =
        |value: Option<f64>| value.filter(|value| value.abs() < UNLIMITED).map(|value| value.to_string());
    let count = |value: Option<u64>| value.map(|value| value.to_string());
    let size = |value: Option<u32>| value.filter(|value| *value > 0).map(|value| value.to_string());
    match column.kind {
        ColumnType::Text => {
            format(column, &one, &mut differ);
            pattern(column, &one, &mut differ);
            differ("min_length", size(column.min_length), count(one.min_length));
            differ("max_length", size(column.max_length), count(one.max_length));
        }
        ColumnType::Bigint | ColumnType::Double => {
            differ("minimum", number(column.minimum), number(one.minimum));
            differ("maximum", number(column.maximum), number(one.maximum));
        }
        ColumnType::TextArray | ColumnType::Jsonb => {
            differ("min_items", size(column.min_items), count(shape.min_items));
            differ("max_items", size(column.max_items), count(shape.max_items));
            differ("max_properties", size(column.max_properties), count(shape.max_properties));
        }
        ColumnType::Boolean | ColumnType::Timestamptz => {}
    }
    if column.kind == ColumnType::Jsonb {
        let theirs = match (shape.is("object"), shape.is("array"), shape.types.len()) {
            (true, false, 1) => Some("object"),
            (false, true, 1) => Some("array"),
            _ => None,
        };
        let ours = column.json.map(|json| match json {
            JsonShape::Object => "object",
            JsonShape::Array => "array",
        });
        differ("json", ours.map(str::to_owned), theirs.map(str::to_owned));
    }
}

fn values(column: &Column, shape: &Shape, found: &mut Vec<String>) {
    let ours: BTreeSet<String> = column.values.iter().cloned().collect();
    let theirs = shape.values.clone().unwrap_or_default();
    match (ours.is_empty(), theirs.is_empty()) {
        (true, true) => {}
        (true, false) => {
            let all: Vec<_> = theirs.iter().map(String::as_str).collect();
            found.push(format!("enum is none, at Auth0 {}", all.join(", ")));
        }
        (false, true) => found.push("enum is there, at Auth0 none".to_owned()),
        (false, false) => {
            let quoted = |values: BTreeSet<String>| {
                values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ")
            };
            if !theirs.is_subset(&ours) {
                found.push(format!("enum lacks {}", quoted(&theirs - &ours)));
            }
            if !ours.is_subset(&theirs) {
                found.push(format!("enum has {}, which Auth0 has not", quoted(&ours - &theirs)));
            }
        }
    }
}

/// Whether one of our formats checks what Auth0 calls by this name.
fn covers(format: Format, theirs: &str) -> bool {
    match format {
        Format::Email => theirs == format.as_str(),
        Format::Uri => ["uri", "url", "strict-uri", "strict-https-uri"].contains(&theirs),
        Format::UriOrEmpty => theirs == "absolute-uri-or-empty",
        Format::HttpsUriOrEmpty => theirs == "absolute-https-uri-or-empty",
    }
}

fn format(column: &Column, shape: &Shape, differ: &mut impl FnMut(&str, Option<String>, Option<String>)) {
    const ALL: [Format; 4] = [Format::Email, Format::Uri, Format::UriOrEmpty, Format::HttpsUriOrEmpty];
    let theirs = shape.format.as_deref();
    let checked = theirs.is_some_and(|theirs| ALL.iter().any(|format| covers(*format, theirs)));
    let agrees = match column.format {
        Some(ours) => theirs.is_some_and(|theirs| covers(ours, theirs)),
        None => !checked,
    };
    if !agrees {
        differ("format", column.format.map(|format| format.as_str().to_owned()), theirs.map(str::to_owned));
    }
}

fn pattern(column: &Column, shape: &Shape, differ: &mut impl FnMut(&str, Option<String>, Option<String>)) {
    let theirs = shape.pattern.as_ref().map(|pattern| pattern.replace("\\/", "/"));
    let ours = column.pattern.as_ref().map(|pattern| pattern.replace("\\/", "/"));
    // What looks ahead or behind cannot be written so that Postgres and Rust read it alike.
    let unreadable = theirs.as_ref().is_some_and(|pattern| regex::Regex::new(pattern).is_err());
    if !unreadable {
        differ("pattern", ours, theirs);
    }
}
