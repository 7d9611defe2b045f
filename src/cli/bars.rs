//! How far the filling of tables is, on standard error while it goes on: bars on a terminal, now and
//! then a line everywhere else. What is over goes to standard output. It decides nothing.

use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::filling::Filling;

/// Bars at a time: a whole catalogue is more than a terminal is high.
const BARS: usize = 10;
/// How often a line tells of a table where there is no terminal.
const TELL: f64 = 10.0;
const REDRAW: Duration = Duration::from_millis(200);

/// A table of which the command waits for the filling.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Table {
    pub(super) table: String,
    /// As in `_auth0_sync.backfill`.
    pub(super) state: String,
    pub(super) error: Option<String>,
    #[sqlx(flatten)]
    pub(super) filling: Filling,
}

impl Table {
    fn is_running(&self) -> bool {
        self.state == "running"
    }
}

/// Shows tables; bars are gone when it is dropped.
pub(super) struct Bars {
    begun: Instant,
    /// None: standard error is no terminal.
    terminal: Option<Terminal>,
    /// How many lines each table has had.
    told: HashMap<String, u64>,
}

struct Terminal {
    all: MultiProgress,
    sum: ProgressBar,
    bars: HashMap<String, ProgressBar>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Bars {
            begun: Instant::now(),
            terminal: stderr().is_terminal().then(Terminal::new),
            told: HashMap::new(),
        }
    }

    /// Shows how far all tables are that were asked for.
    pub(super) fn show(&mut self, tables: &[Table]) {
        match &mut self.terminal {
            Some(terminal) => terminal.show(tables, self.begun.elapsed()),
            None => {
                for table in tables.iter().filter(|table| is_due(&mut self.told, table)) {
                    eprintln!("{}: {}", table.table, table.filling.told());
                }
            }
        }
    }

    /// Tells what is over, above the bars.
    pub(super) fn say(&self, line: &str) {
        match &self.terminal {
            Some(terminal) => terminal.all.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Some(terminal) = &self.terminal {
            terminal.bars.values().chain([&terminal.sum]).for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Terminal {
    fn new() -> Self {
        let all = MultiProgress::new();
        let sum = all.add(styled(ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}"));
        sum.enable_steady_tick(REDRAW);
        Terminal { all, sum, bars: HashMap::new() }
    }

    fn show(&mut self, tables: &[Table], since: Duration) {
        self.bars.retain(|name, bar| {
            let stays = tables.iter().any(|table| table.table == *name && table.is_running());
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for table in longest(tables) {
            if self.bars.len() < BARS && !self.bars.contains_key(&table.table) {
                let bar = ProgressBar::new(100).with_prefix(table.table.clone());
                let bar = self.all.insert_before(&self.sum, bar);
                self.bars.insert(table.table.clone(), styled(bar, "{prefix:>28} {bar:24} {msg}"));
            }
            if let Some(bar) = self.bars.get(&table.table) {
                bar.set_position(table.filling.percent().unwrap_or(0));
                bar.set_message(table.filling.counts());
            }
        }
        self.sum.set_message(sum(tables, since));
    }
}

/// A wrong template, which is a fault of ours, leaves indicatif's own style.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The tables under way, those first that are expected to take the most calls.
fn longest(tables: &[Table]) -> Vec<&Table> {
    let mut running: Vec<_> = tables.iter().filter(|table| table.is_running()).collect();
    running.sort_by_key(|table| std::cmp::Reverse(table.filling.calls_expected.unwrap_or(0)));
    running
}

/// All of them in one line.
fn sum(tables: &[Table], since: Duration) -> String {
    let ended = tables.iter().filter(|table| !matches!(table.state.as_str(), "waiting" | "running")).count();
    let add = |of: fn(&Filling) -> i64| tables.iter().map(|table| of(&table.filling)).sum::<i64>();
    let rows = add(|filling| filling.rows.unwrap_or(0));
    let left = tables.iter().filter(|table| matches!(table.state.as_str(), "waiting" | "running"));
    let left: i64 = left.map(|table| table.filling.calls_left()).sum();
    let rate = rows as f64 / since.as_secs_f64().max(1.0);
    format!("{ended} of {} tables, {rows} rows, {rate:.0} rows/s, about {left} calls left", tables.len())
}

/// Whether a line is to tell of the table now: every [`TELL`] seconds since its filling began.
fn is_due(told: &mut HashMap<String, u64>, table: &Table) -> bool {
    let now = (table.filling.seconds.unwrap_or(0.0).max(0.0) / TELL) as u64;
    let before = told.entry(table.table.clone()).or_default();
    let due = table.is_running() && now > *before;
    // A filling that has begun anew begins at zero again.
    *before = now;
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, state: &str, filling: Filling) -> Table {
        Table { table: name.into(), state: state.into(), error: None, filling }
    }

    #[test]
    fn the_sum_counts_what_is_over_and_what_is_left() {
        let filling = |rows, calls, expected| Filling {
            rows: Some(rows),
            calls: Some(calls),
            calls_expected: Some(expected),
            ..Filling::default()
        };
        let tables = [
            table("a", "done", filling(100, 9, 20)),
            table("b", "running", filling(50, 3, 10)),
            table("c", "waiting", filling(0, 0, 5)),
        ];
        let told = sum(&tables, Duration::from_secs(3));
        assert_eq!(told, "1 of 3 tables, 150 rows, 50 rows/s, about 12 calls left");
    }

    #[test]
    fn bars_are_of_tables_under_way_and_the_longest_come_first() {
        let expected = |calls| Filling { calls_expected: Some(calls), ..Filling::default() };
        let tables = [
            table("short", "running", expected(1)),
            table("long", "running", expected(900)),
            table("later", "waiting", expected(9000)),
        ];
        let names: Vec<_> = longest(&tables).iter().map(|table| table.table.as_str()).collect();
        assert_eq!(names, ["long", "short"]);
    }

    #[test]
    fn without_a_terminal_a_line_comes_every_ten_seconds() {
        let mut told = HashMap::new();
        let at = |seconds| {
            table("t", "running", Filling { seconds: Some(f64::from(seconds)), ..Filling::default() })
        };
        let due: Vec<_> = (0..=25).filter(|second| is_due(&mut told, &at(*second))).collect();
        assert_eq!(due, [10, 20]);
        assert!(!is_due(&mut told, &at(1)), "it has begun anew");
        assert!(!is_due(&mut told, &Table { state: "waiting".into(), ..at(11) }), "nothing goes on");
    }
}
