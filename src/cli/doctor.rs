//! `auth0-sync doctor`.

use crate::Result;

/// Arguments of `auth0-sync doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
