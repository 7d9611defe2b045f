//! A small document and the table that says the same; then one change at a time.

use serde_json::{Value, json};

use super::{against, document::Document, left_out::LeftOut, report::Report};
use crate::catalog::Catalog;

const THING: &str = r#"
table = "thing"
kind = "collection"
comment = "A thing."
key = ["id"]
new_key = { by = "server" }

[[list]]
path = "/things"
scopes = ["read:things"]
paging = "offset"
array = "things"

[get]
method = "GET"
path = "/things/{id}"
scopes = ["read:things"]
status = [200]

[create]
method = "POST"
path = "/things"
scopes = ["create:things"]
status = [201]
recognise = { by = "list", columns = ["name"] }

[update]
method = "PATCH"
path = "/things/{id}"
scopes = ["update:things"]
status = [200]

[columns.id]
type = "text"
class = "read_only"
comment = "Key of the thing."

[columns.name]
type = "text"
class = "writable"
comment = "Name of the thing."
required = true
max_length = 20
pattern = "^[a-z/]+$"

[columns.colour]
type = "text"
class = "create_only"
comment = "Its colour."
enum = ["blue", "red"]

[columns.link]
type = "text"
class = "writable"
comment = "Where it is described."
format = "uri"

[columns.tags]
type = "text[]"
class = "writable"
comment = "Words about it."
max_items = 3

[columns.shape]
type = "jsonb"
class = "writable"
comment = "Its measures."
json = "object"

[columns.made_at]
type = "timestamptz"
class = "read_only"
comment = "When it was made."
"#;

/// What the table describes, by the usual means of such documents: references, parts, alternatives, null.
fn document() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let content = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    let call = |scope: &str, body: Value, answer: Value| {
        json!({
            "tags": ["things"], "summary": format!("To {scope}"), "x-release-lifecycle": "GA",
            "security": [{"bearerAuth": []}, {"oAuth2ClientCredentials": [scope, "manage:all"]}],
            "requestBody": body, "responses": {"200": answer, "400": {"description": "no"}},
        })
    };
    let page = json!({"oneOf": [
        {"type": "array", "items": reference("Thing")},
        {"type": "object", "properties": {"total": {"type": "integer"}, "things": {"type": "array", "items": reference("Thing")}}},
    ]});
    let shared = json!({"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 20, "pattern": "^[a-z\\/]+$"},
        "link": {"oneOf": [{"type": "string", "format": "url"}, {"type": "null"}]},
        "tags": {"type": ["array", "null"], "maxItems": 3, "items": {"type": "string"}},
        "shape": {"type": "object", "additionalProperties": true},
    }});
    let colour = json!({"properties": {"colour": {"anyOf": [{"const": "red"}, {"enum": ["blue"], "type": "string"}]}}});
    let own = json!({"type": "object", "properties": {
        "id": {"type": "string"}, "made_at": {"type": "string", "format": "date-time"},
    }});
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/things": {
                "get": call("read:things", Value::Null, content(page)),
                "post": call("create:things", content(reference("NewThing")), content(reference("Thing"))),
            },
            "/things/{thingId}": {
                "get": call("read:things", Value::Null, content(reference("Thing"))),
                "patch": call("update:things", content(reference("Shared")), content(reference("Thing"))),
            },
        },
        "components": {"schemas": {
            "Shared": shared,
            "Colour": colour,
            "Own": own,
            "Thing": {"allOf": [reference("Own"), reference("Shared"), reference("Colour")]},
            "NewThing": {"allOf": [reference("Shared"), reference("Colour")], "required": ["name"], "properties": {"name": {}}},
        }},
    })
}

fn compared(text: &str, document: Value, left_out: &str) -> Report {
    let catalog = Catalog::from_files([("things/thing.toml", text)]).unwrap();
    let left_out = LeftOut::parse("left_out.toml", left_out).unwrap();
    against(&catalog, &Document::of(document), &left_out, &[])
}

/// What is found when one place of the document holds something else; null removes it.
fn changed(pointer: &str, value: Value) -> Vec<String> {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.shift_remove(name).unwrap();
    } else {
        parent.insert(name.to_owned(), value);
    }
    let report = compared(THING, document, "");
    assert!(report.unused.is_empty(), "{:?}", report.unused);
    let line = |column: Option<String>, what: String| match column {
        Some(column) => format!("{column}: {what}"),
        None => what,
    };
    report.differences.into_iter().map(|found| line(found.column, found.what)).collect()
}

#[test]
fn a_document_that_says_the_same_has_no_difference() {
    let report = compared(THING, document(), "");
    assert!(report.agrees(), "{}", report.text());
    assert_eq!(report.text(), "No difference: 1 tables, 4 operations.\n");
}

