//! What Auth0 fetches from an identity provider when a connection is written. The emulator asks
//! nobody: it makes the document that such a provider would serve.

use serde_json::{Map, Value, json};

/// Endpoints that Auth0 copies from the document into the options.
const COPIED: [&str; 5] =
    ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "issuer"];

/// Completes the options of an OpenID Connect or Okta connection.
pub(super) fn complete(strategy: &str, options: &mut Map<String, Value>) {
    let text = |name: &str| options.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let known = options.get("oidc_metadata").is_some_and(Value::is_object);
    let document = match strategy {
        "okta" => text("domain").map(|domain| okta(&format!("https://{domain}"))),
        "oidc" => {
            let address =
                text("discovery_url").and_then(|url| url.split_once("/.well-known/").map(|(base, _)| base));
            address.or_else(|| text("issuer")).map(openid)
        }
        _ => None,
    };
    let Some(document) = document else { return };
    for name in COPIED {
        if options.get(name).is_none_or(Value::is_null) {
            options.insert(name.to_owned(), document[name].clone());
        }
    }
    if !known {
        options.insert("oidc_metadata".to_owned(), document);
    }
}

fn openid(issuer: &str) -> Value {
    let issuer = issuer.trim_end_matches('/');
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "token_revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "registration_endpoint": format!("{issuer}/oidc/register"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code", "token", "id_token", "code id_token"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "scopes_supported": ["openid", "profile", "email"],
        "acr_values_supported": ["AAL1"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "name", "sub"],
        "display_values_supported": ["page"],
        "code_challenge_methods_supported": ["S256"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
    })
}

fn okta(issuer: &str) -> Value {
    let endpoint = |name: &str| format!("{issuer}/oauth2/v1/{name}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": endpoint("authorize"),
        "token_endpoint": endpoint("token"),
        "userinfo_endpoint": endpoint("userinfo"),
        "registration_endpoint": endpoint("clients"),
        "jwks_uri": endpoint("keys"),
        "introspection_endpoint": endpoint("introspect"),
        "revocation_endpoint": endpoint("revoke"),
        "end_session_endpoint": endpoint("logout"),
        "device_authorization_endpoint": endpoint("device/authorize"),
        "pushed_authorization_request_endpoint": endpoint("par"),
        "response_types_supported": ["code", "id_token", "code id_token", "code token", "id_token token", "code id_token token"],
        "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "id_token_encryption_alg_values_supported": ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"],
        "id_token_encryption_enc_values_supported": ["A256GCM"],
        "scopes_supported": ["openid", "email", "profile", "address", "phone", "offline_access", "groups"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "name", "email", "email_verified"],
        "code_challenge_methods_supported": ["S256"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "end_session_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_authentication_request_signing_alg_values_supported": ["RS256", "ES256"],
        "claims_parameter_supported": false,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": false,
        "request_object_signing_alg_values_supported": ["HS256", "RS256", "ES256"],
        "dpop_signing_alg_values_supported": ["RS256", "ES256"],
    })
}
