//! `auth0-sync run`.

use std::path::PathBuf;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{block_on, shutdown};
use crate::Result;
use crate::app::{self, Config};

/// Arguments of `auth0-sync run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Configuration file [default: auth0-sync.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON line when ready
    #[arg(long)]
    json: bool,
}

/// Runs the service until SIGINT or SIGTERM.
pub fn run(args: Args) -> Result<()> {
    let config = Config::load(args.config.as_deref())?;
    block_on(async move {
        let stop = CancellationToken::new();
        shutdown::on_signal(stop.clone())?;
        let ready = move |ready: app::Ready| {
            let url = format!("http://{}", ready.status);
            if args.json {
                println!("{}", json!({"event": "ready", "status_url": url}));
            } else {
                println!("auth0-sync is ready; status: {url}/status");
            }
        };
        app::run(config, ready, stop).await
    })
}
