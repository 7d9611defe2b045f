//! What a JSON value may be, as an OpenAPI document says it, with references and combinations resolved.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::document::Document;

/// Objects within objects that are looked into: an envelope, its items, their fields, and the items of these.
const LEVELS: u32 = 5;
/// Combinations within combinations; more of them is a circle.
const NESTED: u32 = 24;

/// What a value may be. Where a document gives alternatives, what holds for all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// JSON's types without `null`; none where any is allowed.
    pub(super) types: BTreeSet<String>,
    /// Of texts.
    pub(super) format: Option<String>,
    /// Of texts.
    pub(super) pattern: Option<String>,
    /// The only texts.
    pub(super) values: Option<BTreeSet<String>>,
    /// In characters; 0 is none.
    pub(super) min_length: Option<u64>,
    /// In characters.
    pub(super) max_length: Option<u64>,
    /// Of numbers.
    pub(super) minimum: Option<f64>,
    /// Of numbers.
    pub(super) maximum: Option<f64>,
    /// Of arrays; 0 is none.
    pub(super) min_items: Option<u64>,
    /// Of arrays.
    pub(super) max_items: Option<u64>,
    /// Of objects.
    pub(super) max_properties: Option<u64>,
    /// Of arrays: one item.
    pub(super) items: Option<Box<Shape>>,
    /// Of objects: fields by name.
    pub(super) fields: IndexMap<String, Field>,
    /// Nothing but null.
    null: bool,
}

/// One field of an object.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// What it may be.
    pub(super) shape: Shape,
    /// Whether it must be there.
    pub(super) required: bool,
}

impl Shape {
    /// The shape that a schema describes.
    pub(super) fn read(document: &Document, schema: &Value) -> Shape {
        read(document, schema, LEVELS, 0)
    }

    /// Whether a type is among those that it may have.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.types.contains(kind)
    }

    /// The one or the other: what both allow is looser than each.
    pub(super) fn either(self, other: Shape) -> Shape {
        if self.null || other.null {
            return if self.null { other } else { self };
        }
        let anything = self.types.is_empty() || other.types.is_empty();
        // What holds for texts says nothing of an alternative that is none.
        let both = |kind: &str| anything || (self.is(kind) && other.is(kind));
        let (texts, numbers) = (both("string"), both("integer") || both("number") || mixed(&self, &other));
        let (arrays, objects) = (both("array"), both("object"));
        let fields = either_fields(&self.fields, &other.fields, objects);
        Shape {
            format: common(texts, self.format, other.format),
            pattern: common(texts, self.pattern, other.pattern),
            values: looser(texts, self.values, other.values, |one, two| &one | &two),
            min_length: looser(texts, self.min_length, other.min_length, u64::min),
            max_length: looser(texts, self.max_length, other.max_length, u64::max),
            minimum: looser(numbers, self.minimum, other.minimum, f64::min),
            maximum: looser(numbers, self.maximum, other.maximum, f64::max),
            min_items: looser(arrays, self.min_items, other.min_items, u64::min),
            max_items: looser(arrays, self.max_items, other.max_items, u64::max),
            max_properties: looser(objects, self.max_properties, other.max_properties, u64::max),
            items: looser(arrays, self.items, other.items, |one, two| Box::new(one.either(*two))),
            types: if anything { BTreeSet::new() } else { &self.types | &other.types },
            fields,
            null: false,
        }
    }

    /// The one and the other at once.
    fn both(self, other: Shape) -> Shape {
        let mut fields = self.fields;
        for (name, field) in other.fields {
            let known = fields.shift_remove(&name);
            let required = field.required || known.as_ref().is_some_and(|known| known.required);
            let shape = match known {
                Some(known) => known.shape.both(field.shape),
                None => field.shape,
            };
            fields.insert(name, Field { shape, required });
        }
        let types = match (self.types.is_empty(), other.types.is_empty()) {
            (true, _) => other.types,
            (_, true) => self.types,
            _ => &self.types & &other.types,
        };
        Shape {
            types,
            format: self.format.or(other.format),
            pattern: self.pattern.or(other.pattern),
            values: tighter(self.values, other.values, |one, two| &one & &two),
            min_length: tighter(self.min_length, other.min_length, u64::max),
            max_length: tighter(self.max_length, other.max_length, u64::min),
            minimum: tighter(self.minimum, other.minimum, f64::max),
            maximum: tighter(self.maximum, other.maximum, f64::min),
            min_items: tighter(self.min_items, other.min_items, u64::max),
            max_items: tighter(self.max_items, other.max_items, u64::min),
            max_properties: tighter(self.max_properties, other.max_properties, u64::min),
            items: tighter(self.items, other.items, |one, two| Box::new(one.both(*two))),
            fields,
            null: self.null || other.null,
        }
    }
}

