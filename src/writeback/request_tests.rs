use serde_json::json;

use super::*;
use crate::catalog::Catalog;

fn object(value: Value) -> Row {
    value.as_object().cloned().unwrap()
}

fn content(operation: Operation, key: Value, before: Value, after: Value) -> Content {
    Content {
        operation,
        key: object(key),
        before: object(before),
        after: object(after),
        write_only: Map::new(),
    }
}

fn built(table: &str, content: &Content, current: Option<&Value>) -> Request {
    let catalog = Catalog::bundled().unwrap();
    build(catalog.resource(table).unwrap(), content, current, "id").unwrap()
}

#[test]
fn a_user_is_created_with_its_key_and_its_secrets() {
    let after = json!({"user_id": "auth0|abc", "email": "a@b.c", "nickname": null});
    let mut user = content(Operation::Insert, json!({"user_id": "auth0|abc"}), json!({}), after);
    user.write_only = object(json!({"connection": "db", "password": "p"}));
    let request = built("user", &user, None);
    assert_eq!((request.method, request.path.as_str()), (Method::POST, "/users"));
    let body = request.body.unwrap();
    assert_eq!(body, json!({"user_id": "abc", "email": "a@b.c", "connection": "db", "password": "p"}));
}

#[test]
fn metadata_goes_by_key_and_null_unsets() {
    let before = json!({"app_metadata": {"a": 1, "b": 2}, "nickname": "x"});
    let after = json!({"app_metadata": {"a": 9, "b": null}, "nickname": null});
    let user = content(Operation::Update, json!({"user_id": "auth0|a"}), before, after);
    let request = built("user", &user, None);
    assert_eq!((request.method, request.path.as_str()), (Method::PATCH, "/users/auth0%7Ca"));
    assert_eq!(request.body.unwrap(), json!({"nickname": null, "app_metadata": {"a": 9, "b": null}}));
}

#[test]
fn a_merging_column_set_to_null_removes_its_keys() {
    let before = json!({"app_metadata": {"a": 1}});
    let user =
        content(Operation::Update, json!({"user_id": "auth0|a"}), before, json!({"app_metadata": null}));
    assert_eq!(built("user", &user, None).body.unwrap(), json!({"app_metadata": {"a": null}}));
}

#[test]
fn options_of_a_connection_are_written_whole() {
    let before = json!({"options": {"a": 1, "gone": true}});
    let after = json!({"options": {"a": 2, "gone": null}});
    let connection = content(Operation::Update, json!({"id": "con_1"}), before, after);
    let catalog = Catalog::bundled().unwrap();
    assert!(reads_first(catalog.resource("connection").unwrap(), &connection));
    let current = json!({"options": {"a": 1, "gone": true, "client_secret": "kept"}});
    let request = built("connection", &connection, Some(&current));
    assert_eq!(request.body.unwrap(), json!({"options": {"a": 2, "client_secret": "kept"}}));
}

#[test]
fn secret_keys_of_an_object_come_back_into_the_body() {
    let mut connection = content(Operation::Update, json!({"id": "con_1"}), json!({}), json!({}));
    connection.write_only = object(json!({"options": {"client_secret": "new"}}));
    let catalog = Catalog::bundled().unwrap();
    assert!(reads_first(catalog.resource("connection").unwrap(), &connection));
    let current = json!({"options": {"a": 1, "client_secret": "old"}});
    let request = built("connection", &connection, Some(&current));
    assert_eq!(request.body.unwrap(), json!({"options": {"a": 1, "client_secret": "new"}}));
}

#[test]
fn a_secret_that_reading_masks_is_not_sent_back() {
    let before = json!({"sink": {"mixpanelRegion": "us"}});
    let after = json!({"sink": {"mixpanelRegion": "eu"}});
    let stream = content(Operation::Update, json!({"id": "lst_1"}), before, after);
    let current = json!({"sink": {"mixpanelRegion": "us", "mixpanelServiceAccountPassword": "********"}});
    let request = built("log_stream", &stream, Some(&current));
    assert_eq!(request.body.unwrap(), json!({"sink": {"mixpanelRegion": "eu"}}));
}

#[test]
fn secrets_inside_a_value_go_with_it_unless_it_was_replaced() {
    let mut action = content(
        Operation::Update,
        json!({"id": "act"}),
        json!({"secrets": null}),
        json!({"secrets": [{"name": "key"}]}),
    );
    let given = json!({"secrets": [{"name": "key", "value": "v"}]});
    action.write_only = object(given.clone());
    assert_eq!(built("action", &action, None).body.unwrap(), given);
    action.after = object(json!({"secrets": []}));
    assert_eq!(built("action", &action, None).body.unwrap(), json!({"secrets": []}));
    action.after = object(json!({}));
    assert_eq!(built("action", &action, None).body.unwrap(), given, "the secret alone has changed");
}

