//! Roles, their permissions and the users who have them.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn roles() {
    let mut story = Story::begin(&["role", "user_role"], 20, async |_| {}).await;
    story.reads("select count(*) from auth0.role where name = 'admin'", 1).await;
    story.writes("insert into auth0.role (name, description) values ('auditor', 'Reads everything')").await;
    let id = story.session.text("select id from auth0.role where name = 'auditor'").await;
    story.auth0(&format!("/roles/{id}"), "/description", "Reads everything").await;
    story.writes("update auth0.role set description = 'Reads all' where name = 'auditor'").await;
    story.auth0(&format!("/roles/{id}"), "/description", "Reads all").await;
    let user = story.session.text("select min(user_id) from auth0.user").await;
    story.writes(&format!("insert into auth0.user_role (user_id, role_id) values ('{user}', '{id}')")).await;
    story.auth0(&format!("/roles/{id}/users"), "/0/user_id", user.as_str()).await;
    story.refused("update auth0.role set name = null", "23502", "missing value for column \"name\"").await;
    story
        .reverted(
            "update auth0.role set name = 'admin' where name = 'auditor'",
            "A role with the same name already exists.",
            "select count(*) from auth0.role where name = 'admin'",
        )
        .await;
    let renamed = Some(json!({"name": "inspector"}));
    let name = format!("select name from auth0.role where id = '{id}'");
    story.changed(Method::PATCH, &format!("/roles/{id}"), renamed, &name, "inspector").await;
    story.writes(&format!("delete from auth0.user_role where role_id = '{id}'")).await;
    story.writes(&format!("delete from auth0.role where id = '{id}'")).await;
    story.gone(&format!("/roles/{id}")).await;
    story.end().await;
}
