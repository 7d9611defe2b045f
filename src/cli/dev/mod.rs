//! `auth0-sync dev`: everything on this machine, for development. A Postgres of its own, the
//! emulator, and the service, each a process; Ctrl-C stops them all. Never touches a Postgres or a
//! tenant that it did not make.

pub mod account;
pub mod binaries;
mod child;
pub mod cluster;
mod folder;
mod progress;
mod stack;

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::stack::{Ready, Stack};
use super::block_on;
use crate::{Error, Kind, Result};

/// Arguments of `auth0-sync dev`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one line of JSON when ready, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Where everything is kept between two starts [default: .dev/cluster]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many users the emulator makes at the first start
    #[arg(long, value_name = "N", default_value_t = 300)]
    users: u32,
    /// The plan whose rate limits the emulator keeps
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Tables to mirror, separated by commas [default: AUTH0_SYNC_OBJECTS, else every table]
    #[arg(long, value_name = "LIST")]
    objects: Option<String>,
}

/// Runs the command; returns when a signal asks for it, with everything stopped.
pub fn run(args: Args) -> Result<()> {
    // The children end with the thread that starts them: that is the one `block_on` runs on.
    block_on(async {
        let mut stop = StopSignals::listen()?;
        let mut stack = Stack::new(&args)?;
        let outcome = tokio::select! {
            outcome = serve(&mut stack, args.json) => outcome,
            () = stop.received() => Ok(()),
        };
        stack.stop().await;
        outcome
    })
}

async fn serve(stack: &mut Stack, json: bool) -> Result<()> {
    let ready = stack.start().await?;
    let text = if json { ready.line() } else { ready.text() };
    let mut out = stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Error::with(Kind::Io, "cannot write to standard output", error))?;
    drop(out);
    stack.keep_running().await
}

impl Ready {
    fn line(&self) -> String {
        json!({
            "event": "ready",
            "database_url": self.database_url,
            "auth0_url": self.auth0_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "status_url": self.status_url,
            "pids": { "service": self.service, "emulator": self.emulator, "postgres": self.postgres },
        })
        .to_string()
    }

    fn text(&self) -> String {
        let psql = binaries::psql(&std::env::current_dir().unwrap_or_default());
        format!(
            "
Ready.

  SQL      {psql} {database}
  Auth0    {auth0}
  Status   {status}/status
  Logs     {logs}

For the API in another shell:

  export AUTH0_URL={auth0}
  export AUTH0_CLIENT_ID={id}
  export AUTH0_CLIENT_SECRET={secret}

Try in psql:

  select user_id, email, email_verified from auth0.user limit 5;
  update auth0.user set email_verified = true where user_id = (select min(user_id) from auth0.user);
  select auth0.wait();

Ctrl-C stops everything; the same command takes up where it was.",
            database = self.database_url,
            auth0 = self.auth0_url,
            id = self.client_id,
            secret = self.client_secret,
            status = self.status_url,
            logs = self.folder.join("logs").display(),
        )
    }
}

/// Ctrl-C, `kill`, and the closed terminal.
struct StopSignals([Signal; 3]);

impl StopSignals {
    fn listen() -> Result<Self> {
        let listen =
            |kind| signal(kind).map_err(|error| Error::with(Kind::Io, "cannot listen for signals", error));
        Ok(StopSignals([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
