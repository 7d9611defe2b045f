//! Owns one Postgres cluster in a folder: makes it, starts it, knows when it is ready, stops it.
//! Used by `dev` and by the tests. Knows nothing of Auth0, and never touches a cluster that it
//! did not make.
//!
//! Everything here blocks, for a tenth of a second as a rule. Call it from a thread that lives as
//! long as the cluster: the server is ended together with the thread that started it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{account::Account, binaries::Binaries};
use crate::{Error, Kind, Result};

const SUPERUSER: &str = "postgres";
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A Postgres cluster of our own: TCP on 127.0.0.1 with passwords, `wal_level = logical`.
pub struct Cluster {
    binaries: Binaries,
    account: Account,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    process: Option<Child>,
}

impl Cluster {
    /// The cluster whose data folder is `data` and whose log is the file `log`; nothing is
    /// touched yet. `password` is the superuser's, of letters and digits.
    pub fn new(binaries: Binaries, account: Account, data: PathBuf, log: PathBuf, password: String) -> Self {
        Cluster { binaries, account, data, log, port: 0, password, process: None }
    }

    /// Whether the data folder holds a cluster.
    pub fn exists(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    /// Makes the cluster with `initdb`, all or nothing: a crash half-way leaves no data folder.
    pub fn create(&self) -> Result<()> {
        let parent = self.data.parent().unwrap_or(Path::new("/"));
        if !self.account.can_enter(parent) {
            return Err(Error::new(
                Kind::Io,
                format!(
                    "{} runs Postgres, which refuses root, and cannot enter {}; choose another folder",
                    self.account.name(),
                    parent.display()
                ),
            ));
        }
        let unfinished = self.data.with_extension("unfinished");
        remove(&unfinished)?;
        fs::create_dir(&unfinished).map_err(|error| io("cannot make", &unfinished, error))?;
        self.account.own(&unfinished)?;
        let secret = self.data.with_extension("password");
        let _ = fs::remove_file(&secret);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&secret)
            .map_err(|error| io("cannot write", &secret, error))?;
        self.account.own(&secret)?;
        writeln!(file, "{}", self.password).map_err(|error| io("cannot write", &secret, error))?;

        let mut initdb = self.account.command(&self.binaries.program("initdb"), "TERM");
        initdb.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(&secret).args([
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--auth=scram-sha-256",
            "--no-instructions",
            "--no-sync",
        ]);
        let outcome = initdb.output();
        let _ = fs::remove_file(&secret);
        let output = outcome.map_err(|error| io("cannot run", &self.binaries.program("initdb"), error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(Kind::Io, format!("initdb failed ({}): {}", output.status, said.trim())));
        }
        fs::rename(&unfinished, &self.data).map_err(|error| io("cannot name", &self.data, error))
    }

    /// Starts the server on `port`, or on another free one if that is taken (0: any), and returns
    /// when it takes connections. What an earlier server left behind is mended first. `settings`
    /// stand above those of `postgresql.conf`.
    pub fn start(&mut self, port: u16, settings: &[(&str, &str)]) -> Result<u16> {
        self.check_version()?;
        self.end_leftover()?;
        let begun = Instant::now();
        loop {
            self.port = free_port(port)?;
            match self.start_once(settings)? {
                None => return Ok(self.port),
                // Backends of a killed server hold the folder for a moment, and between our
                // choice of the port and the server's somebody else can take it.
                Some(_) if begun.elapsed() < Duration::from_secs(3) => thread::sleep(LOOK_AGAIN * 10),
                Some(status) => {
                    return Err(Error::new(
                        Kind::Io,
                        format!(
                            "Postgres ended at its start ({status}); its log says:\n{}",
                            self.log_tail(15)
                        ),
                    ));
                }
            }
        }
    }

