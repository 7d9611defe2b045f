//! Bodies of `multipart/form-data` as JSON objects: the name of a part → its text, or the JSON of a
//! part that is a file or says that it is JSON.

use serde_json::Value;

use super::rules::Fields;

/// The boundary that a content type names; none where it is another type.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"'))
}

/// The parts of a body; none where it is not well formed.
pub(super) fn parse(boundary: &str, body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let mut fields = Fields::new();
    for part in text.split(&format!("--{boundary}")).skip(1) {
        if part.starts_with("--") {
            return Some(Value::Object(fields));
        }
        let (head, content) = part.split_once("\r\n\r\n")?;
        let content = content.strip_suffix("\r\n").unwrap_or(content);
        let parameter = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        // ` name=`: the end of `filename=` is the same.
        let name = parameter(" name")?;
        let json = parameter("filename").is_some() || head.to_lowercase().contains("application/json");
        let parsed = serde_json::from_str(content).ok().filter(|_| json);
        fields.insert(name, parsed.unwrap_or_else(|| content.into()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_become_fields() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"upsert\"\r\n\r\ntrue\r\n--b\r\n\
            Content-Disposition: form-data; name=\"users\"; filename=\"u.json\"\r\n\r\n[{\"email\":\"a@b.example\"}]\r\n--b--\r\n";
        let boundary = boundary("multipart/form-data; boundary=\"b\"").unwrap();
        let parsed = parse(boundary, body.as_bytes()).unwrap();
        assert_eq!(parsed, json!({"upsert": "true", "users": [{"email": "a@b.example"}]}));
        assert_eq!(parse("b", b"--b\r\nnothing"), None);
    }
}
