//! What is asked for.

use std::path::PathBuf;
use std::time::Duration;

/// The parts, in the order in which they run.
const PARTS: [&str; 10] =
    ["writeback", "rate", "capture", "size", "strict", "live", "budget", "idle", "emulator", "backfill"];

/// The arguments.
pub(crate) struct Options {
    /// Where the JSON goes.
    pub(crate) json: PathBuf,
    /// Users of the backfill and of the emulator alone.
    pub(crate) users: u32,
    /// Rows of the large table.
    pub(crate) rows: u32,
    /// How often each side of a comparison runs; the medians are told.
    pub(crate) runs: usize,
    /// How long each plan's budget is used.
    pub(crate) budget: Duration,
    parts: Vec<String>,
}

impl Options {
    /// Names choose parts; none chooses all.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Options {
            json: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("figures.json"),
            users: 1_000_000,
            rows: 10_000_000,
            runs: 1,
            budget: Duration::from_secs(60),
            parts: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut next = || arguments.next().unwrap_or_else(|| panic!("{argument} takes a value"));
            let number = |text: String| text.replace('_', "").parse::<u32>().expect("a number");
            match argument.as_str() {
                "--json" => options.json = next().into(),
                "--users" => options.users = number(next()),
                "--rows" => options.rows = number(next()),
                "--runs" => options.runs = number(next()).max(1) as usize,
                "--budget-seconds" => options.budget = Duration::from_secs(number(next()).into()),
                // Cargo says this to every benchmark.
                "--bench" => {}
                part if PARTS.contains(&part) => options.parts.push(argument),
                other => panic!(
                    "{other} is none of {PARTS:?}, --json FILE, --users N, --rows N, --runs N, --budget-seconds N"
                ),
            }
        }
        options
    }

    /// Whether a part is to run.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}
