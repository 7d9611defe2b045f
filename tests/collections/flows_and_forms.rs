//! Flows, forms, and the credentials that flows use.

use reqwest::Method;
use serde_json::json;

use crate::story::Story;

const MARKER: &str = "no-table-shows-this";

#[tokio::test]
async fn flows() {
    let tables = ["flow", "flow_vault_connection", "flow_execution"];
    let mut story = Story::begin(&tables, 0, async |emulator| {
        let actions = json!([{"id": "step", "type": "FLOW", "action": "BOOLEAN_CONDITION", "params": {}}]);
        emulator.api.post("/api/v2/flows", json!({"name": "welcome", "actions": actions})).await;
    })
    .await;
    // Lists leave the steps out: each flow is read by its key.
    story.reads("select actions -> 0 ->> 'id' from auth0.flow where name = 'welcome'", "step").await;
    story.writes("insert into auth0.flow (name, actions) values ('farewell', '[]')").await;
    let id = story.session.text("select id from auth0.flow where name = 'farewell'").await;
    let path = format!("/flows/{id}");
    story.writes(&format!("update auth0.flow set name = 'good-bye' where id = '{id}'")).await;
    story.auth0(&path, "/name", "good-bye").await;
    story
        .writes(&format!(
            "insert into auth0.flow_vault_connection (app_id, name, setup) values \
             ('SENDGRID', 'mail', '{{\"type\": \"API_KEY\", \"api_key\": \"{MARKER}\"}}')"
        ))
        .await;
    let vault = story.session.text("select id from auth0.flow_vault_connection").await;
    story.auth0(&format!("/flows/vault/connections/{vault}"), "/app_id", "SENDGRID").await;
    let logged = format!("select count(*) from auth0._sync_cdc c where c::text like '%{MARKER}%'");
    assert_eq!(story.session.count(&logged).await, 0);
    assert!(story.stand.emulator.journal().contains(MARKER), "Auth0 has the credentials");
    story.writes("update auth0.flow_vault_connection set name = 'post'").await;
    story.auth0(&format!("/flows/vault/connections/{vault}"), "/name", "post").await;
    story
        .refused(
            "insert into auth0.flow_vault_connection (app_id, name) values ('TELEX', 'old')",
            "22023",
            "invalid input value for column \"app_id\"",
        )
        .await;
    story
        .reverted(
            "update auth0.flow set actions = '[{\"id\": \"a\", \"type\": \"NONE\", \"action\": \"NONE\"}]' where name = 'good-bye'",
            "actions[0]",
            "select actions from auth0.flow where name = 'good-bye'",
        )
        .await;
    let name = format!("select name from auth0.flow where id = '{id}'");
    story.changed(Method::PATCH, &path, Some(json!({"name": "so long"})), &name, "so long").await;
    story.writes("delete from auth0.flow_vault_connection").await;
    story.gone(&format!("/flows/vault/connections/{vault}")).await;
    story.writes(&format!("delete from auth0.flow where id = '{id}'")).await;
    story.gone(&path).await;
    story.without("flow_execution DELETE", "a run comes of a login alone");
    story.end().await;
}

#[tokio::test]
async fn forms() {
    let mut story = Story::begin(&["form"], 0, async |emulator| {
        let body = json!({
            "name": "consent",
            "languages": {"primary": "en"},
            "nodes": [{"id": "step_1", "type": "STEP", "config": {"components": [], "next_node": "$ending"}}],
            "ending": {"resume_flow": true},
        });
        emulator.api.post("/api/v2/forms", body).await;
    })
    .await;
    story.reads("select nodes -> 0 ->> 'id' from auth0.form where name = 'consent'", "step_1").await;
    story.writes("insert into auth0.form (name, languages) values ('survey', '{\"primary\": \"en\"}')").await;
    let id = story.session.text("select id from auth0.form where name = 'survey'").await;
    let path = format!("/forms/{id}");
    story
        .writes(&format!("update auth0.form set style = '{{\"css\": \"h1 {{}}\"}}' where id = '{id}'"))
        .await;
    story.auth0(&path, "/style/css", "h1 {}").await;
    story
        .refused(
            &format!("update auth0.form set name = '' where id = '{id}'"),
            "22023",
            "value too short for column \"name\"",
        )
        .await;
    story
        .reverted(
            &format!(
                "update auth0.form set nodes = '[{{\"id\": \"a\", \"type\": \"NONE\"}}]' where id = '{id}'"
            ),
            "nodes[0]",
            &format!("select nodes from auth0.form where id = '{id}'"),
        )
        .await;
    let name = format!("select name from auth0.form where id = '{id}'");
    story.changed(Method::PATCH, &path, Some(json!({"name": "poll"})), &name, "poll").await;
    story.writes(&format!("delete from auth0.form where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
