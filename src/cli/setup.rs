//! `auth0-sync setup`.

use crate::Result;

/// Arguments of `auth0-sync setup`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
