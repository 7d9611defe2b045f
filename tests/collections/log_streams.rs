//! Log streams: where they lead, without the secrets that they need.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

#[tokio::test]
async fn log_streams() {
    let mut story = Story::begin(&["log_stream"], 0, async |emulator| {
        let stream = json!({
            "name": "metrics", "type": "datadog", "sink": {"datadogApiKey": "datadog-secret", "datadogRegion": "us"},
        });
        emulator.api.post("/api/v2/log-streams", stream).await;
    })
    .await;
    story
        .reads("select sink from auth0.log_stream where name = 'metrics'", json!({"datadogRegion": "us"}))
        .await;
    story
        .writes(
            "insert into auth0.log_stream (name, type, sink) values ('hook', 'http', \
             '{\"httpEndpoint\": \"https://logs.example.com\", \"httpAuthorization\": \"http-secret\"}')",
        )
        .await;
    let id = story.session.text("select id from auth0.log_stream where name = 'hook'").await;
    let path = format!("/log-streams/{id}");
    story.auth0(&path, "/sink/httpAuthorization", "http-secret").await;
    // The sink is replaced whole, and keeps the secret that this database does not have.
    story
        .writes(
            "update auth0.log_stream set sink = sink || '{\"httpContentFormat\": \"JSONARRAY\"}' where name = 'hook'",
        )
        .await;
    story.auth0(&path, "/sink/httpContentFormat", "JSONARRAY").await;
    story.auth0(&path, "/sink/httpEndpoint", "https://logs.example.com").await;
    story.auth0(&path, "/sink/httpAuthorization", "http-secret").await;
    story.writes("update auth0.log_stream set status = 'paused' where name = 'hook'").await;
    story.auth0(&path, "/status", "paused").await;
    let secrets = "select count(*) from auth0._sync_cdc where before::text || after::text like '%-secret%'";
    story.reads(secrets, 0).await;

    let kind = "insert into auth0.log_stream (name, type, sink) values ('tape', 'tape', '{}')";
    story.refused(kind, "22023", "invalid input value for column \"type\"").await;
    let eventbridge = "insert into auth0.log_stream (name, type, sink) values ('aws', 'eventbridge', \
                       '{\"awsAccountId\": \"12\", \"awsRegion\": \"eu-west-1\"}')";
    let count = "select count(*) from auth0.log_stream";
    story.reverted(eventbridge, "sink.awsAccountId", count).await;
    let renamed = Some(json!({"name": "webhook"}));
    let name = format!("select name from auth0.log_stream where id = '{id}'");
    story.changed(Method::PATCH, &path, renamed, &name, "webhook").await;
    story.writes(&format!("delete from auth0.log_stream where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
