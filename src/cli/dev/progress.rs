//! Tells the person at the terminal what `dev` does, on standard error: a spinner there, plain
//! lines everywhere else. Standard output belongs to the ready text.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// One step at a time; a step ends where the next begins.
pub(super) struct Progress {
    terminal: bool,
    step: Option<Step>,
}

struct Step {
    text: String,
    begun: Instant,
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress { terminal: stderr().is_terminal(), step: None }
    }

    /// Ends the step before and begins this one: "Postgres 18 makes its cluster".
    pub(super) fn step(&mut self, text: &str) {
        self.done();
        let spinner = self.terminal.then(|| {
            let spinner = ProgressBar::new_spinner().with_message(text.to_owned());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        self.step = Some(Step { text: text.to_owned(), begun: Instant::now(), spinner });
    }

    /// Ends the step.
    pub(super) fn done(&mut self) {
        let Some(step) = self.step.take() else { return };
        if let Some(spinner) = step.spinner {
            spinner.finish_and_clear();
        }
        eprintln!("✓ {} ({:.1} s)", step.text, step.begun.elapsed().as_secs_f64());
    }

    /// Ends the step without success.
    pub(super) fn failed(&mut self) {
        let Some(step) = self.step.take() else { return };
        if let Some(spinner) = step.spinner {
            spinner.finish_and_clear();
        }
        eprintln!("✗ {}", step.text);
    }

    /// A message between steps.
    pub(super) fn say(&self, text: &str) {
        match self.step.as_ref().and_then(|step| step.spinner.as_ref()) {
            Some(spinner) => spinner.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}
