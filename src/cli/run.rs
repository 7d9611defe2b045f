//! `auth0-sync run`.

use crate::Result;

/// Arguments of `auth0-sync run`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