#[test]
fn links_are_added_and_removed_by_arrays() {
    let key = json!({"user_id": "auth0|a", "role_id": "rol_1"});
    let add = content(Operation::Insert, key.clone(), json!({}), key.clone());
    let request = built("user_role", &add, None);
    assert_eq!((request.method, request.path.as_str()), (Method::POST, "/users/auth0%7Ca/roles"));
    assert_eq!(request.body.unwrap(), json!({"roles": ["rol_1"]}));
    let remove = content(Operation::Delete, key, json!({}), json!({}));
    let request = built("user_role", &remove, None);
    assert_eq!((request.method, request.body.unwrap()), (Method::DELETE, json!({"roles": ["rol_1"]})));
}

#[test]
fn images_join_later_over_earlier() {
    let catalog = Catalog::bundled().unwrap();
    let images = [
        object(json!({"app_metadata": {"a": 1, "b": 1}, "name": "one"})),
        object(json!({"app_metadata": {"b": 2}, "name": "two"})),
    ];
    let joined = join(catalog.resource("user").unwrap(), images);
    assert_eq!(Value::Object(joined), json!({"app_metadata": {"a": 1, "b": 2}, "name": "two"}));
}

#[test]
fn an_emptied_object_is_sent_empty_and_forgets_what_was_joined_before() {
    let before = json!({"app_metadata": {"a": 1, "b": 2}});
    let user = content(Operation::Update, json!({"user_id": "auth0|a"}), before, json!({"app_metadata": {}}));
    assert_eq!(built("user", &user, None).body.unwrap(), json!({"app_metadata": {}}));
    let catalog = Catalog::bundled().unwrap();
    let resource = catalog.resource("user").unwrap();
    let images = |images: [Value; 2]| images.map(|image| object(json!({"app_metadata": image})));
    let after = join(resource, images([json!({"a": 9}), json!({})]));
    assert_eq!(Value::Object(after), json!({"app_metadata": {}}));
    let before = under(resource, images([json!({"a": 1}), json!({"a": 9, "b": 2})]));
    assert_eq!(Value::Object(before), json!({"app_metadata": {"a": 1, "b": 2}}));
    let before = under(resource, images([json!({"a": 1}), json!(null)]));
    assert_eq!(Value::Object(before), json!({"app_metadata": {"a": 1}}), "its keys are still to be removed");
}

/// A catalogue of one table: its head, its columns as `name, type, class, more`.
fn catalogue(head: &str, columns: &[(&str, &str, &str, &str)]) -> Catalog {
    let mut text = format!("table = \"thing\"\ncomment = \"x\"\n{head}\n");
    for (name, kind, class, more) in columns {
        text +=
            &format!("[columns.{name}]\ntype = \"{kind}\"\nclass = \"{class}\"\ncomment = \"x\"\n{more}\n");
    }
    Catalog::from_files([("t/thing.toml", text.as_str())]).unwrap()
}

fn made(catalog: &Catalog, content: &Content, current: Option<&Value>) -> Request {
    build(catalog.resource("thing").unwrap(), content, current, "id").unwrap()
}

#[test]
fn a_call_that_replaces_carries_what_auth0_has_and_the_change_over_it() {
    let head = "kind = \"singleton\"\nkey = [\"id\"]\nnew_key = { by = \"fixed\", value = \"thing\" }\n\
                get = { method = \"GET\", path = \"/thing\", scopes = [], status = [200] }\n\
                update = { method = \"PUT\", path = \"/thing\", scopes = [], status = [200] }";
    let columns = [
        ("id", "text", "read_only", ""),
        ("body", "text", "writable", "write_field = \"template\""),
        ("note", "text", "writable", "field = \"remark\""),
        ("flags", "jsonb", "writable", "merge = \"keys\""),
        ("token", "text", "write_only", "secret = true"),
        ("changed", "timestamptz", "read_only", ""),
    ];
    let catalog = catalogue(head, &columns);
    let update =
        |before: Value, after: Value| content(Operation::Update, json!({"id": "thing"}), before, after);
    let change = update(json!({"note": "a", "flags": {"x": 1}}), json!({"note": "b", "flags": {"x": 2}}));
    assert!(reads_first(catalog.resource("thing").unwrap(), &change));
    let there = json!({
        "body": "<p>", "remark": "a", "flags": {"x": 1, "theirs": true}, "changed": "2026-01-01T00:00:00Z",
        "newer_than_the_catalogue": [1], "gone": null,
    });
    assert_eq!(
        made(&catalog, &change, Some(&there)).body.unwrap(),
        json!({"template": "<p>", "remark": "b", "flags": {"x": 2, "theirs": true}, "newer_than_the_catalogue": [1]})
    );
    let mut hiding = catalog.resource("thing").unwrap().clone();
    for name in ["body", "changed"] {
        let column = hiding.columns.shift_remove(name).unwrap();
        hiding.hidden.insert(name.to_owned(), column);
    }
    let body = build(&hiding, &change, Some(&there), "id").unwrap().body.unwrap();
    assert!(body["template"] == "<p>" && body.get("changed").is_none(), "{body}");
    let unset = update(json!({"note": "a"}), json!({"note": null}));
    let body = made(&catalog, &unset, Some(&there)).body.unwrap();
    assert!(body.get("remark").is_none() && body["template"] == "<p>", "{body}");
    let mut secret = update(json!({}), json!({}));
    secret.write_only = object(json!({"token": "t"}));
    assert_eq!(made(&catalog, &secret, None).body.unwrap(), json!({"token": "t"}));
}

