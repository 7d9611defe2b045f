//! New ids, secrets and times in the shapes that Auth0 gives them.

use chrono::{DateTime, SecondsFormat, Utc};
use rand::{Rng, RngExt};

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8] = b"0123456789abcdef";

/// Fills `{16}` in a shape with 16 letters or digits, `{24x}` with 24 hexadecimal digits, `{uuid}`.
pub(super) fn shaped(shape: &str) -> String {
    shaped_by(&mut rand::rng(), shape)
}

/// The same from a source of randomness that the caller has.
pub(super) fn shaped_by(rng: &mut impl Rng, shape: &str) -> String {
    let mut id = String::new();
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('{') {
        let (count, tail) = after.split_once('}').unwrap_or((after, ""));
        id.push_str(before);
        match count.strip_suffix('x') {
            _ if count == "uuid" => {
                let digits = random(rng, HEX, 32);
                let parts = [&digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..]];
                id.push_str(&format!("{}-{}-4{}-a{}-{}", parts[0], parts[1], parts[2], parts[3], parts[4]));
            }
            Some(count) => id.push_str(&random(rng, HEX, count.parse().unwrap_or(24))),
            None => id.push_str(&random(rng, LETTERS, count.parse().unwrap_or(16))),
        }
        rest = tail;
    }
    id + rest
}

/// So many letters and digits.
pub(super) fn word(length: usize) -> String {
    random(&mut rand::rng(), LETTERS, length)
}

/// So many hexadecimal digits.
pub(super) fn hex(length: usize) -> String {
    random(&mut rand::rng(), HEX, length)
}

fn random(rng: &mut impl Rng, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}

/// A time as the Management API writes it: milliseconds and `Z`.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
