//! Guardian: certificates and texts that are looked into.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Quirks;
use crate::emulator::problem::Problem;
use crate::emulator::rules::Fields;
use crate::emulator::store::{Row, Store};
use crate::emulator::world::World;

/// The table of Apple's push service.
pub(in crate::emulator) const APPLE: &str = "guardian_factor_push_notification_provider_apns";
/// Tables of message texts.
pub(in crate::emulator) const TEXTS: [&str; 2] =
    ["guardian_factor_phone_template", "guardian_factor_sms_template"];

/// The first byte of a PKCS #12 file: a sequence.
const SEQUENCE: u8 = 0x30;

/// Apple's push service: the certificate must be one.
pub(super) struct Apple;

impl Quirks for Apple {
    fn judge(&self, _: &World, _: &Store, _: &Row, patch: &Fields) -> Result<(), Problem> {
        let Some(file) = patch.get("p12").and_then(Value::as_str) else { return Ok(()) };
        let start = file.get(..4).unwrap_or_default();
        let bytes = STANDARD.decode(start).unwrap_or_default();
        if bytes.first() == Some(&SEQUENCE) {
            return Ok(());
        }
        let what = "The PKCS #12 file is invalid. Please ensure the client certificate is not expired, the \
                    environment matches, and the key and certificate are not encrypted with a deprecated \
                    algorithm.";
        Err(Problem::plain(400, what))
    }
}

/// Texts of messages: braces must match.
pub(super) struct Texts;

impl Quirks for Texts {
    fn judge(&self, _: &World, _: &Store, _: &Row, patch: &Fields) -> Result<(), Problem> {
        let broken = patch.iter().find(|(_, text)| {
            let text = text.as_str().unwrap_or_default();
            text.matches("{{").count() != text.matches("}}").count()
        });
        match broken {
            Some((name, _)) => {
                Err(Problem::plain(400, format!("Invalid {name} template: braces do not match")))
            }
            None => Ok(()),
        }
    }
}
