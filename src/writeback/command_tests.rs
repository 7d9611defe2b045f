use reqwest::Method;
use serde_json::json;

use super::*;
use crate::auth0::Refusal;
use crate::pg::mirror::Operation;

const CLIENT: &str = r#"
table = "client"
kind = "collection"
comment = "x"
key = ["client_id"]
new_key = { by = "server" }
get = { method = "GET", path = "/clients/{client_id}", scopes = [], status = [200] }
[columns.client_id]
type = "text"
class = "read_only"
comment = "x"
"#;

const ROTATE: &str = r#"
table = "rotate"
kind = "command"
comment = "x"
[[command]]
method = "POST"
path = "/clients/{client}/rotate-secret"
scopes = []
status = [200]
[columns.client]
type = "text"
class = "create_only"
comment = "x"
[columns.client_secret]
type = "text"
class = "read_only"
comment = "x"
"#;

const TICKET: &str = r#"
table = "ticket"
kind = "command"
comment = "x"
[[command]]
method = "POST"
path = "/tickets/email-verification"
scopes = []
status = [201]
when = { type = "email_verification" }
[[command]]
method = "POST"
path = "/jobs/import"
scopes = []
status = [202]
when = { type = "import" }
multipart = "people"
[columns.type]
type = "text"
class = "create_only"
comment = "x"
[columns.user_id]
type = "text"
class = "create_only"
comment = "x"
[columns.ttl]
type = "bigint"
class = "create_only"
comment = "x"
write_field = "ttl_sec"
[columns.people]
type = "text"
class = "write_only"
comment = "x"
write_field = "users"
[columns.ticket]
type = "text"
class = "read_only"
comment = "x"
[columns.job]
type = "text"
class = "read_only"
comment = "x"
field = "id"
"#;

fn catalog() -> Catalog {
    Catalog::from_files([("t/client.toml", CLIENT), ("t/rotate.toml", ROTATE), ("t/ticket.toml", TICKET)])
        .unwrap()
}

fn row(value: Value) -> Row {
    value.as_object().cloned().unwrap()
}

fn content(after: Value, write_only: Value) -> Content {
    Content {
        operation: Operation::Insert,
        key: row(json!({"id": "cmd_1"})),
        after: row(after),
        before: Row::new(),
        write_only: row(write_only),
    }
}

#[test]
fn the_call_that_fits_the_row_carries_its_inputs() {
    let catalog = catalog();
    let after = json!({
        "id": "cmd_1", "type": "email_verification", "user_id": "auth0|a", "ttl": 60, "ticket": null,
        "state": "pending", "requested_at": "2026-01-01T00:00:00+00:00",
    });
    let request = build(catalog.resource("ticket").unwrap(), &content(after, json!({})), "id").unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::POST, "/tickets/email-verification"));
    assert_eq!(request.body.unwrap(), json!({"user_id": "auth0|a", "ttl_sec": 60}));
    let strange = content(json!({"type": "other"}), json!({}));
    assert!(build(catalog.resource("ticket").unwrap(), &strange, "id").is_err());
}

#[test]
fn a_call_without_inputs_has_no_body_and_its_path_says_what_it_is_about() {
    let catalog = catalog();
    let rotate = catalog.resource("rotate").unwrap();
    let content = content(json!({"client": "c 1"}), json!({}));
    let request = build(rotate, &content, "id").unwrap();
    assert_eq!((request.path.as_str(), request.body), ("/clients/c%201/rotate-secret", None));
    assert_eq!(about(&catalog, rotate, &content), [("client".to_owned(), RowKey::single("c 1"))]);
}

#[test]
fn a_file_goes_as_a_part_of_its_own() {
    let catalog = catalog();
    let import = content(json!({"type": "import", "ttl": 5}), json!({"people": "[]"}));
    let request = build(catalog.resource("ticket").unwrap(), &import, "id").unwrap();
    assert_eq!(request.upload, Some(Upload { field: "users".into(), content: "[]".into() }));
    assert_eq!(request.body, Some(json!({"ttl_sec": 5})));
}

#[test]
fn a_row_keeps_what_the_answer_shows_and_how_it_ended() {
    let catalog = catalog();
    let ticket = catalog.resource("ticket").unwrap();
    let answer = json!({"id": "job_1", "ticket": "https://t", "state": "theirs", "type": "other", "more": 1});
    let kept = result(ticket, &answer);
    assert_eq!(Value::Object(kept.clone()), json!({"ticket": "https://t", "job": "job_1"}));
    let done = ended(&Verdict::Applied(Some(kept)), "now".into());
    assert_eq!(
        (&done["state"], &done["ticket"], done.get("error")),
        (&"done".into(), &"https://t".into(), None)
    );
    let refused = Verdict::Refused(Refusal { status: 400, message: "no".into(), ..Refusal::default() });
    let failed = ended(&refused, "now".into());
    assert_eq!((&failed["state"], &failed["error"]["message"]), (&"failed".into(), &"no".into()));
    let lost = ended(&Verdict::Lost, "now".into());
    assert_eq!((&lost["state"], &lost["error"]["kind"]), (&"unknown".into(), &"outcome_unknown".into()));
}
