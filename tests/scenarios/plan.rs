//! What a transaction would do at Auth0, before it does.

use serde_json::{Value, json};

use super::{api_user, user};
use crate::support::Stand;

pub async fn an_open_transaction_shows_the_calls_that_it_would_make(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 13).await;
    let metadata = api_user(stand, &id).await["app_metadata"].clone();
    assert!(session.rows("select * from auth0.plan()").await.is_empty());
    session
        .run(&format!(
            "begin; update auth0.user set nickname = 'first' where user_id = '{id}'; \
             update auth0.user set nickname = 'second', app_metadata = coalesce(app_metadata, '{{}}') || '{{\"plan\": 1}}' \
             where user_id = '{id}'; \
             insert into auth0.user (user_id, email, connection, password) \
             values ('auth0|planned', 'planned@example.com', 'Username-Password-Authentication', 'long-enough-secret'); \
             update auth0.user set email = 'moved@example.com', password = 'long-enough-secret' where user_id = '{id}'; \
             insert into auth0.role (name, description) values ('planned', 'x'); \
             delete from auth0.role where name = 'planned'; \
             update auth0.connection set options = options || '{{\"mfa\": {{\"active\": true}}}}' \
             where name = 'Username-Password-Authentication'"
        ))
        .await;
    let plan = session
        .rows("select method, path, body, calls, array_length(ids, 1) as changes from auth0.plan()")
        .await;
    assert!(!format!("{plan:?}").contains("long-enough-secret"), "{plan:?}");
    let call = |n: usize| {
        (
            plan[n]["method"].as_str().unwrap(),
            plan[n]["path"].as_str().unwrap(),
            &plan[n]["body"],
            plan[n]["calls"].as_i64().unwrap(),
        )
    };
    let at = format!("/users/{}", id.replace('|', "%7C"));
    let one = json!({"nickname": "second", "app_metadata": {"plan": 1}, "email": "moved@example.com"});
    assert_eq!(call(0), ("PATCH", at.as_str(), &one, 1), "three changes of a row, in two calls: {metadata}");
    assert_eq!(plan[0]["changes"], 3);
    assert_eq!(call(1), ("PATCH", at.as_str(), &json!({"password": "***"}), 1));
    let made = json!({
        "user_id": "planned", "email": "planned@example.com", "connection": "Username-Password-Authentication", "password": "***"});
    assert_eq!(call(2), ("POST", "/users", &made, 1));
    assert_eq!(call(3), ("POST", "/roles", &json!({"name": "planned", "description": "x"}), 2));
    assert_eq!((call(4).0, call(4).2, call(4).3), ("DELETE", &Value::Null, 1));
    assert!(call(4).1.starts_with("/roles/new_"), "Auth0 makes the key: {}", call(4).1);
    assert_eq!(
        (call(5).0, call(5).2, call(5).3),
        ("PATCH", &json!({"options": {"mfa": {"active": true}}}), 2)
    );
    assert_eq!(plan.len(), 6, "{plan:?}");
    session.run("rollback").await;
    assert!(session.rows("select * from auth0.plan()").await.is_empty());

    // What goes out is what was shown.
    stand.emulator.forget_calls().await;
    session.run(&format!("begin; update auth0.user set nickname = 'planned' where user_id = '{id}'")).await;
    let plan = session.rows("select * from auth0.plan()").await;
    assert_eq!((plan.len(), &plan[0]["body"]), (1, &json!({"nickname": "planned"})));
    session.confirmed("commit").await;
    assert_eq!(stand.emulator.calls("PATCH /users/{user_id}").await, 1);
    assert_eq!(api_user(stand, &id).await["nickname"], "planned");
}
