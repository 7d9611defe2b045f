//! The command line: parses arguments and configuration, then hands over to the layer below.
//! One file a command; each has `Args` and `run`.

mod asked;
pub mod backfill;
mod bars;
pub mod catalog;
mod checks;
pub mod dev;
pub mod doctor;
pub mod emulator;
mod expected;
mod filling;
mod live;
pub mod pause;
pub mod run;
pub mod setup;
mod shutdown;
pub mod status;
pub mod sweep;
pub mod teardown;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{Result, telemetry};

#[derive(Parser)]
#[command(name = "auth0-sync", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine: Postgres, emulator, service
    Dev(dev::Args),
    /// Check credentials and rights; create schema, roles, publication, slot
    Setup(setup::Args),
    /// Run the service
    Run(run::Args),
    /// Write nothing to Auth0 for a while; changes are captured and wait
    Pause(pause::Args),
    /// Write to Auth0 again, what has waited first
    Resume(pause::ResumeArgs),
    /// Fill one or more tables again
    Backfill(backfill::Args),
    /// Compare tables with Auth0 and mend what differs
    Sweep(sweep::Args),
    /// Tables, lag, unsettled mutations, budget
    Status(status::Args),
    /// Everything that could be wrong, each with its mend
    Doctor(doctor::Args),
    /// Remove from Auth0 what the service has made there: its Actions and its event stream
    Teardown(teardown::Args),
    /// Tables, columns, operations, scopes
    Catalog(catalog::Args),
    /// An Auth0 Management API for development and tests
    Emulator(Box<emulator::Args>),
}

/// Runs the command that the arguments name; the exit code is 0 only if it did what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_logs();
    let outcome = match cli.command {
        Command::Dev(args) => dev::run(args),
        Command::Setup(args) => setup::run(args),
        Command::Run(args) => run::run(args),
        Command::Pause(args) => pause::run(args),
        Command::Resume(args) => pause::resume(args),
        Command::Backfill(args) => backfill::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Status(args) => status::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Teardown(args) => teardown::run(args),
        Command::Catalog(args) => match catalog::run(args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Emulator(args) => emulator::run(*args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auth0-sync: {error}");
            eprintln!("  {}", error.kind().policy().hint);
            ExitCode::FAILURE
        }
    }
}

/// The runtime of a command that does I/O.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| crate::Error::with(crate::Kind::Io, "cannot start the runtime", error))?;
    runtime.block_on(work)
}
