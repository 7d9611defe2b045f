//! What brute-force protection blocks users for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::story::Story;

const TABLES: [&str; 3] = ["user_block", "user_block_watch", "user_unblock"];

#[tokio::test]
async fn user_blocks() {
    let blocked =
        json!([{"identifier": "ada@example.com", "ip": "203.0.113.7"}, {"identifier": "ada@example.com"}]);
    let mut users = Vec::new();
    let mut story = Story::beside(&TABLES, &["user"], 5, async |emulator| {
        let found = emulator.api.get("/api/v2/users").await;
        let ids = (0..3).map(|number| found[number]["user_id"].as_str().unwrap().to_owned());
        users = ids.collect::<Vec<String>>();
        for user in &users {
            let row = json!({"blocked_for": blocked});
            let path = format!("/user-blocks/{}", user.replace('|', "%7C"));
            emulator.api.post("/_emulator/preload", json!({"singletons": {path: row}})).await;
        }
    })
    .await;
    let count = "select count(*) from auth0.user_block";
    story.reads(count, 0).await;
    for user in &users {
        story.writes(&format!("insert into auth0.user_block_watch (user_id) values ('{user}')")).await;
    }
    story.sees(count, 3).await;
    let [first, second, third] = &users[..] else { panic!("three users") };
    let row = format!("select blocked_for from auth0.user_block where user_id = '{first}'");
    story.reads(&row, blocked).await;
    let update = "update auth0.user_block set blocked_for = '[]'";
    story.refused(update, "0A000", "rows of auth0.user_block cannot be updated").await;
    story.without("reverted", "Auth0 refuses to lift no block of a user");
    story.writes(&format!("delete from auth0.user_block where user_id = '{first}'")).await;
    let path = |user: &str| format!("/user-blocks/{}", user.replace('|', "%7C"));
    story.auth0(&path(first), "/blocked_for", Value::Array(Vec::new())).await;
    story.changed(Method::DELETE, &path(second), None, count, 1).await;
    let email = story.session.text(&format!("select email from auth0.user where user_id = '{third}'")).await;
    story.writes(&format!("insert into auth0.user_unblock (identifier) values ('{email}')")).await;
    story.sees(count, 0).await;
    story.writes("delete from auth0.user_block_watch").await;
    story.end().await;
}
