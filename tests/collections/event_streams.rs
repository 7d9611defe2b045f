//! Event streams, what they could not deliver, and the commands for it.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const TABLES: &[&str] = &[
    "event_stream",
    "event_stream_delivery",
    "event_stream_redeliver",
    "event_stream_redeliver_event",
    "event_stream_test",
];
const MARKER: &str = "no-table-shows-this";

#[tokio::test]
async fn event_streams() {
    let mut story = Story::begin(TABLES, 0, async |emulator| {
        let destination = json!({
            "type": "eventbridge",
            "configuration": {"aws_account_id": "123456789012", "aws_region": "eu-central-1"},
        });
        let body = json!({
            "name": "warehouse",
            "subscriptions": [{"event_type": "user.created"}],
            "destination": destination,
        });
        emulator.api.post("/api/v2/event-streams", body).await;
    })
    .await;
    story.reads("select status from auth0.event_stream where name = 'warehouse'", "enabled").await;
    let destination = |token: &str| {
        format!(
            "{{\"type\": \"webhook\", \"configuration\": {{\"webhook_endpoint\": \"https://hook.example/in\", \
             \"webhook_authorization\": {{\"method\": \"bearer\"{token}}}}}}}"
        )
    };
    let token = format!(", \"token\": \"{MARKER}\"");
    story
        .writes(&format!(
            "insert into auth0.event_stream (name, subscriptions, destination) values \
             ('hook', '[{{\"event_type\": \"user.created\"}}]', '{}')",
            destination(&token)
        ))
        .await;
    let id = story.session.text("select id from auth0.event_stream where name = 'hook'").await;
    let path = format!("/event-streams/{id}");
    story.auth0(&path, "/destination/configuration/webhook_endpoint", "https://hook.example/in").await;
    let shown = format!(
        "select destination = '{}'::jsonb from auth0.event_stream where id = '{id}'",
        destination("")
    );
    assert_eq!(story.session.one(&shown).await, true);
    let logged = format!("select count(*) from auth0._sync_cdc c where c::text like '%{MARKER}%'");
    assert_eq!(story.session.count(&logged).await, 0);
    assert!(story.stand.emulator.journal().contains(MARKER), "Auth0 has the token");

    // The same destination with another token is a change, though the row looks as before.
    let other = format!(", \"token\": \"{MARKER}-2\"");
    story
        .writes(&format!(
            "update auth0.event_stream set destination = '{}' where id = '{id}'",
            destination(&other)
        ))
        .await;
    assert!(story.stand.emulator.journal().contains(&format!("{MARKER}-2")), "Auth0 has the new token");
    story.writes(&format!("update auth0.event_stream set status = 'disabled' where id = '{id}'")).await;
    story.auth0(&path, "/status", "disabled").await;

    story
        .writes(&format!(
            "insert into auth0.event_stream_test (event_stream_id, event_type) values ('{id}', 'user.created')"
        ))
        .await;
    let event = story.session.text("select delivery_id from auth0.event_stream_test").await;
    story.sees(&format!("select count(*) from auth0.event_stream_delivery where id = '{event}'"), 1).await;
    story
        .writes(&format!(
            "insert into auth0.event_stream_redeliver_event (event_stream_id, event_id) values ('{id}', '{event}')"
        ))
        .await;
    story
        .writes(&format!("insert into auth0.event_stream_redeliver (event_stream_id) values ('{id}')"))
        .await;

    story
        .refused(
            &format!("update auth0.event_stream set status = 'paused' where id = '{id}'"),
            "22023",
            "invalid input value for column \"status\"",
        )
        .await;
    story
        .reverted(
            &format!("update auth0.event_stream set name = 'warehouse' where id = '{id}'"),
            "already in use",
            &format!("select name from auth0.event_stream where id = '{id}'"),
        )
        .await;
    let name = format!("select name from auth0.event_stream where id = '{id}'");
    story.changed(Method::PATCH, &path, Some(json!({"name": "hook 2"})), &name, "hook 2").await;
    story.writes(&format!("delete from auth0.event_stream where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
