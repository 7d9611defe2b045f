//! Finds Postgres programs on this machine. Never installs them: `scripts/postgres` does.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::account::Account;
use crate::{Error, Kind, Result};

/// The environment variable that names a `bin` folder and ends the search.
pub const BIN_VARIABLE: &str = "AUTH0_SYNC_PG_BIN";

/// Where `scripts/postgres` installs when the checkout cannot be entered by Postgres' user.
const CACHE: &str = "/var/cache/auth0-sync/postgres";

/// The programs of one Postgres version.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The folder with `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version: 18.
    pub major: u32,
}

impl Binaries {
    /// The newest version at hand: `AUTH0_SYNC_PG_BIN`, else the project's own, else Debian's.
    pub fn newest(project: &Path, account: &Account) -> Result<Self> {
        Self::all(project, account)?.pop().ok_or_else(|| missing("Postgres"))
    }

    /// The version with this major number.
    pub fn of_major(major: u32, project: &Path, account: &Account) -> Result<Self> {
        let mut all = Self::all(project, account)?;
        all.retain(|binaries| binaries.major == major);
        all.pop().ok_or_else(|| missing(&format!("Postgres {major}")))
    }

    /// Every version at hand, oldest first; of two with one number the preferred is last.
    pub fn all(project: &Path, account: &Account) -> Result<Vec<Self>> {
        if let Some(bin) = env::var_os(BIN_VARIABLE) {
            let bin = PathBuf::from(bin);
            return match Self::at(&bin, account) {
                Some(binaries) => Ok(vec![binaries]),
                None => Err(Error::new(
                    Kind::Io,
                    format!(
                        "{BIN_VARIABLE} is {}, where {} can run no initdb and postgres",
                        bin.display(),
                        account.name()
                    ),
                )),
            };
        }
        let mut found = Vec::new();
        let own = project.ancestors().map(|folder| folder.join(".dev/postgres"));
        let stores = own.chain([PathBuf::from(CACHE), PathBuf::from("/usr/lib/postgresql")]);
        for store in stores {
            let Ok(entries) = fs::read_dir(&store) else { continue };
            for entry in entries.flatten() {
                found.extend(Self::at(&entry.path().join("bin"), account));
            }
        }
        found.reverse();
        found.sort_by_key(|binaries| binaries.major);
        Ok(found)
    }

    fn at(bin: &Path, account: &Account) -> Option<Self> {
        let postgres = bin.join("postgres");
        if !account.can_run(&postgres) || !account.can_run(&bin.join("initdb")) {
            return None;
        }
        let mut command = account.command(&postgres, "TERM");
        let output = command.arg("--version").output().ok()?;
        // "postgres (PostgreSQL) 18.4"; a Debian build adds its own words after the number.
        let text = String::from_utf8(output.stdout).ok()?;
        let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        Some(Binaries { bin: bin.to_path_buf(), major: digits.parse().ok()? })
    }

    /// The path of one program, `initdb` for example.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn missing(what: &str) -> Error {
    Error::new(
        Kind::Io,
        format!("{what} is not on this machine; `scripts/postgres` installs it into the project"),
    )
}

/// Where `psql` is: on the search path, or one that the project installed.
pub fn psql(project: &Path) -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join("psql").is_file()) {
        return "psql".to_owned();
    }
    let stores = project.ancestors().map(|folder| folder.join(".dev/postgres")).chain([PathBuf::from(CACHE)]);
    for store in stores {
        for entry in fs::read_dir(store).into_iter().flatten().flatten() {
            let program = entry.path().join("bin/psql");
            if program.is_file() {
                return program.display().to_string();
            }
        }
    }
    "psql".to_owned()
}
