//! What a trigger asks: authenticated, because anyone may write messages into the log, and with
//! write-only values sealed, because others may read it. Pure.

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::error::{Error, Kind, Result};

/// Hex digits of a code.
const CODE: usize = 64;
const NONCE: usize = 16;
/// HMAC pads its key with these.
const INNER: u8 = 0x36;
const OUTER: u8 = 0x5c;

/// The key of one schema: as long as a block of SHA-256, so that its padded halves can be stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key([u8; 64]);

/// Changes of one statement, to be made at Auth0 before it goes on.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    pub(super) schema: String,
    /// Its number; none comes twice.
    pub(super) statement: i64,
    /// The transaction's xid8.
    #[serde(deserialize_with = "number")]
    pub(super) txid: u64,
    /// When the statement gives up, by the clock of Postgres, in seconds since 1970.
    pub(super) until: f64,
    /// How long it waits in all, in seconds.
    pub(super) patience: f64,
    /// In the order of the statement.
    pub(super) changes: Vec<Asked>,
}

/// One row's change.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) table: String,
    pub(super) operation: String,
    pub(super) key: Map<String, Value>,
    pub(super) before: Option<Map<String, Value>>,
    pub(super) after: Option<Map<String, Value>>,
    sealed: Option<String>,
    /// Write-only values by column, opened.
    #[serde(skip)]
    pub(super) write_only: Map<String, Value>,
}

impl Question {
    /// Reads a message: its code in hex, then JSON.
    ///
    /// # Errors
    /// `internal` for a message that was not made with this key, or that cannot be read.
    pub(super) fn read(key: &Key, content: &Bytes) -> Result<Question> {
        let strange = |what: &str| Error::new(Kind::Internal, format!("a strict question {what}"));
        let (code, text) = content.split_at_checked(CODE).ok_or_else(|| strange("is too short"))?;
        let code = unhex(code).ok_or_else(|| strange("has no code"))?;
        let mut mac = key.mac();
        mac.update(b"ask");
        mac.update(text);
        mac.verify_slice(&code).map_err(|_| strange("was made with another key"))?;
        let mut question: Question = serde_json::from_slice(text)
            .map_err(|error| Error::with(Kind::Internal, "a strict question cannot be read", error))?;
        for asked in &mut question.changes {
            if let Some(sealed) = asked.sealed.take() {
                let opened =
                    key.open(sealed.as_bytes()).and_then(|plain| serde_json::from_slice(&plain).ok());
                asked.write_only = opened.ok_or_else(|| strange("has values that cannot be opened"))?;
            }
        }
        Ok(question)
    }
}

impl Key {
    pub(super) fn random() -> Key {
        Key(rand::rng().random())
    }

    /// The key by the half that stands in the database.
    pub(super) fn of_inner(inner: &[u8]) -> Option<Key> {
        Some(Key(padded(&inner.try_into().ok()?, INNER)))
    }

    /// The two halves that the trigger computes codes with.
    pub(super) fn halves(&self) -> [[u8; 64]; 2] {
        [padded(&self.0, INNER), padded(&self.0, OUTER)]
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("a key")
    }

    /// Opens what `_strict_seal` has hidden.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let sealed = unhex(sealed)?;
        let (nonce, hidden) = sealed.split_at_checked(NONCE)?;
        let block = |(number, part): (usize, &[u8])| -> Option<Vec<u8>> {
            let mut mac = self.mac();
            mac.update(b"seal");
            mac.update(nonce);
            mac.update(&i32::try_from(number).ok()?.to_be_bytes());
            let pad = mac.finalize().into_bytes();
            Some(part.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect())
        };
        let blocks: Option<Vec<_>> = hidden.chunks(32).enumerate().map(block).collect();
        Some(blocks?.concat())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

fn padded(key: &[u8; 64], pad: u8) -> [u8; 64] {
    key.map(|byte| byte ^ pad)
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}

/// Postgres writes an xid8 as text: JSON's numbers do not hold all of them everywhere.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn message(key: &Key, text: &str) -> Bytes {
        let mut mac = key.mac();
        mac.update(b"ask");
        mac.update(text.as_bytes());
        (hex(&mac.finalize().into_bytes()) + text).into()
    }

    fn text(sealed: &str) -> String {
        format!(
            r#"{{"schema":"s","statement":7,"txid":"12345678901234567890","until":1.5,"patience":10,"changes":[
            {{"table":"t","operation":"INSERT","key":{{"id":"a"}},"before":null,"after":{{"n":1}},"sealed":{sealed}}}]}}"#
        )
    }

    #[test]
    fn only_a_message_under_the_key_counts() {
        let key = Key::random();
        let good = message(&key, &text("null"));
        let question = Question::read(&key, &good).unwrap();
        assert_eq!((question.statement, question.txid), (7, 12_345_678_901_234_567_890));
        assert!(question.changes[0].before.is_none() && question.changes[0].write_only.is_empty());
        assert!(Question::read(&Key::random(), &good).is_err());
        let mut other = good.to_vec();
        *other.last_mut().unwrap() = b' ';
        assert!(Question::read(&key, &other.into()).is_err());
        for short in [&good[..63], b"", &good[64..]] {
            assert!(Question::read(&key, &Bytes::copy_from_slice(short)).is_err());
        }
    }

    #[test]
    fn sealed_values_come_out_as_they_went_in_and_the_halves_give_the_key() {
        let key = Key::random();
        let secrets = serde_json::json!({"password": "x".repeat(70)}).to_string();
        let nonce = [7; NONCE];
        let mut sealed = nonce.to_vec();
        for (number, part) in secrets.as_bytes().chunks(32).enumerate() {
            let mut mac = key.mac();
            mac.update(b"seal");
            mac.update(&nonce);
            mac.update(&(number as i32).to_be_bytes());
            sealed.extend(part.iter().zip(mac.finalize().into_bytes()).map(|(byte, pad)| byte ^ pad));
        }
        let question = Question::read(&key, &message(&key, &text(&format!("\"{}\"", hex(&sealed))))).unwrap();
        assert_eq!(question.changes[0].write_only["password"], "x".repeat(70));
        assert!(Question::read(&key, &message(&key, &text("\"00\""))).is_err());
        assert_eq!(Key::of_inner(&key.halves()[0]), Some(key));
        assert_eq!(Key::of_inner(b"short"), None);
    }
}
