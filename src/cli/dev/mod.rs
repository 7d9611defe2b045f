//! `auth0-sync dev`: everything on this machine, for development.

pub mod account;
pub mod binaries;
pub mod cluster;

use crate::Result;

/// Arguments of `auth0-sync dev`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
