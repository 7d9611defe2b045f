//! Reads of a certificate what Auth0 shows of it: subject, end, and a digest. Nothing is verified.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A certificate.
pub(super) struct Certificate {
    /// Names of the subject, by Auth0's keys and in order.
    pub(super) subject: Map<String, Value>,
    /// The end of its validity.
    pub(super) expires: String,
    /// DER.
    pub(super) bytes: Vec<u8>,
}

/// Object identifiers of names below 2.5.4, with their long and short names.
const NAMES: [(u8, &str, &str); 6] = [
    (6, "countryName", "C"),
    (8, "stateOrProvinceName", "ST"),
    (7, "localityName", "L"),
    (10, "organizationName", "O"),
    (11, "organizationalUnitName", "OU"),
    (3, "commonName", "CN"),
];

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const GENERALIZED_TIME: u8 = 0x18;

/// The bytes of the first PEM block, or of a PEM text in base64.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let compact = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    match text.split_once("-----BEGIN ") {
        Some((_, rest)) => {
            let (_, rest) = rest.split_once("-----")?;
            STANDARD.decode(compact(rest.split_once("-----END")?.0)).ok()
        }
        None => {
            let inner = STANDARD.decode(compact(text)).ok()?;
            match std::str::from_utf8(&inner).ok().filter(|text| text.contains("-----BEGIN")) {
                Some(pem) => bytes(pem),
                None => Some(inner),
            }
        }
    }
}

/// SHA-256 as base64url.
pub(super) fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Reads a certificate from PEM.
pub(super) fn read(text: &str) -> Option<Certificate> {
    let bytes = bytes(text)?;
    let (_, certificate, _) = element(&bytes)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm and issuer come before validity and subject.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, rest) = element(rest)?;
    let (kind, end, _) = element(element(validity)?.2)?;
    let (_, names, _) = element(rest)?;
    let (subject, expires) = (names_of(names), time(kind, end)?);
    Some(Certificate { subject, expires, bytes })
}

impl Certificate {
    /// The subject, one `C=JP` a line.
    pub(super) fn lines(&self) -> String {
        let short = |long: &str| NAMES.iter().find(|name| name.1 == long).map_or("", |name| name.2);
        let lines = self
            .subject
            .iter()
            .map(|(name, value)| format!("{}={}", short(name), value.as_str().unwrap_or("")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Forty hexadecimal digits. Auth0 gives SHA-1; these are of SHA-256, in the same shape.
    pub(super) fn thumbprint(&self) -> String {
        Sha256::digest(&self.bytes).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Tag, contents and what follows of the first DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if *first & 0x80 != 0 {
        let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        length = digits
            .iter()
            .try_fold(0usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        rest = after;
    }
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

fn names_of(mut names: &[u8]) -> Map<String, Value> {
    let mut subject = Map::new();
    while let Some((_, set, rest)) = element(names) {
        names = rest;
        let Some((SEQUENCE, pair, _)) = element(set) else { continue };
        let Some((_, [0x55, 0x04, kind], value)) = element(pair) else { continue };
        let known = NAMES.iter().find(|name| name.0 == *kind);
        let text = element(value).map(|(_, text, _)| String::from_utf8_lossy(text).into_owned());
        if let (Some((_, long, _)), Some(text)) = (known, text) {
            subject.insert((*long).to_owned(), text.into());
        }
    }
    subject
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` as the API writes times.
fn time(kind: u8, text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let text = if kind == GENERALIZED_TIME {
        text.to_owned()
    } else {
        // RFC 5280: two digits of the year, 1950 to 2049.
        let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
        format!("{century}{text}")
    };
    let part = |range: std::ops::Range<usize>| text.get(range);
    Some(format!(
        "{}-{}-{}T{}:{}:{}.000Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBtzCCAV6gAwIBAgIBATAKBggqhkjOPQQDAjA7MQswCQYDVQQGEwJKUDEPMA0G\n\
        A1UECgwGQ2xpZW50MRswGQYDVQQDDBJjbGllbnQuZXhhbXBsZS5vcmcwHhcNMjYx\n\
        MTIzMDM1ODM0WhcNMzYxMTIwMDM1ODM0WjA7MQswCQYDVQQGEwJKUDEPMA0GA1UE\n\
        CgwGQ2xpZW50MRswGQYDVQQDDBJjbGllbnQuZXhhbXBsZS5vcmcwWTATBgcqhkjO\n\
        PQIBBggqhkjOPQMBBwNCAAQ50hltBKyJqkK1gbXSXlxlxSySPO+0s6uT4ToL/sYL\n\
        6JjVhMVkTP5nS6/6x8kVo1cJlvRIjKSKBQMN0cWGvDGZo1MwUTAdBgNVHQ4EFgQU\n\
        3K5Rvp86KLWGEKwKsR6J8hk5lV4wHwYDVR0jBBgwFoAU3K5Rvp86KLWGEKwKsR6J\n\
        8hk5lV4wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBDI5ZBgmfc\n\
        l1/v0yJOT7Q9r1JtfEcKDuO3aIXKQ3ml4gIgM8VJSdA8HbK3Se+YyVRL0cd/36lB\n\
        I4tau/ckm2LtdUo=\n\
        -----END CERTIFICATE-----";

    #[test]
    fn subject_end_and_digest_are_read() {
        let certificate = read(PEM).unwrap();
        assert_eq!(certificate.lines(), "C=JP\nO=Client\nCN=client.example.org");
        assert_eq!(certificate.expires, "2036-11-20T03:58:34.000Z");
        assert_eq!(certificate.thumbprint().len(), 40);
        assert_eq!(read(&STANDARD.encode(PEM)).unwrap().bytes, certificate.bytes);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert!(read("no").is_none() && read("-----BEGIN X-----\nMAA=\n-----END X-----").is_none());
    }
}
