//! What the stream tells its owner.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::lsn::Lsn;

/// A transaction with more inserts than this is not held: it is told as [`Inserts::Bulk`].
pub const MAX_IDS: usize = 10_000;
/// Of a transaction with more inserts than this no rows are held, only ids.
pub const MAX_ROWS: usize = 100;
/// The same for the bytes of its rows.
pub const MAX_BYTES: usize = 64 << 10;

/// One thing that came through the slot, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction that put mutations into a published table.
    Commit {
        /// The transaction's id, without the epoch.
        xid: u32,
        /// Its end: once everything up to here is settled, give it to [`super::Applied`].
        lsn: Lsn,
        /// Which mutations.
        inserts: Inserts,
        /// What belongs to its rows and stands elsewhere, sealed.
        sealed: Option<Bytes>,
    },
    /// Everything before this position has been told, and no transaction is half told. Some are
    /// left out where a newer one follows.
    Heartbeat {
        /// The position.
        lsn: Lsn,
    },
    /// What a trigger asks before its transaction has ended; any client may write such a message.
    Question {
        /// Where it stands; everything before has been told.
        lsn: Lsn,
        /// What is asked.
        content: Bytes,
    },
}

/// The mutations of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserts {
    /// Each one, in the order of the statements.
    Each(Vec<CdcInsert>),
    /// Too many to hold: read them from the table, in pages. One entry a schema.
    Bulk(Vec<Bulk>),
}

/// One row of one `_sync_cdc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdcInsert {
    /// The tenant's schema.
    pub schema: Arc<str>,
    /// `_sync_cdc.id`.
    pub id: i64,
    /// The whole row, of a small transaction: [`MAX_ROWS`] and [`MAX_BYTES`].
    pub row: Option<Tuple>,
}

/// A row as the stream has it: the text of each value, nothing for NULL.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuple {
    names: Arc<[Arc<str>]>,
    values: Vec<Option<Bytes>>,
}

impl Tuple {
    pub(super) fn new(names: Arc<[Arc<str>]>, values: Vec<Option<Bytes>>) -> Self {
        Tuple { names, values }
    }

    /// Bytes that it holds.
    pub(super) fn size(&self) -> usize {
        self.values.iter().flatten().map(Bytes::len).sum()
    }

    /// The text of a column; none where it is NULL, or where there is no such column.
    pub fn text(&self, column: &str) -> Option<&str> {
        let place = self.names.iter().position(|name| &**name == column)?;
        std::str::from_utf8(self.values.get(place)?.as_ref()?).ok()
    }
}

/// Without values: they are not for logs.
impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuple").field("bytes", &self.size()).finish_non_exhaustive()
    }
}

/// Many rows of one `_sync_cdc`. Other transactions' rows may lie between the two ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The tenant's schema.
    pub schema: Arc<str>,
    /// The smallest id.
    pub first_id: i64,
    /// The largest id.
    pub last_id: i64,
    /// How many.
    pub count: u64,
}
