//! Roles, their permissions and the users who have them.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const API: &str = "https://api.example.com/invoices";

#[tokio::test]
async fn roles() {
    let mut story = Story::begin(&["role", "user_role", "role_permission"], 20, async |_| {}).await;
    story.reads("select count(*) from auth0.role where name = 'admin'", 1).await;
    story.writes("insert into auth0.role (name, description) values ('auditor', 'Reads everything')").await;
    let id = story.session.text("select id from auth0.role where name = 'auditor'").await;
    story.auth0(&format!("/roles/{id}"), "/description", "Reads everything").await;
    story.writes("update auth0.role set description = 'Reads all' where name = 'auditor'").await;
    story.auth0(&format!("/roles/{id}"), "/description", "Reads all").await;

    let user = story.session.text("select min(user_id) from auth0.user").await;
    story.writes(&format!("insert into auth0.user_role (user_id, role_id) values ('{user}', '{id}')")).await;
    story.auth0(&format!("/roles/{id}/users"), "/0/user_id", user.as_str()).await;
    let permission = |name: &str| {
        format!(
            "insert into auth0.role_permission (role_id, resource_server_identifier, permission_name) \
             values ('{id}', '{API}', '{name}')"
        )
    };
    story.writes(&permission("read:invoices")).await;
    story.auth0(&format!("/roles/{id}/permissions"), "/0/permission_name", "read:invoices").await;

    story.refused("update auth0.role set name = null", "23502", "missing value for column \"name\"").await;
    story
        .reverted(
            "update auth0.role set name = 'admin' where name = 'auditor'",
            "A role with the same name already exists.",
            "select count(*) from auth0.role where name = 'admin'",
        )
        .await;
    story.reverted(&permission("fly"), "does not exist", "select count(*) from auth0.role_permission").await;

    let renamed = Some(json!({"name": "inspector"}));
    let name = format!("select name from auth0.role where id = '{id}'");
    story.changed(Method::PATCH, &format!("/roles/{id}"), renamed, &name, "inspector").await;
    let given = Some(
        json!({"permissions": [{"resource_server_identifier": API, "permission_name": "write:invoices"}]}),
    );
    let count = "select count(*) from auth0.role_permission where permission_name = 'write:invoices'";
    story.changed(Method::POST, &format!("/roles/{id}/permissions"), given, count, 1).await;

    let one = format!("role_id = '{id}' and permission_name = 'read:invoices'");
    story.writes(&format!("delete from auth0.role_permission where {one}")).await;
    story.writes(&format!("delete from auth0.user_role where role_id = '{id}'")).await;
    story.writes(&format!("delete from auth0.role where id = '{id}'")).await;
    story.gone(&format!("/roles/{id}")).await;
    story.end().await;
}
