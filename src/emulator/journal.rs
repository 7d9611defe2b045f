//! The journal: one line a request, appended before the request is answered, so that a killed
//! emulator loses nothing that it acknowledged. A line that was cut off is not an answered request.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::store::Step;
use crate::error::{Error, Kind, Result};

const FILE: &str = "journal.jsonl";
const NEW: &str = "journal.new";
/// The file is read and written in blocks of so many bytes.
const BLOCK: usize = 1 << 18;

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Takes every step that was acknowledged, in order; none where there is no journal yet.
    ///
    /// # Errors
    /// `io`, naming the file.
    pub(super) fn read(folder: &Path, mut take: impl FnMut(Step)) -> Result<()> {
        let path = folder.join(FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(&path, error)),
        };
        let mut cut = false;
        for (number, line) in BufReader::with_capacity(BLOCK, file).split(b'\n').enumerate() {
            let line = line.map_err(|error| failed(&path, error))?;
            if cut {
                return Err(Error::new(Kind::Io, format!("{}: line {number} is no request", path.display())));
            }
            // Only the last line may have been cut off by a kill.
            match serde_json::from_slice::<Vec<Step>>(&line) {
                Ok(request) => request.into_iter().for_each(&mut take),
                Err(_) => cut = true,
            }
        }
        Ok(())
    }

    /// Replaces the journal by a shorter one that comes to the same, and opens it.
    ///
    /// # Errors
    /// `io`, naming the file.
    pub(super) fn rewrite(folder: &Path, steps: impl Iterator<Item = Step>) -> Result<Journal> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let (path, new) = (folder.join(FILE), folder.join(NEW));
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::with_capacity(BLOCK, File::create(&new)?);
            for step in steps {
                serde_json::to_writer(&mut out, &[step])?;
                out.write_all(b"\n")?;
            }
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| failed(&new, error))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|error| failed(&path, error))?;
        Ok(Journal { file })
    }

    /// Appends the steps of one request as one line.
    ///
    /// # Errors
    /// `io`.
    pub(super) fn append(&mut self, steps: &[Step]) -> Result<()> {
        let line = serde_json::to_vec(steps)
            .map_err(|error| Error::with(Kind::Internal, "a step of the journal is not JSON", error))?;
        // One write, so that a kill leaves a whole line or a cut one, never two halves.
        self.file
            .write_all(&[line, b"\n".to_vec()].concat())
            .map_err(|error| Error::with(Kind::Io, "cannot write the emulator's journal", error))
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::with(Kind::Io, format!("{}", path.display()), error)
}
