//! Exports and imports of users, and verification e-mails.

use serde_json::json;

use crate::story::Story;

const TABLES: [&str; 5] =
    ["job", "job_error", "job_users_export", "job_users_import", "job_verification_email"];

#[tokio::test]
async fn jobs() {
    let mut story = Story::beside(&TABLES, &["user", "connection"], 5, async |_| {}).await;
    let user = story.session.text("select min(user_id) from auth0.user").await;
    let home = "(select id from auth0.connection where name = 'Username-Password-Authentication')";
    story.reads("select count(*) from auth0.job", 0).await;

    story
        .writes("insert into auth0.job_users_export (id, format, \"limit\") values ('all', 'json', 5)")
        .await;
    let job = "(select job_id from auth0.job_users_export where id = 'all')";
    story.sees(&format!("select status from auth0.job where id = {job}"), "completed").await;
    let location = format!("select location is not null from auth0.job where id = {job}");
    story.reads(&location, true).await;

    story.writes(&format!("insert into auth0.job_verification_email (user_id) values ('{user}')")).await;
    let mail = "select status from auth0.job where type = 'verification_email'";
    story.sees(mail, "completed").await;

    let import = |id: &str, users: &str| {
        format!(
            "insert into auth0.job_users_import (id, connection_id, users, upsert, send_completion_email) \
             values ('{id}', {home}, '{users}', false, false)"
        )
    };
    let users = json!([{"email": "new.one@example.com", "email_verified": true}, {"email": "nothing"}]);
    story.writes(&import("two", &users.to_string())).await;
    let job = "(select job_id from auth0.job_users_import where id = 'two')";
    story.sees(&format!("select status from auth0.job where id = {job}"), "completed").await;
    let summary = format!("select summary from auth0.job where id = {job}");
    story.sees(&summary, json!({"failed": 1, "updated": 0, "inserted": 1, "total": 2})).await;
    let error = format!("select errors #>> '{{0,user,email}}' from auth0.job_error where job_id = {job}");
    story.sees(&error, "nothing").await;
    story.reads("select count(*) from auth0.job_users_import where users is null", 1).await;

    story.refused(&import("three", "{}"), "22023", "").await;
    let nowhere = "insert into auth0.job_users_export (connection_id) values ('con_nowhere')";
    story.refused(nowhere, "22023", "invalid value for column \"connection_id\"").await;
    story
        .reverted(
            "insert into auth0.job_verification_email (user_id) values ('auth0|nobody')",
            "The user does not exist.",
            "select count(*) from auth0.job",
        )
        .await;
    story.session.run("delete from auth0.job_verification_email").await;
    story.session.run("delete from auth0.job_users_export").await;
    story.session.run("delete from auth0.job_users_import").await;
    story.end().await;
}
