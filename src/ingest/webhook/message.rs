//! Whether a message is Auth0's, new and in time, pure. A message of an Action carries its time
//! (milliseconds), an id, and HMAC-SHA256 over `time.id.body`; one of an event stream that posts by itself
//! carries a token.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::keys::Key;

/// A message may be so much older or younger than our clock says.
pub(super) const WINDOW: Duration = Duration::from_secs(300);

const ID_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// Why a message does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody proved that it is Auth0's.
    Unproven,
    /// Its time is not near ours.
    Untimely,
}

/// A message of an Action as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) time: &'a str,
    pub(super) id: &'a str,
    pub(super) signature: &'a str,
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// Judges it at `now`, in milliseconds of UNIX time.
    pub(super) fn judge(&self, keys: &[Key], now: i64) -> Result<(), Refused> {
        let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !ID_LENGTH.contains(&self.id.len()) || !plain(self.id) {
            return Err(Refused::Unproven);
        }
        let signature = STANDARD.decode(self.signature).map_err(|_| Refused::Unproven)?;
        // Every key is tried, so that the time taken does not tell which one it was.
        let proven = keys.iter().fold(false, |proven, key| self.is_by(key, &signature) | proven);
        if !proven {
            return Err(Refused::Unproven);
        }
        let time: i64 = self.time.parse().map_err(|_| Refused::Untimely)?;
        let apart = now.checked_sub(time).map(i64::unsigned_abs).ok_or(Refused::Untimely)?;
        if u128::from(apart) > WINDOW.as_millis() { Err(Refused::Untimely) } else { Ok(()) }
    }

    fn is_by(&self, key: &Key, signature: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) else { return false };
        for part in [self.time.as_bytes(), b".", self.id.as_bytes(), b".", self.body] {
            mac.update(part);
        }
        mac.verify_slice(signature).is_ok()
    }
}

/// Whether an `Authorization` header is that of our event stream.
pub(super) fn is_ours(authorization: &str, keys: &[Key]) -> bool {
    let token = authorization.strip_prefix("Bearer ").unwrap_or_default().as_bytes();
    let is = |key: &Key| bool::from(key.token().as_bytes().ct_eq(token));
    keys.iter().fold(false, |ours, key| is(key) | ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const ID: &str = "0b0e7a4c-3b1d-4f5e-9a3c-2d1e0f9a8b7c";

    fn sign(key: &Key, time: &str, id: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).unwrap();
        mac.update(format!("{time}.{id}.").as_bytes());
        mac.update(body);
        STANDARD.encode(mac.finalize().into_bytes())
    }

    fn judge(time: &str, id: &str, signature: &str, body: &[u8], keys: &[Key]) -> Result<(), Refused> {
        Signed { time, id, signature, body }.judge(keys, NOW)
    }

    #[test]
    fn a_message_counts_while_it_is_fresh_and_unchanged() {
        let (old, new) = (Key::random(), Key::random());
        let keys = [new.clone(), old.clone()];
        let time = NOW.to_string();
        for key in &keys {
            assert_eq!(judge(&time, ID, &sign(key, &time, ID, b"{}"), b"{}", &keys), Ok(()));
        }
        let signature = sign(&new, &time, ID, b"{}");
        let unproven = Err(Refused::Unproven);
        assert_eq!(judge(&time, ID, &signature, b"{ }", &keys), unproven, "another body");
        assert_eq!(judge(&(NOW + 1).to_string(), ID, &signature, b"{}", &keys), unproven, "another time");
        assert_eq!(judge(&time, &ID.replace('7', "8"), &signature, b"{}", &keys), unproven, "another id");
        assert_eq!(judge(&time, ID, &signature, b"{}", &keys[1..]), unproven, "a key that is no more");
        assert_eq!(judge(&time, ID, "", b"{}", &keys), unproven);
        assert_eq!(judge(&time, ID, &STANDARD.encode([0; 32]), b"{}", &[]), unproven, "no key at all");
        let short = sign(&new, &time, "id", b"{}");
        assert_eq!(judge(&time, "id", &short, b"{}", &keys), unproven, "an id that cannot be unique");
    }

    #[test]
    fn a_message_outside_the_window_is_refused_even_if_it_is_proven() {
        let key = Key::random();
        let at = |time: i64| {
            let time = time.to_string();
            judge(&time, ID, &sign(&key, &time, ID, b"x"), b"x", std::slice::from_ref(&key))
        };
        let window = i64::try_from(WINDOW.as_millis()).unwrap();
        assert_eq!(at(NOW - window), Ok(()));
        assert_eq!(at(NOW + window), Ok(()));
        for time in [NOW - window - 1, NOW + window + 1, i64::MIN, i64::MAX, 0] {
            assert_eq!(at(time), Err(Refused::Untimely), "{time}");
        }
        let signature = sign(&key, "soon", ID, b"x");
        assert_eq!(judge("soon", ID, &signature, b"x", std::slice::from_ref(&key)), Err(Refused::Untimely));
    }

    #[test]
    fn the_token_of_an_event_stream_is_that_of_a_key() {
        let (ours, other) = (Key::random(), Key::random());
        let keys = [ours.clone()];
        assert!(is_ours(&format!("Bearer {}", ours.token()), &keys));
        for wrong in [format!("Bearer {}", other.token()), ours.token(), "Bearer ".into(), String::new()] {
            assert!(!is_ours(&wrong, &keys), "{wrong}");
        }
    }
}
