//! Owns the folder of `dev`: where it is, who uses it, and what is remembered there (ports and
//! passwords). Never decides what runs.
//!
//! ```text
//! dev.json          ports and passwords, for this user alone
//! lock              held while a `dev` uses the folder; its pid stands inside
//! postgres/         Postgres' data
//! emulator/         the emulator's state
//! run/              the working folder of the children, and their pid files
//! logs/             one log each
//! ```

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};

use super::{account::Account, cluster::open_folder};
use crate::{Error, Kind, Result};

/// Where `dev` keeps everything when `--dir` does not say.
const DEFAULT: &str = ".dev/cluster";

/// The default when the user that runs Postgres cannot enter the checkout (below /root).
const SHARED: &str = "/var/lib/auth0-sync";

/// A cluster takes 50 MB, and its WAL grows to a multiple of that.
const SPACE_NEEDED: u64 = 300 << 20;

/// A folder of `dev` that this process alone uses.
pub(super) struct Folder {
    /// Its absolute path.
    pub(super) path: PathBuf,
    _lock: File,
}

/// What a second start takes up.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) postgres_port: u16,
    pub(super) emulator_port: u16,
    pub(super) superuser_password: String,
    pub(super) service_password: String,
    pub(super) app_password: String,
}

impl Folder {
    /// Opens `dir` or the default one, and keeps every other `dev` out of it.
    pub(super) fn open(dir: Option<&Path>, account: &Account) -> Result<Self> {
        let here =
            env::current_dir().map_err(|error| Error::with(Kind::Io, "the current folder is gone", error))?;
        let mut path = here.join(dir.unwrap_or(Path::new(DEFAULT)));
        if !account.can_enter(existing(&path)) {
            if dir.is_some() {
                return Err(Error::new(
                    Kind::Io,
                    format!(
                        "Postgres refuses root, and the user {} that runs it instead cannot enter {}; \
                         choose a folder with --dir",
                        account.name(),
                        existing(&path).display()
                    ),
                ));
            }
            let name = here.display().to_string().trim_matches('/').replace('/', "-");
            path = Path::new(SHARED).join(name);
        }
        for folder in [&path, &path.join("logs"), &path.join("run"), &path.join("emulator")] {
            open_folder(folder)?;
        }
        require_space(&path)?;
        Ok(Folder { _lock: lock(&path)?, path })
    }

    /// A path inside.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What the last start remembered; at the first one, new passwords.
    pub(super) fn memory(&self) -> Result<Memory> {
        let path = self.join("dev.json");
        if !path.exists() {
            let password = || Alphanumeric.sample_string(&mut rand::rng(), 20);
            return Ok(Memory {
                superuser_password: password(),
                service_password: password(),
                app_password: password(),
                ..Memory::default()
            });
        }
        let text = fs::read_to_string(&path).map_err(|error| io("cannot read", &path, error))?;
        serde_json::from_str(&text).map_err(|error| {
            Error::with(
                Kind::Io,
                format!("{} is damaged; remove {}", path.display(), self.path.display()),
                error,
            )
        })
    }

    /// Remembers for the next start.
    pub(super) fn remember(&self, memory: &Memory) -> Result<()> {
        let text = serde_json::to_string_pretty(memory)
            .map_err(|error| Error::with(Kind::Internal, "ports and passwords make no JSON", error))?;
        let path = self.join("dev.json");
        let new = self.join("dev.json.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| io("cannot write", &path, error))
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| io("cannot write", &path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(Error::new(
                Kind::Io,
                format!(
                    "another `auth0-sync dev` (pid {}) uses {}; stop it or choose another --dir",
                    pid.trim(),
                    folder.display()
                ),
            ));
        }
        Err(TryLockError::Error(error)) => return Err(io("cannot lock", &path, error)),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(process::id().to_string().as_bytes()))
        .map_err(|error| io("cannot write", &path, error))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
        .map_err(|error| io("cannot open", &path, error))?;
    Ok(file)
}

fn require_space(folder: &Path) -> Result<()> {
    let Ok(disk) = nix::sys::statvfs::statvfs(folder) else { return Ok(()) };
    let free = disk.blocks_available() * disk.fragment_size();
    if free >= SPACE_NEEDED {
        return Ok(());
    }
    Err(Error::new(
        Kind::Io,
        format!(
            "the disk of {} has {} MB left, and Postgres needs {} MB",
            folder.display(),
            free >> 20,
            SPACE_NEEDED >> 20
        ),
    ))
}

/// The lowest folder of the path that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"))
}

fn io(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::with(Kind::Io, format!("{what} {}", path.display()), error)
}
