//! One row as a line of an export: NDJSON, or CSV as Auth0 writes it. It reads rows and nothing else.

use std::collections::HashSet;

use serde_json::Value;

use super::Order;
use crate::catalog::{ColumnType, Resource};
use crate::emulator::packed::{Held, Packed};
use crate::emulator::rules::{Fields, Rules};
use crate::emulator::template::at;

/// What stands in a line.
#[derive(Debug)]
pub(super) struct Layout {
    columns: Vec<Column>,
    csv: bool,
    /// Objects that are left out when they are empty.
    empty: Vec<String>,
}

#[derive(Debug)]
struct Column {
    /// A field, or a dotted way to a value.
    way: String,
    plain: bool,
    /// The name as JSON, with the colon.
    name: Vec<u8>,
    title: String,
    /// A time: CSV shows it as it is.
    time: bool,
}

impl Layout {
    /// The lines that an order means.
    pub(super) fn new(order: &Order, (resource, rules): (&Resource, &Rules)) -> Layout {
        let times = resource.columns.iter().filter(|(_, column)| column.kind == ColumnType::Timestamptz);
        let times: HashSet<&str> = times.map(|(name, _)| resource.field(name)).collect();
        let columns = order.fields.iter().map(|asked| {
            let way = asked.name.replace('[', ".").replace(']', "");
            let title = asked.export_as.clone().unwrap_or_else(|| asked.name.clone());
            let mut name = serde_json::to_vec(&title).unwrap_or_default();
            name.push(b':');
            Column { plain: !way.contains('.'), time: times.contains(way.as_str()), way, name, title }
        });
        let csv = order.format == "csv";
        Layout { columns: columns.collect(), csv, empty: rules.hidden_when_empty.clone() }
    }

    /// What stands before the first row.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut line = Vec::new();
        if self.csv {
            for (place, column) in self.columns.iter().enumerate() {
                separate(&mut line, place);
                quote(&mut line, "", &column.title);
            }
            line.extend_from_slice(b"\r\n");
        }
        line
    }

    /// Appends a row.
    pub(super) fn line(&self, row: &Held, line: &mut Vec<u8>) {
        match row {
            Held::Packed(packed) if !self.csv && self.columns.iter().all(|column| column.plain) => {
                self.packed(packed, line);
            }
            _ => self.open(&row.row(0).body, line),
        }
    }

    fn open(&self, row: &Fields, line: &mut Vec<u8>) {
        if self.csv {
            for (place, column) in self.columns.iter().enumerate() {
                separate(line, place);
                self.value(row, column).map(|value| cell(line, value, column.time)).unwrap_or_default();
            }
            line.extend_from_slice(b"\r\n");
            return;
        }
        line.push(b'{');
        let mut shown = 0;
        for column in &self.columns {
            let Some(value) = self.value(row, column) else { continue };
            separate(line, shown);
            shown += 1;
            line.extend_from_slice(&column.name);
            // Writing JSON into memory cannot fail.
            let _ = serde_json::to_writer(&mut *line, value);
        }
        line.extend_from_slice(b"}\n");
    }

    /// A line from the texts that a packed row has already.
    fn packed(&self, row: &Packed, line: &mut Vec<u8>) {
        line.push(b'{');
        let mut shown = 0;
        for column in &self.columns {
            let text = row.text(&column.way).filter(|text| *text != b"null");
            let Some(text) = text.filter(|text| *text != b"{}" || !self.empty.contains(&column.way)) else {
                continue;
            };
            separate(line, shown);
            shown += 1;
            line.extend_from_slice(&column.name);
            line.extend_from_slice(text);
        }
        line.extend_from_slice(b"}\n");
    }

    fn value<'r>(&self, row: &'r Fields, column: &Column) -> Option<&'r Value> {
        let value = if column.plain { row.get(&column.way) } else { at(row, &column.way) }?;
        let empty = value.as_object().is_some_and(|object| object.is_empty());
        let left_out = value.is_null() || empty && self.empty.contains(&column.way);
        (!left_out).then_some(value)
    }
}

fn separate(line: &mut Vec<u8>, place: usize) {
    if place > 0 {
        line.push(b',');
    }
}

/// Texts are quoted, and begin with a quote of their own so that no spreadsheet takes them for formulas.
fn cell(line: &mut Vec<u8>, value: &Value, time: bool) {
    match value {
        Value::String(text) if time => line.extend_from_slice(text.as_bytes()),
        Value::String(text) => quote(line, "'", text),
        Value::Array(_) | Value::Object(_) => quote(line, "'", &value.to_string()),
        other => line.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn quote(line: &mut Vec<u8>, before: &str, text: &str) {
    line.push(b'"');
    line.extend_from_slice(before.as_bytes());
    line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    line.push(b'"');
}