#[test]
fn every_kind_of_change_is_found_and_named() {
    let schemas = "/components/schemas";
    let field = |schema: &str, name: &str| format!("{schemas}/{schema}/properties/{name}");
    let cases: &[(String, Value, &[&str])] = &[
        (
            field("Own", "weight"),
            json!({"type": "number"}),
            &["weight: has no column; at Auth0 it is read-only"],
        ),
        (field("Own", "made_at"), Value::Null, &["made_at: Auth0 has no field made_at"]),
        (
            field("Own", "colour"),
            json!({"type": "array", "items": {"type": "string"}}),
            &["colour: type is text, at Auth0 "],
        ),
        (
            field("Shared", "made_at"),
            json!({"type": "string", "format": "date-time"}),
            &["made_at: class is read-only, at Auth0 writable"],
        ),
        (
            field("Shared", "colour"),
            json!({"type": "string"}),
            &["colour: class is create-only, at Auth0 writable", "colour: enum is there, at Auth0 none"],
        ),
        (field("Shared", "shape"), json!({"type": "array"}), &["shape: json is object, at Auth0 array"]),
        (field("Shared", "tags/maxItems"), json!(5), &["tags: max_items is 3, at Auth0 5"]),
        (field("Shared", "name/maxLength"), json!(30), &["name: max_length is 20, at Auth0 30"]),
        (field("Shared", "name/minLength"), json!(2), &["name: min_length is none, at Auth0 2"]),
        (
            field("Shared", "name/pattern"),
            json!("^[A-Z]+$"),
            &["name: pattern is ^[a-z/]+$, at Auth0 ^[A-Z]+$"],
        ),
        (field("Shared", "link"), json!({"type": "string"}), &["link: format is uri, at Auth0 none"]),
        (
            field("Colour", "colour"),
            json!({"type": "string", "enum": ["red", "green"]}),
            &["colour: enum lacks \"green\"", "colour: enum has \"blue\", which Auth0 has not"],
        ),
        (format!("{schemas}/NewThing/required"), Value::Null, &["name: Auth0 does not require it"]),
        (format!("{schemas}/NewThing/required"), json!(["name", "link"]), &["link: Auth0 requires it"]),
        (
            "/paths/~1things/post/security".into(),
            json!([{"oauth": ["add:things"]}]),
            &["create: the scope is create:things, Auth0 takes add:things"],
        ),
        ("/paths/~1things/get/x-release-lifecycle".into(), json!("EA"), &[]),
        (
            "/paths/~1things~1{thingId}/patch".into(),
            Value::Null,
            &["update: Auth0 has no PATCH /things/{id}"],
        ),
    ];
    for (pointer, value, expected) in cases {
        let found = changed(pointer, value.clone());
        for (place, line) in expected.iter().enumerate() {
            assert!(found.get(place).is_some_and(|found| found.starts_with(line)), "{pointer}: {found:?}");
        }
        let more_may_follow = pointer.ends_with("patch");
        assert!(found.len() == expected.len() || more_may_follow, "{pointer}: {found:?}");
    }
}

#[test]
fn a_new_operation_is_listed_until_a_table_uses_it_or_it_is_left_out() {
    let mut more = document();
    more["paths"]["/things/{id}/polish"] = json!({"post": {"tags": ["things"], "summary": "Polish it"}});
    let report = compared(THING, more.clone(), "");
    assert!(report.text().contains("things: no table uses\n  POST /things/{id}/polish: Polish it\n"));
    assert_eq!(report.document()["unused"][0]["path"], "/things/{id}/polish");
    let reason = "\"POST /things/{id}/polish\" = \"It changes nothing that can be seen.\"";
    assert!(compared(THING, more, reason).agrees());
    let needless = compared(THING, document(), reason);
    assert_eq!(needless.needless, ["POST /things/{id}/polish"]);
    assert!(!needless.agrees());
}

#[test]
fn what_differs_on_purpose_is_silent_and_a_needless_excuse_is_not() {
    let excused = THING.replace("max_length = 20", "max_length = 19\ndiffers = \"a test\"");
    assert!(compared(&excused, document(), "").agrees());
    let needless = THING.replace("max_length = 20", "max_length = 20\ndiffers = \"a test\"");
    assert_eq!(compared(&needless, document(), "").differences[0].what, "nothing differs: `differs` can go");

    let older = THING.replace("/things", "/new-things");
    assert_eq!(compared(&older, json!({"paths": {}}), "").differences.len(), 4 + 6, "calls and columns");
    let older = older.replace("new_key", "differs = \"Auth0's document is older\"\nnew_key");
    assert!(compared(&older, json!({"paths": {}}), "").agrees());
    let mut scope = document();
    scope["paths"]["/things"]["post"]["security"] = json!([{"oauth": ["add:things"]}]);
    let excused = THING.replace("status = [201]", "status = [201]\ndiffers = \"a test\"");
    assert!(compared(&excused, scope, "").agrees());
    assert!(!compared(&excused, document(), "").agrees());

    let mut more = document();
    more["components"]["schemas"]["Own"]["properties"]["weight"] = json!({"type": "number"});
    let lacks = THING.replace("new_key", "lacks = { weight = \"a test\" }\nnew_key");
    assert!(compared(&lacks, more, "").agrees());
    let vanished = compared(&lacks, document(), "");
    assert_eq!(vanished.differences[0].what, "Auth0 has no such field: `lacks` can go");
}
