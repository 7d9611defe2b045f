//! `auth0-sync emulator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use crate::Result;
use crate::catalog::Limits;
use crate::emulator::{Credentials, Emulator, EventOptions, Gzip, Options};
use crate::error::{Error, Kind};

/// Arguments of `auth0-sync emulator`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// Folder in which the tenant is kept; without it, it lives in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Users that a fresh tenant is filled with, besides organizations, roles and clients
    #[arg(long, value_name = "N", default_value_t = 0)]
    users: usize,
    /// A preload document (JSON, or one a line) that a fresh tenant starts with
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// How long each answer takes at least, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Whose rate limits are kept: off, or a plan (free, professional, enterprise, …)
    #[arg(long, visible_alias = "plan", value_name = "PLAN", default_value = "off")]
    rate_limits: String,
    /// Features that the tenant lacks, separated by commas, as `gate` in the catalogue names them
    #[arg(long, value_name = "FEATURES")]
    without: Option<String>,
    /// Whether offset paging ends after 1,000 results, as Auth0's does: on or off
    #[arg(long, value_name = "SWITCH", default_value = "on", value_parser = ["on", "off"])]
    result_cap: String,
    /// How long building an action takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    action_build: u64,
    /// How files of exports are compressed: on is the same as file
    #[arg(long, value_name = "WAY", default_value = "off", value_parser = ["off", "on", "encoding", "file"])]
    export_gzip: String,
    /// How long a link to an export holds, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    export_link_seconds: f64,
    /// How long a job and its file are kept, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400.0)]
    export_job_seconds: f64,
    /// How long tokens hold, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    token_lifetime: u64,
    /// The only scopes that tokens get, separated by commas or spaces
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<String>,
    /// Scopes that tokens never get, separated by commas or spaces
    #[arg(long, value_name = "SCOPES")]
    withhold: Option<String>,
    /// Domain of the tenant, besides the host that it is asked by
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// How long events can be read, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    event_retention: u64,
    /// After how many seconds a connection that reads events is closed
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    event_connection_seconds: u64,
    /// Between two heartbeats to those who read events, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 15_000)]
    event_heartbeat_ms: u64,
    /// The machine-to-machine client of a fresh tenant; without it, one is made
    #[arg(long, value_name = "ID", requires = "client_secret")]
    client_id: Option<String>,
    /// Its secret
    #[arg(
        long,
        value_name = "SECRET",
        requires = "client_id",
        env = "AUTH0_EMULATOR_CLIENT_SECRET",
        hide_env_values = true
    )]
    client_secret: Option<String>,
    /// Print one line of JSON when ready
    #[arg(long)]
    json: bool,
}

/// Runs the command until it is interrupted.
pub fn run(args: Args) -> Result<()> {
    let json = args.json;
    let listen = args.listen;
    let options = options(args)?;
    super::block_on(async move {
        let emulator = Emulator::open(options)?;
        let failed = |error| Error::with(Kind::Io, format!("cannot listen on {listen}"), error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        announce(json, address, emulator.client());
        emulator.serve(listener, interrupted()).await
    })
}

fn options(args: Args) -> Result<Options> {
    let plan = match args.rate_limits.as_str() {
        "off" => None,
        name => Some(Limits::load()?.plan(name).map(|plan| plan.name.clone()).map_err(|error| {
            Error::new(Kind::Config, format!("--rate-limits is neither off nor a plan: {}", error.what()))
        })?),
    };
    let split = |text: String| -> Vec<String> {
        text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    Ok(Options {
        data: args.data,
        users: args.users,
        seed: args.seed,
        latency: Duration::from_millis(args.latency),
        plan,
        without: args.without.map(split).unwrap_or_default(),
        result_cap: args.result_cap == "on",
        action_build: Duration::from_millis(args.action_build),
        export_gzip: match args.export_gzip.as_str() {
            "off" => Gzip::Off,
            "encoding" => Gzip::Encoding,
            _ => Gzip::File,
        },
        export_link: seconds("--export-link-seconds", args.export_link_seconds)?,
        export_job: seconds("--export-job-seconds", args.export_job_seconds)?,
        token_lifetime: Duration::from_secs(args.token_lifetime),
        scopes: args.scopes.map(split),
        withheld: args.withhold.map(split).unwrap_or_default(),
        domain: args.domain,
        events: EventOptions {
            retention: Duration::from_secs(args.event_retention),
            connection: Duration::from_secs(args.event_connection_seconds),
            heartbeat: Duration::from_millis(args.event_heartbeat_ms.max(1)),
        },
        client: args.client_id.zip(args.client_secret).map(|(id, secret)| Credentials { id, secret }),
    })
}

fn seconds(name: &str, value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| Error::with(Kind::Config, format!("{name} {value}"), error))
}

fn announce(json: bool, address: SocketAddr, client: &Credentials) {
    let url = format!("http://{address}");
    if json {
        let line = json!({
            "event": "ready",
            "auth0_url": url,
            "client_id": client.id,
            "client_secret": client.secret,
            "pids": {"emulator": std::process::id()},
        });
        println!("{line}");
    } else {
        println!("Auth0 emulator on {url}");
        println!("  AUTH0_DOMAIN={address} AUTH0_BASE_URL={url}");
        println!("  AUTH0_CLIENT_ID={} AUTH0_CLIENT_SECRET={}", client.id, client.secret);
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
