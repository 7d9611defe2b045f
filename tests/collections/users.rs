//! Users and what hangs on them.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const API: &str = "https://api.example.com/invoices";
const CONNECTION: &str = "Username-Password-Authentication";
const TABLES: [&str; 12] = [
    "user",
    "user_role",
    "user_permission",
    "user_authentication_method",
    "user_identity",
    "session",
    "refresh_token",
    "user_revoke_access",
    "user_recovery_code_regeneration",
    "user_invalidate_remember_browser",
    "user_delete_authenticators",
    "user_clear_risk_assessors",
];

#[tokio::test]
async fn users() {
    let mut story = Story::beside(&TABLES, &["role"], 10, async |emulator| {
        let users = emulator.api.get("/api/v2/users").await;
        let user = &users[0]["user_id"];
        let rows = json!({
            "/sessions/ses_1": {"id": "ses_1", "user_id": user, "clients": []},
            "/sessions/ses_2": {"id": "ses_2", "user_id": user, "clients": []},
            "/refresh-tokens/rt_1": {"id": "rt_1", "user_id": user, "session_id": "ses_1", "client_id": "a"},
            "/refresh-tokens/rt_2": {"id": "rt_2", "user_id": user, "session_id": "ses_2", "client_id": "a"},
        });
        emulator.api.post("/_emulator/preload", json!({"singletons": rows})).await;
    })
    .await;
    story.reads("select count(*) from auth0.user", 10).await;
    story.reads("select count(*) from auth0.session", 2).await;
    story
        .writes(&format!(
            "insert into auth0.user (user_id, email, connection, password, app_metadata) values \
             ('auth0|grace', 'grace@example.com', '{CONNECTION}', 'Correct-Horse-9', '{{\"plan\": \"free\", \"seats\": 2}}')"
        ))
        .await;
    story.auth0("/users/auth0%7Cgrace", "/app_metadata/plan", "free").await;
    story
        .writes(
            "update auth0.user set nickname = 'amazing', app_metadata = app_metadata - 'seats' || '{\"plan\": \"pro\"}' \
             where user_id = 'auth0|grace'",
        )
        .await;
    story.auth0("/users/auth0%7Cgrace", "/app_metadata", json!({"plan": "pro"})).await;

    let role = story.session.text("select id from auth0.role where name = 'viewer'").await;
    story
        .writes(&format!("insert into auth0.user_role (user_id, role_id) values ('auth0|grace', '{role}')"))
        .await;
    story
        .writes(&format!(
            "insert into auth0.user_permission (user_id, resource_server_identifier, permission_name) \
             values ('auth0|grace', '{API}', 'read:invoices')"
        ))
        .await;
    story.auth0("/users/auth0%7Cgrace/permissions", "/0/sources/0/source_type", "DIRECT").await;

    story
        .writes(
            "insert into auth0.user_authentication_method (user_id, type, name, phone_number) \
             values ('auth0|grace', 'phone', 'Mobile', '+441632960000')",
        )
        .await;
    let method = "select name || ' ' || phone_number from auth0.user_authentication_method";
    story.reads(method, "Mobile XXXXXXXXX0000").await;
    story.writes("update auth0.user_authentication_method set name = 'Work phone'").await;
    story.auth0("/users/auth0%7Cgrace/authentication-methods", "/0/name", "Work phone").await;
    story.writes("delete from auth0.user_authentication_method").await;

    // Linking takes the second user in; unlinking makes a user of it again.
    story
        .writes(&format!(
            "insert into auth0.user (user_id, email, connection, password) values \
             ('auth0|hopper', 'hopper@example.com', '{CONNECTION}', 'Correct-Horse-9')"
        ))
        .await;
    story
        .writes(
            "insert into auth0.user_identity (user_id, provider, identity_user_id) \
             values ('auth0|grace', 'auth0', 'hopper')",
        )
        .await;
    story.auth0("/users/auth0%7Cgrace", "/identities/1/user_id", "hopper").await;
    story.gone("/users/auth0%7Chopper").await;
    story
        .writes(
            "delete from auth0.user_identity where user_id = 'auth0|grace' and identity_user_id = 'hopper'",
        )
        .await;
    story.auth0("/users/auth0%7Chopper", "/email", "hopper@example.com").await;

    story.writes("update auth0.session set session_metadata = '{\"till\": \"4\"}' where id = 'ses_1'").await;
    story.auth0("/sessions/ses_1", "/session_metadata/till", "4").await;
    story
        .writes(
            "update auth0.refresh_token set refresh_token_metadata = '{\"till\": \"4\"}' where id = 'rt_2'",
        )
        .await;
    story.writes("delete from auth0.refresh_token where id = 'rt_2'").await;
    story.writes("delete from auth0.session where id = 'ses_2'").await;
    let owner = story.session.text("select user_id from auth0.session where id = 'ses_1'").await;
    story
        .writes(&format!(
            "insert into auth0.user_revoke_access (user_id, session_id) values ('{owner}', 'ses_1')"
        ))
        .await;
    story.sees("select count(*) from auth0.session", 0).await;
    story.sees("select count(*) from auth0.refresh_token", 0).await;

    for table in ["user_invalidate_remember_browser", "user_delete_authenticators"] {
        story.writes(&format!("insert into auth0.{table} (user_id) values ('auth0|grace')")).await;
    }
    story.writes("insert into auth0.user_recovery_code_regeneration (user_id) values ('auth0|grace')").await;
    story.reads("select length(recovery_code) from auth0.user_recovery_code_regeneration", 24).await;
    story
        .writes(&format!(
            "insert into auth0.user_clear_risk_assessors (user_id, connection, assessors) \
             values ('auth0|grace', '{CONNECTION}', '{{new-device}}')"
        ))
        .await;

    let email = "update auth0.user set email = 'nobody' where user_id = 'auth0|grace'";
    story.refused(email, "22023", "invalid input syntax for type email: \"nobody\"").await;
    story
        .reverted(
            "update auth0.user set email = (select email from auth0.user where user_id not like '%grace' limit 1) \
             where user_id = 'auth0|grace'",
            "already exists",
            "select email from auth0.user where user_id = 'auth0|grace'",
        )
        .await;
    let renamed = Some(json!({"name": "Grace Hopper"}));
    let name = "select name from auth0.user where user_id = 'auth0|grace'";
    story.changed(Method::PATCH, "/users/auth0%7Cgrace", renamed, name, "Grace Hopper").await;

    story.writes("delete from auth0.user_permission where user_id = 'auth0|grace'").await;
    story.writes("delete from auth0.user_role where user_id = 'auth0|grace'").await;
    for table in &TABLES[7..] {
        story.session.run(&format!("delete from auth0.{table}")).await;
    }
    story.writes("delete from auth0.user where user_id = 'auth0|grace'").await;
    story.gone("/users/auth0%7Cgrace").await;
    story.end().await;
}
