//! What was measured, and what it was to be: a table for people, JSON for machines.

use std::path::Path;

use serde_json::{Map, Value, json};

/// What a figure is to be.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    AtLeast(f64),
    Below(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Aim::AtLeast(least) => value >= least,
            Aim::Below(most) => value < most,
        }
    }

    fn words(self) -> String {
        match self {
            Aim::AtLeast(least) => format!(">= {least}"),
            Aim::Below(most) => format!("< {most}"),
        }
    }

    fn json(self) -> Value {
        match self {
            Aim::AtLeast(least) => json!({"at_least": least}),
            Aim::Below(most) => json!({"below": most}),
        }
    }
}

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    aim: Option<Aim>,
}

impl Figure {
    fn line(&self) -> String {
        let aim = match self.aim {
            Some(aim) if aim.is_met(self.value) => format!("{}, met", aim.words()),
            Some(aim) => format!("{}, MISSED", aim.words()),
            None => String::new(),
        };
        format!("{:<64} {:>12.2} {:<8} {aim}", self.name, self.value, self.unit).trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let mut json = json!({"value": (self.value * 1000.0).round() / 1000.0, "unit": self.unit});
        if let Some(aim) = self.aim {
            json["aim"] = aim.json();
            json["met"] = aim.is_met(self.value).into();
        }
        json
    }
}

/// Figures in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Notes and shows one.
    pub(crate) fn note(&mut self, name: &str, unit: &'static str, value: f64) {
        self.keep(name, unit, value, None);
    }

    /// The same of one that is to be something.
    pub(crate) fn aim(&mut self, name: &str, unit: &'static str, value: f64, aim: Aim) {
        self.keep(name, unit, value, Some(aim));
    }

    /// Notes the middle and the slow end of many, in milliseconds; the p95 is to be below `aim`.
    pub(crate) fn spread(&mut self, name: &str, milliseconds: &[f64], aim: Option<f64>) {
        for (word, share) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
            let aim = aim.filter(|_| word == "p95").map(Aim::Below);
            self.keep(&format!("{name}, {word}"), "ms", at(milliseconds, share), aim);
        }
    }

    fn keep(&mut self, name: &str, unit: &'static str, value: f64, aim: Option<Aim>) {
        let figure = Figure { name: name.to_owned(), value, unit, aim };
        eprintln!("{}", figure.line());
        self.0.push(figure);
    }

    /// All of them, one line each.
    pub(crate) fn table(&self) -> String {
        self.0.iter().map(|figure| figure.line() + "\n").collect()
    }

    /// `{"machine": {…}, "figures": {"name": {"value": 1.5, "unit": "ms", "aim": {"below": 2}, "met": true}, …}}`.
    pub(crate) fn write(&self, file: &Path, machine: Value) {
        let figures: Map<_, _> = self.0.iter().map(|figure| (figure.name.clone(), figure.json())).collect();
        let all = json!({"machine": machine, "figures": figures});
        std::fs::write(file, format!("{all:#}\n")).unwrap();
    }
}

/// The value below which this share of all lies.
pub(crate) fn at(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
