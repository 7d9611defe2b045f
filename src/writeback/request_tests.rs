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

fn built(table: &str, content: &Content, current: Option<&Row>) -> Request {
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
    let current = object(json!({"options": {"a": 1, "gone": true, "client_secret": "kept"}}));
    let request = built("connection", &connection, Some(&current));
    assert_eq!(request.body.unwrap(), json!({"options": {"a": 2, "client_secret": "kept"}}));
}

#[test]
fn secret_keys_of_an_object_come_back_into_the_body() {
    let mut connection = content(Operation::Update, json!({"id": "con_1"}), json!({}), json!({}));
    connection.write_only = object(json!({"options": {"client_secret": "new"}}));
    let catalog = Catalog::bundled().unwrap();
    assert!(reads_first(catalog.resource("connection").unwrap(), &connection));
    let current = object(json!({"options": {"a": 1, "client_secret": "old"}}));
    let request = built("connection", &connection, Some(&current));
    assert_eq!(request.body.unwrap(), json!({"options": {"a": 1, "client_secret": "new"}}));
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
