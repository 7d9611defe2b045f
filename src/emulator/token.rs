//! The token endpoint and the check of bearer tokens: who may do what. Tokens are signed, not
//! stored, so that they hold across a reset and a restart. It never looks at rows beyond clients'
//! ids and secrets.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::problem::{Answer, Problem};

/// What a token says.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    /// The client that asked for it.
    pub(super) client_id: String,
    /// What it may do.
    pub(super) scopes: Vec<String>,
    /// The token's own id.
    pub(super) id: String,
}

impl Claims {
    /// Whether one of the scopes was granted; where none is named, all may.
    pub(super) fn allow<S: AsRef<str>>(&self, any_of: &[S]) -> bool {
        any_of.is_empty()
            || any_of.iter().any(|wanted| self.scopes.iter().any(|scope| scope == wanted.as_ref()))
    }
}

/// A signed token.
pub(super) fn sign(key: &str, claims: &Claims, audience: &str, issued: i64, lifetime: u64) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let payload = json!({
        "sub": format!("{}@clients", claims.client_id),
        "azp": claims.client_id,
        "aud": audience,
        "iat": issued,
        "exp": issued.saturating_add_unsigned(lifetime),
        "scope": claims.scopes.join(" "),
        "gty": "client-credentials",
        "jti": claims.id,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&payload));
    let signature = URL_SAFE_NO_PAD.encode(hmac(key.as_bytes(), signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// What the `Authorization` header grants at `now` (UNIX seconds).
pub(super) fn check(key: &str, header: Option<&str>, now: i64) -> Result<Claims, Problem> {
    let token = header
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::plain(401, "Missing authentication"))?;
    let invalid = || Problem::plain(401, "Invalid token");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    let (_, payload) = signed.split_once('.').ok_or_else(invalid)?;
    if signature != hmac(key.as_bytes(), signed.as_bytes()) {
        return Err(Problem::plain(401, "Invalid signature received for JSON Web Token validation"));
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| invalid())?;
    let payload: Value = serde_json::from_slice(&payload).map_err(|_| invalid())?;
    if payload["exp"].as_i64().is_none_or(|end| end <= now) {
        return Err(Problem::plain(401, "Expired token received for JSON Web Token validation"));
    }
    let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
    Ok(Claims {
        client_id: text("azp"),
        scopes: text("scope").split_whitespace().map(str::to_owned).collect(),
        id: text("jti"),
    })
}

/// When the token of an `Authorization` header ends, in UNIX seconds; it is not checked here.
pub(super) fn end(header: Option<&str>) -> Option<i64> {
    let (_, rest) = header?.split_once('.')?;
    let payload = URL_SAFE_NO_PAD.decode(rest.split('.').next()?).ok()?;
    serde_json::from_slice::<Value>(&payload).ok()?["exp"].as_i64()
}

/// A refusal of the token endpoint: OAuth's shape, not the Management API's.
pub(super) fn refused(status: u16, error: &str, description: impl Into<String>) -> Answer {
    Answer::new(status, json!({"error": error, "error_description": description.into()}))
}

/// The fields of a token request, from a form or JSON body and from basic authentication.
pub(super) fn request(content_type: &str, authorization: Option<&str>, body: &[u8]) -> Option<Value> {
    let mut fields = if content_type.starts_with("application/x-www-form-urlencoded") {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
        Value::Object(pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect())
    } else {
        serde_json::from_slice(body).ok().filter(Value::is_object)?
    };
    let basic = authorization.and_then(|value| value.strip_prefix("Basic "));
    let basic = basic.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    if let Some((id, secret)) = basic.and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
    }) {
        fields["client_id"] = id.into();
        fields["client_secret"] = secret.into();
    }
    Some(fields)
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut padded = if key.len() > BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
    padded.resize(BLOCK, 0);
    let with = |mask: u8| padded.iter().map(|byte| byte ^ mask).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(with(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(with(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims { client_id: "c".into(), scopes: vec!["read:users".into()], id: "j".into() }
    }

    #[test]
    fn hmac_agrees_with_the_rfc() {
        let digest = hmac(b"Jefe", b"what do ya want for nothing?");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_token_holds_until_it_ends_and_only_under_its_key() {
        let header = format!("Bearer {}", sign("key", &claims(), "a", 100, 10));
        assert_eq!(check("key", Some(&header), 109).unwrap().scopes, ["read:users"]);
        assert!(check("key", Some(&header), 110).is_err());
        assert!(check("other", Some(&header), 101).is_err());
        assert!(check("key", None, 101).is_err());
    }
}
