//! What the catalogue knows of a column's values, as statements of the judging function.

use super::Site;
use super::judge::refuse;
use crate::catalog::{Class, Column, ColumnType, Format, JsonShape, Resource, WriteCall};
use crate::pg::ident::{ident, literal};

/// The largest whole number that JSON carries exactly at Auth0.
const LARGEST: &str = "9007199254740991";

/// Refuses what the catalogue knows to be wrong; empty where everything is right.
pub(super) fn valid(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    if column.class == Class::ReadOnly {
        return String::new();
    }
    let new = format!("new.{}", ident(name));
    let refusals: String = checks(name, column, "new")
        .into_iter()
        .map(|Check { broken, code, message, hint }| {
            let refusal = refuse(site, resource, code, &message, name, &hint);
            format!("        if {broken} then\n    {refusal}        end if;\n")
        })
        .collect();
    let mut text = String::new();
    if column.kind == ColumnType::Jsonb {
        // Some programs write JSON's null for no value; a mirror knows SQL's alone.
        text.push_str(&format!("    if {new} = 'null' then\n        {new} := null;\n    end if;\n"));
    }
    text.push_str(&required(site, resource, name, column));
    if !refusals.is_empty() {
        text.push_str(&format!(
            "    if {new} is not null and (tg_op = 'INSERT' or {new} is distinct from old.{}) then\n{refusals}    end if;\n",
            ident(name),
        ));
    }
    text
}

/// The SQL condition that an UPDATE gives a column of row `n` a value for which [`valid`] has a refusal; none where
/// it has none. `was` is its value before, and `differs` tells whether that was another.
pub(super) fn broken(
    resource: &Resource,
    name: &str,
    column: &Column,
    was: &str,
    differs: &str,
) -> Option<String> {
    let is = format!("n.{}", ident(name));
    let broken: Vec<_> = checks(name, column, "n").into_iter().map(|check| check.broken).collect();
    let value =
        (!broken.is_empty()).then(|| format!("{differs} and {is} is not null and ({})", broken.join(" or ")));
    let emptied = (column.required && !resource.key.iter().any(|key| key == name))
        .then(|| format!("{was} is not null and {is} is null"));
    let conditions: Vec<_> = value.into_iter().chain(emptied).collect();
    (!conditions.is_empty()).then(|| conditions.join(" or "))
}

fn required(site: &Site<'_>, resource: &Resource, name: &str, column: &Column) -> String {
    let is_key = resource.key.iter().any(|key| key == name);
    if !column.required || is_key {
        return String::new();
    }
    let missing = literal(&format!("missing value for column \"{name}\""));
    let refusal = refuse(site, resource, "23502", &missing, name, "Auth0 requires it.");
    // Auth0 itself may have sent none: only a client's NULL is refused.
    let emptied = format!("tg_op = 'UPDATE' and old.{} is not null", ident(name));
    let when = match (column.class, column.only_on) {
        (Class::Writable, Some(WriteCall::Update)) => emptied,
        (Class::Writable, None) => format!("(tg_op = 'INSERT' or {emptied})"),
        // It shows NULL afterwards, so only INSERT can tell whether it was given.
        _ => "tg_op = 'INSERT'".to_owned(),
    };
    format!("    if {when} and new.{} is null then\n{refusal}    end if;\n", ident(name))
}

/// What a value must not be, and how it is refused.
struct Check {
    /// An SQL condition.
    broken: String,
    code: &'static str,
    /// An SQL expression.
    message: String,
    /// A text, empty for none.
    hint: String,
}

/// The checks of a column of `row`, for values that are not NULL.
fn checks(name: &str, column: &Column, row: &str) -> Vec<Check> {
    let new = format!("{row}.{}", ident(name));
    let mut checks = Checks { name, column, new: new.clone(), all: Vec::new() };
    match column.kind {
        ColumnType::Text => checks.text_values(),
        ColumnType::TextArray => {
            checks.array();
            checks.text_values();
            checks.items(&format!("cardinality({new})"));
        }
        ColumnType::Boolean => {}
        ColumnType::Bigint | ColumnType::Double => checks.number(),
        ColumnType::Timestamptz => checks.time(),
        ColumnType::Jsonb => checks.json(),
    }
    checks.all
}

struct Checks<'a> {
    name: &'a str,
    column: &'a Column,
    new: String,
    all: Vec<Check>,
}

