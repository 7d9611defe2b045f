//! The program under test as a real process: started, read, killed.

use std::{
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use auth0_sync::cli::dev::{account::bound, cluster::tail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A tenant of a million users takes its time.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// A process of `auth0-sync`. Dropped, it is killed and waited for.
pub struct Program {
    name: String,
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Starts `auth0-sync` with these arguments and variables, and none of the outer AUTH0_* and DATABASE_*.
    pub fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("auth0-sync-").unwrap();
        let log = folder.path().join("log");
        let mut command = bound(&program(), "KILL");
        for (name, _) in std::env::vars() {
            if name.starts_with("AUTH0_") || name.starts_with("DATABASE_") {
                command.env_remove(name);
            }
        }
        command.args(args).envs(variables.iter().copied()).current_dir(folder.path());
        let mut child = Command::from(command)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Program { name: format!("auth0-sync {}", args.join(" ")), child, out, log, _folder: folder }
    }

    /// Runs it to its end; stdout, log and exit status.
    pub async fn output(args: &[&str], variables: &[(&str, &str)]) -> (ExitStatus, String, String) {
        let mut program = Self::start(args, variables);
        let mut text = String::new();
        while let Ok(Some(line)) = program.out.next_line().await {
            text.push_str(&line);
            text.push('\n');
        }
        let status = program.child.wait().await.unwrap();
        (status, text, program.log())
    }

    /// The object of the line `{"event":"ready",…}`.
    pub async fn ready(&mut self) -> Value {
        let line = match timeout(READY_WITHIN, self.out.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(end) => panic!("{} ended before it was ready ({end:?}):\n{}", self.name, self.log()),
            Err(_) => panic!("{} is not ready after {READY_WITHIN:?}:\n{}", self.name, self.log()),
        };
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert_eq!(value["event"], "ready", "{line}");
        value
    }

    /// The next line of stdout; `None` at its end.
    pub async fn line(&mut self) -> Option<String> {
        self.out.next_line().await.unwrap()
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// `kill -9`, and waits for the end.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end as an operator would (SIGTERM), and waits for that.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let wait = timeout(Duration::from_secs(30), self.child.wait()).await;
        wait.unwrap_or_else(|_| panic!("{} does not end:\n{}", self.name, self.log())).unwrap()
    }

    /// Sends a signal: SIGSTOP makes it hang, SIGCONT go on.
    pub fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(2));
        }
        if thread::panicking() {
            let _ = writeln!(std::io::stderr(), "---- the log of {}\n{}", self.name, tail(&self.log, 60));
        }
    }
}

/// The program of this build, or the one that AUTH0_SYNC_PROGRAM names.
pub fn program() -> PathBuf {
    std::env::var_os("AUTH0_SYNC_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_auth0-sync").into()).into()
}

/// Whether kill -9 ended it.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}
