//! `auth0-sync teardown`: takes back what the service has made at Auth0 for itself.

use std::path::PathBuf;

use super::block_on;
use crate::Result;
use crate::app::{self, Config};

/// Arguments of `auth0-sync teardown`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Remove nothing, but make a new key for the webhook; the running service gives it to Auth0
    #[arg(long)]
    rotate: bool,
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    block_on(async move {
        if args.rotate {
            app::rotate(&config).await?;
            println!("the webhook has a new key; the running service gives it to Auth0 by itself");
            return Ok(());
        }
        let removed = app::teardown(&config).await?;
        for name in removed.actions.iter().map(|name| format!("Action {name}")) {
            println!("removed: {name}");
        }
        for name in removed.event_streams.iter().map(|name| format!("event stream {name}")) {
            println!("removed: {name}");
        }
        if removed == Default::default() {
            println!("the service has nothing of its own at Auth0");
        }
        println!("the schema {} and its rows stay", config.schema);
        Ok(())
    })
}
