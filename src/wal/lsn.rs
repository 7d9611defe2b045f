//! Positions in the WAL.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// A position in the write-ahead log, written `16/B374D848`. Zero is no position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let half = |part: &str| u64::from(u32::from_str_radix(part, 16).unwrap_or_default());
        let valid = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        match text.split_once('/') {
            Some((high, low)) if valid(high) && valid(low) => Ok(Lsn(half(high) << 32 | half(low))),
            _ => Err(Error::new(Kind::Internal, format!("{text:?} is no position in the WAL"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_written_and_read_as_postgres_does() {
        let lsn = Lsn(0x16_B374_D848);
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse::<Lsn>().unwrap(), lsn);
        assert_eq!("0/0".parse::<Lsn>().unwrap(), Lsn(0));
        for wrong in ["", "16", "16/", "/1", "G/1", "123456789/0", "+1/0"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong}");
        }
    }
}
