//! Everything that can be wrong, each with its mend: one list of checks for `setup` and `doctor`.
//! Checks only look; what they find is printed at once and counted.

pub(super) mod auth0;
pub(super) mod database;
pub(super) mod login;
pub(super) mod objects;
pub(super) mod selection;
pub(super) mod server;
pub(super) mod slot;
pub(super) mod waiting;

use std::io::Write as _;

/// Prints what the checks find, and remembers how it went.
#[derive(Debug, Default)]
pub(super) struct Report {
    wrong: usize,
    warnings: usize,
    conflict: bool,
}

impl Report {
    /// A heading.
    pub(super) fn part(&mut self, name: &str) {
        say(name);
    }

    /// Something that is as it should be.
    pub(super) fn good(&mut self, what: impl AsRef<str>) {
        say(&format!("  ok    {}", what.as_ref()));
    }

    /// Something that works and should still be looked at.
    pub(super) fn warn(&mut self, what: impl AsRef<str>, mend: impl AsRef<str>) {
        self.warnings += 1;
        say(&format!("  WARN  {}", what.as_ref()));
        mended(mend.as_ref());
    }

    /// Something that cannot work.
    pub(super) fn wrong(&mut self, what: impl AsRef<str>, mend: impl AsRef<str>) {
        self.wrong += 1;
        say(&format!("  FAIL  {}", what.as_ref()));
        mended(mend.as_ref());
    }

    /// Something of somebody else that stands in the way.
    pub(super) fn conflict(&mut self, what: impl AsRef<str>, mend: impl AsRef<str>) {
        self.conflict = true;
        self.wrong(what, mend);
    }

    /// Something that setup changes, or would change.
    pub(super) fn change(&mut self, what: impl AsRef<str>) {
        say(&format!("  +     {}", what.as_ref()));
    }

    /// How much cannot work.
    pub(super) fn wrongs(&self) -> usize {
        self.wrong
    }

    /// How much should be looked at.
    pub(super) fn warnings(&self) -> usize {
        self.warnings
    }

    /// Whether an object of somebody else is among it.
    pub(super) fn has_conflict(&self) -> bool {
        self.conflict
    }
}

fn mended(mend: &str) {
    for (index, line) in mend.lines().enumerate() {
        let word = if index == 0 { "mend:" } else { "     " };
        say(&format!("        {word} {line}"));
    }
}

/// One line on standard output; a reader that has gone is no error.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// `1 problem`, `2 problems`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
