//! Owns one process of this very program, `auth0-sync emulator` or `auth0-sync run`: starts it,
//! reads its ready line, ends it. A child never outlives its parent.

use std::{
    env, fs,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child as Process, Command},
    time::timeout,
};

use super::{account::bound, cluster::tail};
use crate::{Error, Kind, Result};

const READY_WITHIN: Duration = Duration::from_secs(120);
const ENDED_WITHIN: Duration = Duration::from_secs(15);

/// Marks the processes of one folder, so that a later `dev` knows its own leftovers.
const MARK: &str = "AUTH0_SYNC_DEV";

/// Names a folder of catalogue files.
const CATALOG: &str = "AUTH0_SYNC_CATALOG";

/// What the children of one `dev` have in common.
#[derive(Clone)]
pub(super) struct Launcher {
    /// This program.
    pub(super) program: PathBuf,
    /// The folder of `dev`.
    pub(super) folder: PathBuf,
}

/// A running child.
pub(super) struct Child {
    name: &'static str,
    process: Process,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Launcher {
    /// The command line of a child. Settings of a real tenant, in the environment or in an
    /// `auth0-sync.toml`, do not reach it.
    fn command(&self, args: &[String], variables: &[(&str, String)]) -> Command {
        let mut command = bound(&self.program, "TERM");
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("AUTH0_") || text.starts_with("DATABASE_") {
                command.env_remove(&name);
            }
        }
        // The catalogue is of the program, not of a tenant; the child runs in another folder.
        if let Some(catalog) = env::var_os(CATALOG).and_then(|folder| fs::canonicalize(folder).ok()) {
            command.env(CATALOG, catalog);
        }
        command.args(args).env(MARK, &self.folder).current_dir(self.folder.join("run"));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.into()
    }

    /// Runs a child to its end.
    pub(super) async fn output(&self, args: &[String], variables: &[(&str, String)]) -> Result<Output> {
        let mut command = self.command(args, variables);
        command.kill_on_drop(true);
        command.output().await.map_err(|error| self.cannot_run(error))
    }

    /// Starts a child and returns it with the object of its ready line.
    pub(super) async fn start(
        &self,
        name: &'static str,
        args: &[String],
        variables: &[(&str, String)],
    ) -> Result<(Child, Value)> {
        let pid_file = self.folder.join("run").join(name).with_extension("pid");
        self.end_leftover(&pid_file);
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| Error::with(Kind::Io, format!("cannot write {}", log.display()), error))?;
        let mut process = self
            .command(args, variables)
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.cannot_run(error))?;
        let out = process.stdout.take();
        let mut child = Child { name, process, log, pid_file };
        if let Some(pid) = child.pid() {
            let _ = fs::write(&child.pid_file, pid.to_string());
        }
        let Some(out) = out else { return Err(Error::new(Kind::Internal, "a child has no output")) };
        let mut lines = BufReader::new(out).lines();
        let line = match timeout(READY_WITHIN, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(_) => {
                let status = child.process.wait().await.map(|status| status.to_string());
                let status = status.unwrap_or_else(|error| error.to_string());
                return Err(child.failed(&format!("ended before it was ready ({status})")));
            }
            Err(_) => return Err(child.failed(&format!("is not ready after {READY_WITHIN:?}"))),
        };
        // Nobody reads what comes later, but the pipe must not fill up or break.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        match serde_json::from_str(&line) {
            Ok(Value::Object(ready)) if ready.get("event").is_some_and(|event| event == "ready") => {
                Ok((child, Value::Object(ready)))
            }
            _ => Err(child.failed(&format!("printed something else than its ready line: {line}"))),
        }
    }

    /// Ends the process that a pid file names, if it is still there and bears this folder's mark.
    fn end_leftover(&self, pid_file: &Path) {
        let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok())
        else {
            return;
        };
        let mark = format!("{MARK}={}", self.folder.display());
        let ours = || {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let begun = Instant::now();
        while ours() && begun.elapsed() < ENDED_WITHIN {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn cannot_run(&self, error: std::io::Error) -> Error {
        Error::with(Kind::Io, format!("cannot run {}", self.program.display()), error)
    }
}

impl Child {
    /// Its process, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// The exit status, if it has ended.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Asks it to end, waits, and kills it if that takes too long.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
            if timeout(ENDED_WITHIN, self.process.wait()).await.is_err() {
                let _ = self.process.kill().await;
            }
        }
    }

    fn failed(&self, what: &str) -> Error {
        Error::new(
            Kind::Io,
            format!("the {} {what}; the end of {}:\n{}", self.name, self.log.display(), tail(&self.log, 15)),
        )
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.pid_file);
    }
}