#[test]
fn a_body_may_be_the_value_of_one_column() {
    let head = "kind = \"collection\"\nkey = [\"prompt\", \"language\"]\nnew_key = { by = \"given\" }\nwhole = \"texts\"\n\
                update = { method = \"PUT\", path = \"/prompts/{prompt}/{language}\", scopes = [], status = [200] }";
    let columns = [
        ("prompt", "text", "create_only", ""),
        ("language", "text", "create_only", ""),
        ("texts", "jsonb", "writable", "json = \"object\""),
    ];
    let catalog = catalogue(head, &columns);
    let key = json!({"prompt": "login", "language": "en"});
    let change =
        |after: Value| content(Operation::Update, key.clone(), json!({"texts": {}}), json!({"texts": after}));
    let request = made(&catalog, &change(json!({"login": {"title": "Hi"}})), None);
    assert_eq!((request.method, request.path.as_str()), (Method::PUT, "/prompts/login/en"));
    assert_eq!(request.body.unwrap(), json!({"login": {"title": "Hi"}}));
    assert_eq!(made(&catalog, &change(json!(null)), None).body.unwrap(), json!({}));
}

#[test]
fn templates_may_be_arrays_and_leave_out_what_the_row_lacks() {
    let call = |name: &str, method: &str, body: &str| {
        format!(
            "[{name}]\nmethod = \"{method}\"\npath = \"/things/{{parent}}/links\"\nscopes = []\nstatus = [204]\n{body}\n"
        )
    };
    let head = format!(
        "kind = \"association\"\nkey = [\"parent\", \"child\"]\n{}recognise = {{ by = \"repeat\" }}\n{}",
        call("create", "PATCH", "body = [{ child = \"{child}\", name = \"{label}\", on = true }]"),
        call("delete", "DELETE", "query = { which = \"{child}\", label = \"{label}\", hard = \"true\" }"),
    );
    let columns = [
        ("parent", "text", "create_only", ""),
        ("child", "text", "create_only", ""),
        ("label", "text", "create_only", ""),
    ];
    let catalog = catalogue(&head, &columns);
    let key = json!({"parent": "p", "child": "c"});
    let row = json!({"parent": "p", "child": "c", "label": null});
    let insert = content(Operation::Insert, key.clone(), json!({}), row.clone());
    assert_eq!(made(&catalog, &insert, None).body.unwrap(), json!([{"child": "c", "on": true}]));
    let request = made(&catalog, &content(Operation::Delete, key, row, json!({})), None);
    let query: Vec<_> = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!((query, request.body), (vec![("which", "c"), ("hard", "true")], None));
}

#[test]
fn what_stands_in_the_path_stands_not_in_the_body() {
    let head = "kind = \"collection\"\nkey = [\"organization_id\", \"id\"]\nnew_key = { by = \"server\" }\n\
                create = { method = \"POST\", path = \"/organizations/{organization_id}/domains\", scopes = [], status = [201], recognise = { by = \"repeat\" } }";
    let columns = [
        ("organization_id", "text", "create_only", ""),
        ("id", "text", "read_only", ""),
        ("domain", "text", "create_only", ""),
    ];
    let catalog = catalogue(head, &columns);
    let key = json!({"organization_id": "org_1", "id": "new_1"});
    let row = json!({"organization_id": "org_1", "id": "new_1", "domain": "a.example"});
    let request = made(&catalog, &content(Operation::Insert, key, json!({}), row), None);
    assert_eq!(request.path, "/organizations/org_1/domains");
    assert_eq!(request.body.unwrap(), json!({"domain": "a.example"}));
}
