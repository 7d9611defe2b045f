//! What was asked for, and what was measured.

use serde_json::{Map, Value, json};

/// The parts, in the order in which they run.
const PARTS: [&str; 4] = ["writeback", "live", "emulator", "backfill"];

/// The arguments.
pub(crate) struct Options {
    /// Prints one JSON object at the end.
    pub(crate) json: bool,
    /// Users of the backfill.
    pub(crate) users: u32,
    /// How often each side of a comparison runs; the medians are told.
    pub(crate) runs: usize,
    parts: Vec<String>,
}

impl Options {
    /// Names choose parts; none chooses all.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Options { json: false, users: 1_000_000, runs: 1, parts: Vec::new() };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.replace('_', "").parse::<u32>().ok());
            match argument.as_str() {
                "--json" => options.json = true,
                "--users" => options.users = number().expect("--users takes a number"),
                "--runs" => options.runs = number().expect("--runs takes a number").max(1) as usize,
                // Cargo says this to every benchmark.
                "--bench" => {}
                part if PARTS.contains(&part) => options.parts.push(argument),
                other => panic!("{other} is none of {PARTS:?}, --json, --users N, --runs N"),
            }
        }
        options
    }

    /// Whether a part is to run.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

/// Values by name, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Figures(Map<String, Value>);

impl Figures {
    /// Notes and shows one.
    pub(crate) fn note(&mut self, name: &str, unit: &str, value: f64) {
        let value = (value * 100.0).round() / 100.0;
        eprintln!("{name:<66} {value:>14} {unit}");
        self.0.insert(name.to_owned(), json!({"value": value, "unit": unit}));
    }

    /// Notes the middle and the slow end of many, in milliseconds.
    pub(crate) fn spread(&mut self, name: &str, milliseconds: &[f64]) {
        for (word, share) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
            self.note(&format!("{name}, {word}"), "ms", at(milliseconds, share));
        }
    }

    /// All of them: `{"name": {"value": 1.5, "unit": "ms"}, …}`.
    pub(crate) fn json(self) -> Value {
        Value::Object(self.0)
    }
}

/// The value below which this share of all lies.
pub(crate) fn at(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
