//! What a comparison has found, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Difference, Unused};

/// The outcome of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many tables were compared.
    pub tables: usize,
    /// How many operations the document has.
    pub operations: usize,
    /// What differs, by table.
    pub differences: Vec<Difference>,
    /// Operations that no table uses.
    pub unused: Vec<Unused>,
    /// Entries of `left_out.toml` that can go.
    pub needless: Vec<String>,
}

impl Report {
    /// Whether the catalogue says what the document says.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty() && self.unused.is_empty() && self.needless.is_empty()
    }

    /// One line a finding, below the table or tag that it belongs to.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        // Writing to a String cannot fail.
        for found in &self.differences {
            if found.table != group {
                group = &found.table;
                let _ = writeln!(text, "{group}");
            }
            let _ = match &found.column {
                Some(column) => writeln!(text, "  {column}: {}", found.what),
                None => writeln!(text, "  {}", found.what),
            };
        }
        group = "";
        for unused in &self.unused {
            if unused.tag != group {
                group = &unused.tag;
                let _ = writeln!(text, "{group}: no table uses");
            }
            let _ = writeln!(text, "  {} {}: {}", unused.method, unused.path, unused.summary);
        }
        if !self.needless.is_empty() {
            let _ = writeln!(text, "left_out.toml: can go, it is used or no longer there");
        }
        for name in &self.needless {
            let _ = writeln!(text, "  {name}");
        }
        let (tables, operations) = (self.tables, self.operations);
        let _ = if self.agrees() {
            writeln!(text, "No difference: {tables} tables, {operations} operations.")
        } else {
            let (differences, unused) = (self.differences.len(), self.unused.len() + self.needless.len());
            writeln!(text, "{differences} differences in {tables} tables; {unused} operations to look at.")
        };
        text
    }

    /// The same as one JSON document.
    pub fn document(&self) -> Value {
        let differences = self.differences.iter();
        let unused = self.unused.iter();
        json!({
            "agrees": self.agrees(),
            "tables": self.tables,
            "operations": self.operations,
            "differences": differences.map(|d| json!({"table": d.table, "column": d.column, "what": d.what})).collect::<Vec<_>>(),
            "unused": unused.map(|u| json!({"tag": u.tag, "method": u.method, "path": u.path, "summary": u.summary})).collect::<Vec<_>>(),
            "needless": self.needless,
        })
    }
}
