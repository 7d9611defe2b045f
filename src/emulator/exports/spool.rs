//! The files of exports on disk: in the tenant's data folder where it has one, else files that go
//! with the process, however it ends.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::emulator::ids;
use crate::error::{Error, Kind, Result};

const FOLDER: &str = "exports";

/// Where the files are.
#[derive(Debug)]
pub(super) enum Spool {
    Folder(PathBuf),
    /// Open files without a name, by tag.
    Open(Mutex<HashMap<String, Arc<File>>>),
}

/// A file in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: File,
    tag: String,
    path: Option<PathBuf>,
}

impl Spool {
    pub(super) fn new(data: Option<&Path>) -> Result<Spool> {
        let Some(data) = data else { return Ok(Spool::Open(Mutex::default())) };
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        Ok(Spool::Folder(folder))
    }

    /// A new file.
    pub(super) fn begin(&self) -> Result<Draft> {
        let tag = ids::hex(32);
        let path = match self {
            Spool::Folder(folder) => folder.join(format!("{tag}.part")),
            Spool::Open(_) => std::env::temp_dir().join(format!("auth0-emulator-{tag}")),
        };
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| failed(&path, error))?;
        if matches!(self, Spool::Open(_)) {
            fs::remove_file(&path).map_err(|error| failed(&path, error))?;
        }
        Ok(Draft { file, tag, path: matches!(self, Spool::Folder(_)).then_some(path) })
    }

    /// Keeps a file that is complete; the tag by which it is found.
    pub(super) fn keep(&self, mut draft: Draft) -> Result<String> {
        match (self, draft.path.take()) {
            (Spool::Folder(folder), Some(path)) => {
                let kept = draft.file.sync_all().and_then(|()| fs::rename(&path, folder.join(&draft.tag)));
                kept.map_err(|error| failed(&path, error))?;
            }
            _ => {
                let file = draft.file.try_clone().map_err(|error| failed(Path::new(&draft.tag), error))?;
                if let Some(mut open) = self.open_files() {
                    open.insert(draft.tag.clone(), Arc::new(file));
                }
            }
        }
        Ok(draft.tag.clone())
    }

    /// The file with a tag; none where it is gone.
    pub(super) fn open(&self, tag: &str) -> Option<Arc<File>> {
        match self {
            Spool::Folder(folder) => File::open(folder.join(tag)).ok().map(Arc::new),
            Spool::Open(_) => self.open_files()?.get(tag).cloned(),
        }
    }

    /// Removes every file whose tag is not among these, and what was left half made.
    pub(super) fn retain(&self, tags: &[String]) {
        match self {
            Spool::Folder(folder) => {
                for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                    let known = entry.file_name().to_str().is_some_and(|name| tags.iter().any(|t| t == name));
                    if !known {
                        // What cannot be removed now is tried again.
                        let _ = fs::remove_file(entry.path());
                    }
                }
            }
            Spool::Open(_) => {
                if let Some(mut open) = self.open_files() {
                    open.retain(|tag, _| tags.contains(tag));
                }
            }
        }
    }

    fn open_files(&self) -> Option<MutexGuard<'_, HashMap<String, Arc<File>>>> {
        match self {
            Spool::Folder(_) => None,
            Spool::Open(open) => Some(open.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::with(Kind::Io, format!("{}", path.display()), error)
}
