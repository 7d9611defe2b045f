//! The frames of a replication connection: WAL data and keepalives. No I/O.

use bytes::Bytes;
use pg_walstream::protocol::parse_keepalive_message;

use super::lsn::Lsn;
use crate::error::{Error, Kind, Result};

/// Tag, start, end, time.
const WAL_DATA_HEAD: usize = 1 + 8 + 8 + 8;

/// One frame from the server.
#[derive(Debug)]
pub(super) enum Frame {
    /// A message of the output plugin.
    Data {
        /// How far the server had sent then.
        end: Lsn,
        /// The message.
        message: Bytes,
    },
    /// Where the server stands.
    Keepalive {
        /// Everything before this has been sent.
        end: Lsn,
        /// The server waits for a status.
        reply: bool,
    },
}

impl Frame {
    pub(super) fn read(bytes: Bytes) -> Result<Self> {
        let broken = |what: String| Error::new(Kind::Replication, what);
        match bytes.first() {
            Some(b'w') if bytes.len() >= WAL_DATA_HEAD => {
                let mut end = [0; 8];
                end.copy_from_slice(&bytes[9..17]);
                let end = Lsn(u64::from_be_bytes(end));
                Ok(Frame::Data { end, message: bytes.slice(WAL_DATA_HEAD..) })
            }
            Some(b'k') => {
                let keepalive = parse_keepalive_message(&bytes)
                    .map_err(|error| Error::with(Kind::Replication, "a keepalive cannot be read", error))?;
                Ok(Frame::Keepalive { end: Lsn(keepalive.wal_end), reply: keepalive.reply_requested })
            }
            tag => Err(broken(format!("a replication frame with tag {tag:?} and {} bytes", bytes.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_broken_ones_refused() {
        let mut data = vec![b'w'];
        data.extend(5_u64.to_be_bytes());
        data.extend(7_u64.to_be_bytes());
        data.extend(0_u64.to_be_bytes());
        data.extend(b"body");
        let Frame::Data { end, message } = Frame::read(data.clone().into()).unwrap() else { panic!() };
        assert_eq!((end, &message[..]), (Lsn(7), &b"body"[..]));
        let mut keepalive = vec![b'k'];
        keepalive.extend(9_u64.to_be_bytes());
        keepalive.extend(0_u64.to_be_bytes());
        keepalive.push(1);
        let frame = Frame::read(keepalive.clone().into()).unwrap();
        assert!(matches!(frame, Frame::Keepalive { end: Lsn(9), reply: true }));
        data.truncate(20);
        keepalive.truncate(10);
        for broken in [data, keepalive, vec![], vec![b'x']] {
            assert!(Frame::read(broken.into()).is_err());
        }
    }
}