/// Numbers, the one side as integers.
fn mixed(one: &Shape, other: &Shape) -> bool {
    (one.is("integer") && other.is("number")) || (one.is("number") && other.is("integer"))
}

fn common(both: bool, one: Option<String>, other: Option<String>) -> Option<String> {
    if both { one.filter(|one| other.as_ref() == Some(one)) } else { one.or(other) }
}

fn looser<T>(both: bool, one: Option<T>, other: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(join(one, other)),
        (one, other) => one.or(other).filter(|_| !both),
    }
}

fn tighter<T>(one: Option<T>, other: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(join(one, other)),
        (one, other) => one.or(other),
    }
}

/// Fields of either; where both are objects, what only one of them has is not required.
fn either_fields(
    one: &IndexMap<String, Field>,
    other: &IndexMap<String, Field>,
    objects: bool,
) -> IndexMap<String, Field> {
    let mut joined = one.clone();
    for (name, field) in &mut joined {
        match other.get(name) {
            Some(second) => {
                field.shape = field.shape.clone().either(second.shape.clone());
                field.required &= second.required;
            }
            None => field.required &= !objects,
        }
    }
    for (name, field) in other {
        if !one.contains_key(name) {
            let field = Field { shape: field.shape.clone(), required: field.required && !objects };
            joined.insert(name.clone(), field);
        }
    }
    joined
}

fn read(document: &Document, schema: &Value, levels: u32, nested: u32) -> Shape {
    if nested > NESTED {
        return Shape::default();
    }
    let target = document.follow(schema);
    let mut shape = own(document, target, levels, nested);
    for part in list(target, "allOf") {
        shape = shape.both(read(document, part, levels, nested + 1));
    }
    for word in ["oneOf", "anyOf"] {
        let parts = list(target, word).map(|part| read(document, part, levels, nested + 1));
        if let Some(alternatives) = parts.reduce(Shape::either) {
            shape = shape.both(alternatives);
        }
    }
    shape
}

fn list<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = &'a Value> {
    schema[word].as_array().into_iter().flatten()
}

/// What a schema says itself, without what it combines.
fn own(document: &Document, schema: &Value, levels: u32, nested: u32) -> Shape {
    let mut types: BTreeSet<String> = match &schema["type"] {
        Value::String(one) => BTreeSet::from([one.clone()]),
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    };
    let null = types.len() == 1 && types.contains("null");
    types.remove("null");
    let constant = schema.get("const");
    let texts = list(schema, "enum").chain(constant).filter_map(Value::as_str);
    let values: BTreeSet<String> = texts.map(str::to_owned).collect();
    let text = |word: &str| schema[word].as_str().map(str::to_owned);
    let size = |word: &str| schema[word].as_u64();
    let number = |word: &str| schema[word].as_f64();
    let mut shape = Shape {
        types,
        null,
        // That null is allowed too stands in the type as well.
        format: text("format").map(|format| format.trim_end_matches("-or-null").to_owned()),
        // Postgres stores no NUL, so a pattern that excludes it excludes nothing.
        pattern: text("pattern").filter(|pattern| !pattern.contains('\0')),
        values: Some(values).filter(|values| !values.is_empty()),
        min_length: size("minLength").filter(|length| *length > 0),
        max_length: size("maxLength"),
        minimum: number("minimum"),
        maximum: number("maximum"),
        min_items: size("minItems").filter(|count| *count > 0),
        max_items: size("maxItems"),
        max_properties: size("maxProperties"),
        ..Shape::default()
    };
    if levels == 0 {
        return shape;
    }
    if schema["items"].is_object() {
        shape.items = Some(Box::new(read(document, &schema["items"], levels - 1, nested + 1)));
    }
    let required: IndexSet<&str> = list(schema, "required").filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let field = read(document, field, levels - 1, nested + 1);
        shape.fields.insert(name.clone(), Field { shape: field, required: required.contains(name.as_str()) });
    }
    // Another part of the combination may describe what this one requires.
    for name in required {
        let undescribed = || Field { shape: Shape::default(), required: true };
        shape.fields.entry(name.to_owned()).or_insert_with(undescribed);
    }
    shape
}
