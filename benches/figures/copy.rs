//! `psql \copy` between a table and a file, by the service's own role.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Seconds of `\copy auth0."user"` in a direction. It goes by the role that the service logs in as, so the table's
/// triggers take it for the service, as they do the service's own COPY.
pub(crate) fn copy(url: &str, direction: &str, file: &Path) -> f64 {
    let sql = format!("\\copy auth0.\"user\" {direction} '{}'", file.display());
    let begun = Instant::now();
    let status = Command::new(psql()).args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-c", &sql, url]).status();
    assert!(status.unwrap().success(), "{sql}");
    begun.elapsed().as_secs_f64()
}

/// `psql` of the path, else of the Postgres that the tests use.
fn psql() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&paths).collect();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".dev/postgres");
    let own = std::fs::read_dir(own).into_iter().flatten().flatten();
    folders.extend(own.map(|version| version.path().join("bin")));
    let mut found = folders.into_iter().map(|folder| folder.join("psql"));
    found.find(|program| program.is_file()).expect("psql is on the path or in .dev/postgres")
}
