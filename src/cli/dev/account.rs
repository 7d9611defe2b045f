//! Owns the answer to "as whom does Postgres run?": Postgres refuses root, so root hands it to
//! another user. Never changes the user of this process itself.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User};

use crate::{Error, Kind, Result};

/// The user that runs Postgres and owns its files.
#[derive(Clone, Debug)]
pub struct Account {
    /// Uid, gid and name where they differ from this process's own.
    other: Option<(u32, u32, String)>,
}

impl Account {
    /// This user, or for root the first of `postgres` and `nobody` that exists.
    pub fn for_postgres() -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Account { other: None });
        }
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Account { other: Some((user.uid.as_raw(), user.gid.as_raw(), user.name)) });
            }
        }
        Err(Error::new(
            Kind::Io,
            "Postgres refuses to run as root, and there is no user postgres or nobody to run it; \
             add one with `useradd --system postgres`",
        ))
    }

    /// The user's name, for messages.
    pub fn name(&self) -> &str {
        self.other.as_ref().map_or("this user", |(_, _, name)| name)
    }

    /// A command that runs as this user and is ended by `signal` (INT, TERM, …) when the thread
    /// that started it ends, where the system can do that.
    pub fn command(&self, program: &Path, signal: &str) -> Command {
        let mut command = bound(program, signal);
        if let Some((uid, gid, _)) = &self.other {
            command.uid(*uid).gid(*gid);
            command.current_dir("/").env_remove("HOME");
        }
        command
    }

    /// Makes a file or folder belong to this user.
    pub fn own(&self, path: &Path) -> Result<()> {
        let Some((uid, gid, _)) = &self.other else { return Ok(()) };
        chown(path, Some(*uid), Some(*gid))
            .map_err(|error| Error::with(Kind::Io, format!("cannot hand {} over", path.display()), error))
    }

    /// Whether this user can enter the folder: every folder above it counts, `/root` for example.
    pub fn can_enter(&self, folder: &Path) -> bool {
        self.other.is_none() || self.test("-x", folder)
    }

    /// Whether this user can run the program.
    pub fn can_run(&self, program: &Path) -> bool {
        fs::metadata(program).is_ok_and(|file| file.is_file()) && self.test("-x", program)
    }

    fn test(&self, flag: &str, path: &Path) -> bool {
        let mut command = Command::new("/usr/bin/test");
        if let Some((uid, gid, _)) = &self.other {
            command.uid(*uid).gid(*gid).current_dir("/");
        }
        command
            .arg(flag)
            .arg(path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// A command whose process gets `signal` when the thread that started it ends, even by kill -9.
/// Debian's setpriv sets that and then becomes the program, so the pid is the program's.
/// It is a process group of its own, so that Ctrl-C reaches this program alone, which then stops
/// its children in the right order.
pub fn bound(program: &Path, signal: &str) -> Command {
    const SETPRIV: &str = "/usr/bin/setpriv";
    let mut command = if Path::new(SETPRIV).exists() {
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", signal, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.process_group(0).stdin(Stdio::null());
    command
}
