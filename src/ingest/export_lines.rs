//! From the bytes of an export to batches of rows: unpacked, cut into lines, encoded. It does no I/O and
//! runs beside the tasks, for it is what an export's time goes into.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use flate2::write::MultiGzDecoder;
use memchr::memchr;

use crate::catalog::{Resource, RowKey};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{COPY_HEADER, Layout};

/// A batch ends when it has so many rows or bytes of text.
const BATCH_ROWS: usize = 5_000;
const BATCH_BYTES: usize = 4 << 20;
/// What every gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Rows that are stored together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The header of COPY BINARY and the tuples of the rows.
    pub(super) tuples: BytesMut,
    /// The lines of the rows.
    pub(super) text: String,
    /// The rows in order.
    pub(super) rows: Vec<Line>,
    /// The byte of the unpacked file at which the batch ends.
    pub(super) end: u64,
    /// Whether the file is not packed.
    pub(super) plain: bool,
}

/// A row of a batch: its key, and where its tuple and its line end.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: RowKey,
    pub(super) tuple: usize,
    pub(super) text: usize,
}

impl Batch {
    fn new(end: u64) -> Batch {
        let mut tuples = BytesMut::with_capacity(BATCH_BYTES + (64 << 10));
        tuples.put_slice(COPY_HEADER);
        Batch {
            tuples,
            text: String::with_capacity(BATCH_BYTES + (64 << 10)),
            rows: Vec::new(),
            end,
            plain: false,
        }
    }

    /// Rows with their tuples and lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RowKey, std::ops::Range<usize>, &str)> {
        let starts =
            std::iter::once((COPY_HEADER.len(), 0)).chain(self.rows.iter().map(|row| (row.tuple, row.text)));
        let line = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        starts
            .zip(&self.rows)
            .map(move |(start, row)| (&row.key, start.0..row.tuple, line(start.1, row.text)))
    }
}

/// How a file is packed.
enum Form {
    /// Too little has come to tell.
    Unknown,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// Cuts one file into batches.
pub(super) struct Lines<'c> {
    resource: &'c Resource,
    layout: &'c Layout,
    form: Form,
    /// What is unpacked, or cannot be yet, and not cut.
    bytes: Vec<u8>,
    /// The last byte of what has come, unpacked.
    last: u8,
    /// So many bytes of the unpacked file are stored already and are still to come.
    skip: u64,
    plain: bool,
    batch: Batch,
}

impl<'c> Lines<'c> {
    /// A file of which `done` unpacked bytes are stored and `skip` of them come again.
    pub(super) fn new(resource: &'c Resource, layout: &'c Layout, done: u64, skip: u64) -> Lines<'c> {
        // Where it goes on at a position it is not packed, whatever the bytes there are.
        let form = if done > skip { Form::Plain } else { Form::Unknown };
        Lines {
            resource,
            layout,
            form,
            bytes: Vec::new(),
            last: b'\n',
            skip,
            plain: true,
            batch: Batch::new(done),
        }
    }

    /// Takes bytes of the file; the batches that are full.
    ///
    /// # Errors
    /// `auth0_answer` where it cannot be unpacked or a line is no row.
    pub(super) fn feed(&mut self, chunk: &[u8], full: &mut Vec<Batch>) -> Result<()> {
        match &mut self.form {
            Form::Plain => self.bytes.extend_from_slice(chunk),
            Form::Gzip(gzip) => gzip.write_all(chunk).map_err(unpacking)?,
            Form::Unknown => {
                self.bytes.extend_from_slice(chunk);
                let Some(first) = self.bytes.first_chunk() else { return Ok(()) };
                if *first == GZIP {
                    let mut gzip = MultiGzDecoder::new(Vec::new());
                    gzip.write_all(&std::mem::take(&mut self.bytes)).map_err(unpacking)?;
                    self.form = Form::Gzip(Box::new(gzip));
                } else {
                    self.form = Form::Plain;
                }
            }
        }
        self.cut(full)
    }

    /// The file is whole: the last batch.
    ///
    /// # Errors
    /// As [`Lines::feed`]; `auth0_no_answer` where its end is missing all the same.
    pub(super) fn end(mut self, full: &mut Vec<Batch>) -> Result<()> {
        let missing = || Error::new(Kind::Auth0NoAnswer, "the end of an export is missing");
        if let Form::Gzip(gzip) = &mut self.form {
            gzip.try_finish().map_err(|_| missing())?;
            self.cut(full)?;
        }
        // A last line need not end as the others do.
        if self.last != b'\n' || !self.bytes.is_empty() {
            self.bytes.push(b'\n');
        }
        self.form = Form::Plain;
        match self.cut(full) {
            Ok(()) if self.skip == 0 => {}
            // What is cut off in the middle of a line is no row, and nothing else can be told of it.
            _ => return Err(missing()),
        }
        full.push(self.batch);
        Ok(())
    }

    /// The connection broke: the lines that are whole.
    pub(super) fn cut_short(self, full: &mut Vec<Batch>) {
        if !self.batch.rows.is_empty() {
            full.push(self.batch);
        }
    }

    /// Turns whole lines into rows.
    fn cut(&mut self, full: &mut Vec<Batch>) -> Result<()> {
        if let Form::Gzip(gzip) = &mut self.form {
            self.bytes.append(gzip.get_mut());
            self.plain = false;
        }
        self.last = self.bytes.last().copied().unwrap_or(self.last);
        let bytes = std::mem::take(&mut self.bytes);
        let mut at = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= at as u64;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let line = String::from_utf8_lossy(&bytes[at..at + length]);
            self.row(line.trim_ascii_end())?;
            at += length + 1;
            self.batch.end += length as u64 + 1;
            if self.batch.rows.len() >= BATCH_ROWS || self.batch.text.len() >= BATCH_BYTES {
                let next = Batch::new(self.batch.end);
                full.push(std::mem::replace(&mut self.batch, next));
            }
        }
        self.bytes = bytes;
        self.bytes.drain(..at);
        Ok(())
    }

    fn row(&mut self, line: &str) -> Result<()> {
        self.batch.plain = self.plain;
        if line.is_empty() {
            return Ok(());
        }
        let key = self.layout.line(self.resource, line, &mut self.batch.tuples)?;
        self.batch.text.push_str(line);
        let (tuple, text) = (self.batch.tuples.len(), self.batch.text.len());
        self.batch.rows.push(Line { key, tuple, text });
        Ok(())
    }
}

