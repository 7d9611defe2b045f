//! An OpenAPI document: its operations, and what their bodies and answers look like.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::shape::Shape;
use crate::{Error, Kind, Result, catalog::path_matches};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// References that lead to references; more of them is a circle.
const FOLLOWED: u32 = 24;

/// One OpenAPI document (3.0 or 3.1).
pub(super) struct Document {
    root: Value,
}

/// One method of one path.
pub(super) struct Operation<'a> {
    /// In capitals.
    pub(super) method: String,
    /// The path as the document writes it.
    pub(super) path: &'a str,
    /// The first tag.
    pub(super) tag: &'a str,
    /// What it does, in Auth0's words.
    pub(super) summary: &'a str,
    /// Any one of them allows the call.
    pub(super) scopes: Vec<&'a str>,
    /// How far Auth0 has released it: `GA`, `EA`, `beta`; empty where the document is silent.
    pub(super) lifecycle: &'a str,
    description: &'a Value,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// `config` where it cannot be read, is no JSON, or has no paths.
    pub(super) fn read(file: &Path) -> Result<Document> {
        let unfit = |what: &str| Error::new(Kind::Config, format!("{}: {what}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| {
            Error::with(Kind::Config, format!("cannot read the document {}", file.display()), error)
        })?;
        let root: Value = serde_json::from_str(&text)
            .map_err(|error| unfit(&format!("is no OpenAPI document in JSON: {error}")))?;
        if !root["paths"].is_object() {
            return Err(unfit("has no paths"));
        }
        Ok(Document { root })
    }

    /// A document from its JSON.
    #[cfg(test)]
    pub(super) fn of(root: Value) -> Document {
        Document { root }
    }

    /// Every operation, in the order of the document.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.root["paths"].as_object().into_iter().flatten();
        let calls = paths.flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| Some((path, *method, item.get(method)?)))
        });
        calls
            .map(|(path, method, description)| Operation {
                method: method.to_uppercase(),
                path,
                tag: description["tags"][0].as_str().unwrap_or("untagged"),
                summary: description["summary"].as_str().unwrap_or_default(),
                scopes: scopes(description),
                lifecycle: description["x-release-lifecycle"].as_str().unwrap_or_default(),
                description,
            })
            .collect()
    }

    /// What the body of a call may hold; none where it has no body.
    pub(super) fn body(&self, operation: &Operation<'_>) -> Option<Shape> {
        let body = self.follow(&operation.description["requestBody"]);
        Some(Shape::read(self, content(body)?))
    }

    /// What the answers of success hold together; none where they have no body.
    pub(super) fn answer(&self, operation: &Operation<'_>) -> Option<Shape> {
        let answers = operation.description["responses"].as_object()?;
        let good = answers.iter().filter(|(status, _)| status.starts_with('2'));
        let shapes = good.filter_map(|(_, answer)| Some(Shape::read(self, content(self.follow(answer))?)));
        shapes.reduce(Shape::either)
    }

    /// The schema that a reference names, or the schema itself.
    pub(super) fn follow<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut at = schema;
        for _ in 0..FOLLOWED {
            let Some(pointer) = at["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) else {
                return at;
            };
            at = self.root.pointer(pointer).unwrap_or(&Value::Null);
        }
        &Value::Null
    }
}

/// Operations by method and path, whatever their placeholders are called.
pub(super) struct Index<'a> {
    by_name: BTreeMap<(String, String), usize>,
    operations: &'a [Operation<'a>],
}

impl<'a> Index<'a> {
    pub(super) fn new(operations: &'a [Operation<'a>]) -> Self {
        let names = operations.iter().enumerate();
        let by_name = names.map(|(place, o)| ((o.method.clone(), without_names(o.path)), place)).collect();
        Index { by_name, operations }
    }

    /// The place of the operation that a call of the catalogue is. A call may fill a placeholder of
    /// the document with a fixed word.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<usize> {
        let exact = self.by_name.get(&(method.to_owned(), without_names(path)));
        exact.copied().or_else(|| {
            self.operations.iter().position(|o| o.method == method && path_matches(o.path, path).is_some())
        })
    }
}

fn without_names(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn scopes(description: &Value) -> Vec<&str> {
    let schemes = description["security"].as_array().into_iter().flatten();
    let lists = schemes.filter_map(Value::as_object).flat_map(|scheme| scheme.values());
    let mut found = Vec::new();
    for scope in lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
        if !found.contains(&scope) {
            found.push(scope);
        }
    }
    found
}

/// The schema of a body or an answer, JSON where there are several media types.
fn content(described: &Value) -> Option<&Value> {
    let types = described["content"].as_object()?;
    types.get("application/json").or_else(|| types.values().next())?.get("schema")
}