impl Checks<'_> {
    /// `message` is an SQL expression.
    fn refuse_if(&mut self, condition: &str, code: &'static str, message: &str, hint: &str) {
        self.all.push(Check {
            broken: condition.to_owned(),
            code,
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    }

    /// Refuses a text for which the condition holds, or an array of which it holds for an item. The
    /// message shows it, unless nobody shall see it.
    fn refuse_text(
        &mut self,
        broken: impl Fn(&str) -> String,
        code: &'static str,
        message: &str,
        hint: &str,
    ) {
        let array = self.column.kind == ColumnType::TextArray;
        let (condition, shown) = if array {
            let items = format!("from unnest({}) i where {}", self.new, broken("i"));
            (format!("exists (select {items})"), format!("(select i {items} limit 1)"))
        } else {
            (broken(&self.new), self.new.clone())
        };
        let message = if self.column.class == Class::WriteOnly {
            literal(message)
        } else {
            format!("{} || {shown} || '\"'", literal(&format!("{message}: \"")))
        };
        self.refuse_if(&condition, code, &message, hint);
    }

    fn text_values(&mut self) {
        let (name, column) = (self.name, self.column);
        if let Some(format) = column.format {
            let broken = |value: &str| format!("{value} !~ {}", literal(format.pattern()));
            let message = format!("invalid input syntax for type {}", format.as_str());
            self.refuse_text(broken, "22023", &message, example(format));
        }
        if let Some(pattern) = &column.pattern {
            let broken = |value: &str| format!("{value} !~ {}", literal(pattern));
            let message = format!("invalid value for column \"{name}\"");
            self.refuse_text(broken, "22023", &message, &format!("It must match {pattern}"));
        }
        if !column.values.is_empty() {
            let values: Vec<_> = column.values.iter().map(|value| literal(value)).collect();
            let broken = |value: &str| format!("{value} not in ({})", values.join(", "));
            let message = format!("invalid input value for column \"{name}\"");
            self.refuse_text(broken, "22023", &message, &format!("One of: {}", column.values.join(", ")));
        }
        let of = if column.kind == ColumnType::TextArray { "an item of column" } else { "column" };
        for (bound, sign, code, word, limit) in [
            (column.max_length, ">", "22001", "long", "most"),
            (column.min_length.filter(|least| *least > 0), "<", "22023", "short", "least"),
        ] {
            let Some(bound) = bound else { continue };
            let long = |value: &str| format!("length({value}) {sign} {bound}");
            let condition = match column.kind {
                ColumnType::TextArray => {
                    format!("exists (select from unnest({}) i where {})", self.new, long("i"))
                }
                _ => long(&self.new),
            };
            let message =
                literal(&format!("value too {word} for {of} \"{name}\": at {limit} {bound} characters"));
            self.refuse_if(&condition, code, &message, "");
        }
    }

    fn array(&mut self) {
        let message = literal(&format!("column \"{}\" takes a plain list of texts", self.name));
        let condition = format!("array_ndims({0}) > 1 or array_position({0}, null) is not null", self.new);
        self.refuse_if(&condition, "22023", &message, "Leave out NULLs and nested arrays.");
    }

    /// How many there are, of a list.
    fn items(&mut self, number: &str) {
        let (least, most) = (self.column.min_items, self.column.max_items);
        self.bounds("items", number, least.filter(|least| *least > 0), most);
    }

    fn bounds(&mut self, of: &str, number: &str, least: Option<u32>, most: Option<u32>) {
        for (bound, sign, word, limit) in [(most, ">", "many", "most"), (least, "<", "few", "least")] {
            if let Some(bound) = bound {
                let message =
                    literal(&format!("too {word} {of} in column \"{}\": at {limit} {bound}", self.name));
                self.refuse_if(&format!("{number} {sign} {bound}"), "22023", &message, "");
            }
        }
    }

    fn number(&mut self) {
        let (new, column) = (self.new.clone(), self.column);
        if !column.values.is_empty() {
            let message = format!(
                "{} || {new} || '\"'",
                literal(&format!("invalid input value for column \"{}\": \"", self.name))
            );
            let condition = format!("{new} not in ({})", column.values.join(", "));
            self.refuse_if(&condition, "22023", &message, &format!("One of: {}", column.values.join(", ")));
        }
        let least = column.minimum.map(|bound| bound.to_string());
        let most = column.maximum.map(|bound| bound.to_string());
        let (least, most) = match column.kind {
            ColumnType::Bigint => {
                (least.unwrap_or_else(|| format!("-{LARGEST}")), most.unwrap_or_else(|| LARGEST.to_owned()))
            }
            // NaN is larger than any number.
            _ => (
                least.unwrap_or_else(|| "-1.7976931348623157e308".to_owned()),
                most.unwrap_or_else(|| "1.7976931348623157e308".to_owned()),
            ),
        };
        for (bound, sign, word) in [(least, "<", "least"), (most, ">", "most")] {
            let message =
                literal(&format!("value of column \"{}\" out of range: at {word} {bound}", self.name));
            self.refuse_if(&format!("{new} {sign} {bound}"), "22003", &message, "");
        }
    }

    fn time(&mut self) {
        let message = literal(&format!("value of column \"{}\" out of range: years 1 to 9999", self.name));
        let condition =
            format!("{0} < '0001-01-01 00:00:00+00' or {0} >= '10000-01-01 00:00:00+00'", self.new);
        self.refuse_if(&condition, "22008", &message, "");
    }

    fn json(&mut self) {
        let (new, column) = (self.new.clone(), self.column);
        let shape = if column.merge.by_key() { Some(JsonShape::Object) } else { column.json };
        if let Some(shape) = shape {
            let (kind, words) = match shape {
                JsonShape::Object => ("object", "a JSON object"),
                JsonShape::Array => ("array", "a JSON array"),
            };
            let message = literal(&format!("column \"{}\" takes {words}", self.name));
            self.refuse_if(&format!("jsonb_typeof({new}) <> '{kind}'"), "22023", &message, "");
        }
        // Whatever else it is has none of them.
        let object = format!("case jsonb_typeof({new}) when 'object' then {new} else '{{}}' end");
        let keys = format!("(select count(*) from jsonb_object_keys({object}))");
        self.bounds("keys", &keys, None, column.max_properties);
        let array = format!("case jsonb_typeof({new}) when 'array' then {new} else '[]' end");
        self.items(&format!("jsonb_array_length({array})"));
    }
}

/// What a value of the format looks like.
fn example(format: Format) -> &'static str {
    match format {
        Format::Email => "For example name@example.com",
        Format::Uri => "For example https://example.com/path",
        Format::UriOrEmpty => "For example https://example.com/path, or ''",
        Format::HttpsUriOrEmpty => "It starts with https://, or is ''",
    }
}
