//! Which resource and which row a path of the Management API names.

use serde_json::{Map, Value};

use super::placeholder;

/// What the placeholders of a template stood for in a path.
pub type PathMatch = Map<String, Value>;

/// Matches a percent-encoded path (below `/api/v2`, without query) against a template; the values
/// are decoded.
pub fn path_matches(template: &str, path: &str) -> Option<PathMatch> {
    let mut values = Map::new();
    let mut segments = path.trim_end_matches('/').split('/');
    for expected in template.split('/') {
        let actual = segments.next()?;
        match placeholder(expected) {
            Some(column) => {
                if actual.is_empty() {
                    return None;
                }
                let decoded = percent_encoding::percent_decode_str(actual).decode_utf8().ok()?;
                values.insert(column.to_owned(), Value::String(decoded.into_owned()));
            }
            None if expected == actual => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_decoded_and_lengths_must_agree() {
        let values = path_matches("/users/{user_id}/roles", "/users/auth0%7C1/roles").unwrap();
        assert_eq!(values["user_id"], "auth0|1");
        assert!(path_matches("/users/{user_id}", "/users/auth0%7C1/roles").is_none());
        assert!(path_matches("/users/{user_id}", "/users").is_none());
        assert!(path_matches("/users/{user_id}", "/users/").is_none());
    }
}