fn unpacking(error: std::io::Error) -> Error {
    Error::with(Kind::Auth0Answer, "an export cannot be unpacked", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use proptest::prelude::*;

    fn file(rows: usize, last_newline: bool) -> Vec<u8> {
        let line = |n: usize| format!("{{\"user_id\":\"auth0|{n}\",\"name\":\"é{n}\"}}");
        let mut text = (0..rows).map(line).collect::<Vec<_>>().join("\n");
        if last_newline && rows > 0 {
            text.push('\n');
        }
        text.into_bytes()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn keys(batches: &[Batch]) -> Vec<String> {
        batches.iter().flat_map(|batch| &batch.rows).map(|row| row.key.0[0].clone()).collect()
    }

    proptest! {
        #[test]
        fn every_row_comes_once_however_the_bytes_come(
            rows in 0..40_usize, last_newline: bool, gzip: bool, size in 1..200_usize, broken_at in 0.0..1.0_f64, ranges: bool,
        ) {
            let catalog = Catalog::bundled().unwrap();
            let user = catalog.resource("user").unwrap();
            let layout = Layout::of(user);
            let plain = file(rows, last_newline);
            let sent = if gzip { packed(&plain) } else { plain.clone() };
            let break_at = (sent.len() as f64 * broken_at) as usize;
            let (mut first, mut rest) = (Vec::new(), Vec::new());
            let mut lines = Lines::new(user, &layout, 0, 0);
            for chunk in sent[..break_at].chunks(size) {
                lines.feed(chunk, &mut first).unwrap();
            }
            lines.cut_short(&mut first);
            let done = first.last().map_or(0, |batch| batch.end);
            // On from the position, or all of it again.
            let from = if ranges && !gzip { done } else { 0 };
            let mut lines = Lines::new(user, &layout, done, done - from);
            for chunk in sent[from as usize..].chunks(size) {
                lines.feed(chunk, &mut rest).unwrap();
            }
            lines.end(&mut rest).unwrap();
            first.extend(rest);
            let wanted: Vec<_> = (0..rows).map(|n| format!("auth0|{n}")).collect();
            prop_assert_eq!(keys(&first), wanted);
            for batch in &first {
                for (key, tuple, line) in batch.iter() {
                    prop_assert!(line.contains(&key.0[0]) && !tuple.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_file_that_ends_too_early_is_noticed() {
        let catalog = Catalog::bundled().unwrap();
        let user = catalog.resource("user").unwrap();
        let layout = Layout::of(user);
        let plain = file(3, true);
        for sent in [packed(&plain)[..30].to_vec(), plain[..plain.len() - 5].to_vec()] {
            let (mut lines, mut full) = (Lines::new(user, &layout, 0, 0), Vec::new());
            lines.feed(&sent, &mut full).unwrap();
            assert_eq!(lines.end(&mut full).unwrap_err().kind(), Kind::Auth0NoAnswer);
        }
    }
}