    /// `None` when ready, the exit status when it ended instead.
    fn start_once(&mut self, settings: &[(&str, &str)]) -> Result<Option<ExitStatus>> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|error| io("cannot write", &self.log, error))?;
        let copy = log.try_clone().map_err(|error| io("cannot write", &self.log, error))?;
        let mut command = self.account.command(&self.binaries.program("postgres"), "INT");
        command.arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string());
        let standard = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("wal_level", "logical"),
            ("max_connections", "200"),
        ];
        for (name, value) in standard.iter().chain(settings) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut child = command
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(|error| io("cannot run", &self.binaries.program("postgres"), error))?;
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(|error| io("cannot watch", &self.data, error))? {
                return Ok(Some(status));
            }
            if self.pid_file().is_some_and(|file| file.ready && file.pid == child.id().cast_signed()) {
                self.process = Some(child);
                return Ok(None);
            }
            if begun.elapsed() > READY_WITHIN {
                end(&mut child, Signal::SIGQUIT);
                return Err(Error::new(
                    Kind::Io,
                    format!(
                        "Postgres is not ready after {READY_WITHIN:?}; its log says:\n{}",
                        self.log_tail(15)
                    ),
                ));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Stops the server; clients are cut off, nothing is lost.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            end(&mut child, Signal::SIGINT);
        }
    }

    /// Ends every process of the server at once, as a loss of power would.
    pub fn kill(&mut self) {
        let Some(mut child) = self.process.take() else { return };
        let server = Pid::from_raw(child.id().cast_signed());
        // Stopped, it makes no backend that nobody knows of: that would hold its port.
        let _ = kill(server, Signal::SIGSTOP);
        let begun = Instant::now();
        while !is_in_state(server, &['T', 'Z']) && begun.elapsed() < STOPPED_WITHIN {
            thread::sleep(LOOK_AGAIN);
        }
        let backends = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let backends = backends.unwrap_or_default();
        let backends: Vec<_> =
            backends.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect();
        for backend in &backends {
            let _ = kill(*backend, Signal::SIGKILL);
        }
        let _ = child.kill();
        let _ = child.wait();
        while backends.iter().any(|backend| !is_in_state(*backend, &['Z', 'X'])) {
            if begun.elapsed() > STOPPED_WITHIN {
                return;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The exit status, if the server has ended by itself; the same until the next start.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    /// The server's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// The port of the last start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The major version of its programs.
    pub fn major(&self) -> u32 {
        self.binaries.major
    }

    /// The folder of its programs.
    pub fn programs(&self) -> &Path {
        &self.binaries.bin
    }

    /// A connection string of the superuser for one database.
    pub fn admin_url(&self, database: &str) -> String {
        self.url(SUPERUSER, &self.password, database)
    }

    /// A connection string for one role and database.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    fn check_version(&self) -> Result<()> {
        let path = self.data.join("PG_VERSION");
        let text = fs::read_to_string(&path).map_err(|error| io("cannot read", &path, error))?;
        if text.trim() == self.binaries.major.to_string() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Io,
            format!(
                "{} was made by Postgres {}, and the programs in {} are Postgres {}; \
                 remove the folder or set {} to that version's programs",
                self.data.display(),
                text.trim(),
                self.binaries.bin.display(),
                self.binaries.major,
                super::binaries::BIN_VARIABLE,
            ),
        ))
    }

    /// Ends a server of ours that outlived its parent. The pid counts as ours only if that
    /// process was started with this very data folder.
    fn end_leftover(&self) -> Result<()> {
        let Some(file) = self.pid_file() else { return Ok(()) };
        let ours = || {
            let line = fs::read(format!("/proc/{}/cmdline", file.pid)).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == self.data.as_os_str().as_encoded_bytes())
        };
        let begun = Instant::now();
        while ours() {
            if begun.elapsed() > STOPPED_WITHIN {
                return Err(Error::new(
                    Kind::Io,
                    format!("a Postgres of an earlier run (pid {}) does not end", file.pid),
                ));
            }
            let _ = kill(Pid::from_raw(file.pid), Signal::SIGINT);
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn pid_file(&self) -> Option<PidFile> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // The eighth line is the state that pg_ctl waits for too.
        Some(PidFile { pid, ready: lines.nth(6).is_some_and(|state| state.trim() == "ready") })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            end(&mut child, Signal::SIGQUIT);
        }
    }
}

struct PidFile {
    pid: i32,
    ready: bool,
}

/// Signals a child, waits for its end, and kills it if that takes too long.
fn end(child: &mut Child, signal: Signal) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
    let begun = Instant::now();
    while begun.elapsed() < STOPPED_WITHIN {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(LOOK_AGAIN);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Whether a process is in one of these states of proc(5), or gone.
fn is_in_state(process: Pid, states: &[char]) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return true };
    // Behind the program's name, which stands in brackets and may hold any.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(states))
}

/// `wanted` if it is free on 127.0.0.1, else another free port.
pub fn free_port(wanted: u16) -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::with(Kind::Io, "no port is free on 127.0.0.1", error))
}

/// The last lines of a log file.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Makes a folder and those above it; the new ones can be entered by everyone, since Postgres may
/// run as another user.
pub fn open_folder(folder: &Path) -> Result<()> {
    let new: Vec<_> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for folder in new.into_iter().rev() {
        match fs::create_dir(folder) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| io("cannot make", folder, error))?,
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(|error| io("cannot open", folder, error))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("cannot remove", folder, error)),
        _ => Ok(()),
    }
}

fn io(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::with(Kind::Io, format!("{what} {}", path.display()), error)
}
