//! What Auth0 works out of the metadata and the certificate of a SAML connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::certificate;

const METADATA: &str = "metadataXml";
const METADATA_URL: &str = "metadataUrl";
const DERIVED: [&str; 8] = [
    "signInEndpoint",
    "signOutEndpoint",
    "bindingMethod",
    "signingCert",
    "cert",
    "subject",
    "expires",
    "thumbprints",
];

/// Completes the options of a SAML or PingFederate connection.
pub(super) fn complete(strategy: &str, options: &mut Map<String, Value>) {
    if strategy != "samlp" && strategy != "pingfederate" {
        return;
    }
    // The document itself is not kept.
    if let Some(Value::String(document)) = options.shift_remove(METADATA) {
        for (name, value) in of_metadata(&document) {
            options.insert(name.to_owned(), value.into());
        }
    }
    if let Some(base) = options.get("pingFederateBaseUrl").cloned() {
        options.entry("signInEndpoint").or_insert(base);
    }
    let signing = options.get("signingCert").and_then(Value::as_str).map(str::to_owned);
    let Some(certificate) = signing.and_then(|text| certificate::read(&text)) else { return };
    let body = STANDARD.encode(&certificate.bytes);
    let lines: Vec<String> =
        body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", lines.join("\n"));
    options.insert("thumbprints".into(), json!([certificate.thumbprint()]));
    options.insert("subject".into(), Value::Object(certificate.subject));
    options.insert("expires".into(), certificate.expires.into());
    options.insert("cert".into(), pem.into());
    // PingFederate's is known as `cert` from now on.
    if strategy == "pingfederate" {
        options.shift_remove("signingCert");
    }
}

/// Keeps what earlier metadata said where the options name an address to fetch it from: the
/// emulator fetches nothing.
pub(super) fn keep(old: &Map<String, Value>, options: &mut Map<String, Value>) {
    if options.contains_key(METADATA_URL) {
        for name in DERIVED {
            if let Some(value) = old.get(name) {
                options.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
}

/// Endpoints, binding and certificate in a metadata document.
fn of_metadata(document: &str) -> Vec<(&'static str, String)> {
    let find = |pattern: &str| -> Option<String> {
        let pattern = Regex::new(pattern).ok()?;
        Some(pattern.captures(document)?.get(1)?.as_str().trim().to_owned())
    };
    let attribute =
        |element: &str, name: &str| find(&format!(r#"<[\w:]*{element}\b[^>]*\b{name}="([^"]*)""#));
    let certificate = find(r"<[\w:]*X509Certificate[^>]*>([^<]*)<").map(|body| {
        STANDARD.encode(format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"))
    });
    let found = [
        ("signInEndpoint", attribute("SingleSignOnService", "Location")),
        ("bindingMethod", attribute("SingleSignOnService", "Binding")),
        ("signOutEndpoint", attribute("SingleLogoutService", "Location")),
        ("signingCert", certificate),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
