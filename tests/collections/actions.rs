//! Actions: drafts, their versions, what runs them, and the modules that they share.

use reqwest::Method;
use serde_json::{Value, json};

use crate::story::Story;
use crate::support::Emulator;

const TABLES: &[&str] = &[
    "action",
    "action_version",
    "action_deploy",
    "action_version_deploy",
    "action_test",
    "action_trigger",
    "action_trigger_binding",
];
const POST_LOGIN: &str = r#"'[{"id": "post-login", "version": "v3"}]'"#;
const MARKER: &str = "no-table-shows-this";

async fn post(emulator: &Emulator, path: &str, body: Value) -> Value {
    let (status, answer) = emulator.api.send(Method::POST, path, Some(&body)).await;
    assert!(status.is_success(), "{path} → {status}: {answer}");
    answer
}

#[tokio::test]
async fn actions() {
    let mut story = Story::begin(TABLES, 0, async |emulator| {
        let trigger = json!([{"id": "post-login", "version": "v3"}]);
        let body = json!({"name": "Old hand", "supported_triggers": trigger, "code": "1"});
        post(emulator, "/api/v2/actions/actions", body).await;
    })
    .await;
    story.reads("select status from auth0.action where name = 'Old hand'", "built").await;
    story
        .reads("select count(*) from auth0.action_trigger where id = 'post-login' and status = 'CURRENT'", 1)
        .await;

    let insert = format!(
        "insert into auth0.action (name, supported_triggers, code, secrets) values \
         ('Greeter', {POST_LOGIN}, 'exports.onExecutePostLogin = async () => {{}}', \
         '[{{\"name\": \"KEY\", \"value\": \"{MARKER}\"}}]')"
    );
    story.writes(&insert).await;
    let id = story.session.text("select id from auth0.action where name = 'Greeter'").await;
    let path = format!("/actions/actions/{id}");
    story.auth0(&path, "/secrets/0/name", "KEY").await;
    let secrets = format!("select secrets -> 0 ->> 'name' from auth0.action where id = '{id}'");
    assert_eq!(story.session.one(&secrets).await, "KEY");
    for place in ["auth0.action", "auth0._sync_cdc", "_auth0_sync.write_only"] {
        let sql = format!("select count(*) from {place} t where to_jsonb(t)::text like '%{MARKER}%'");
        let admin = story.stand.admin().await;
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&admin).await.unwrap();
        assert_eq!(found, 0, "{place}");
    }
    assert!(story.stand.emulator.journal().contains(MARKER), "Auth0 has the secret");

    // A draft runs when it is deployed.
    story.writes(&format!("insert into auth0.action_deploy (action_id) values ('{id}')")).await;
    let deployed = format!("select all_changes_deployed from auth0.action where id = '{id}'");
    story.sees(&deployed, true).await;
    story
        .sees(&format!("select number from auth0.action_version where action_id = '{id}' and deployed"), 1)
        .await;
    story.writes(&format!("update auth0.action set code = '2' where id = '{id}'")).await;
    story.auth0(&path, "/code", "2").await;
    story.sees(&deployed, false).await;
    let first = story
        .session
        .text(&format!("select id from auth0.action_version where action_id = '{id}' and number = 1"))
        .await;
    story
        .writes(&format!(
            "insert into auth0.action_version_deploy (action_id, version_id, update_draft) \
             values ('{id}', '{first}', true)"
        ))
        .await;
    story.sees(&format!("select max(number) from auth0.action_version where action_id = '{id}'"), 2).await;
    story
        .writes(&format!(
            "insert into auth0.action_test (action_id, payload) values ('{id}', '{{\"a\": 1}}')"
        ))
        .await;
    assert_eq!(story.session.one("select state from auth0.action_test").await, "done");

    // Bindings: the whole list of a trigger goes, and the row is one of it.
    story
        .writes(&format!(
            "insert into auth0.action_trigger_binding (trigger_id, action_id, display_name) \
             values ('post-login', '{id}', 'Greets')"
        ))
        .await;
    let bindings = "/actions/triggers/post-login/bindings";
    story.auth0(bindings, "/bindings/0/action/id", id.as_str()).await;
    story
        .writes("update auth0.action_trigger_binding set display_name = 'Greets all' where display_name = 'Greets'")
        .await;
    story.auth0(bindings, "/bindings/0/display_name", "Greets all").await;

    story
        .refused(
            &format!(
                "insert into auth0.action_trigger_binding (trigger_id, action_id) values ('at-night', '{id}')"
            ),
            "22023",
            "invalid input value for column \"trigger_id\"",
        )
        .await;
    story.refused("update auth0.action set name = null", "23502", "missing value for column \"name\"").await;
    story
        .reverted(
            &format!("delete from auth0.action where id = '{id}'"),
            "bound to a trigger",
            "select count(*) from auth0.action",
        )
        .await;
    let renamed = Some(json!({"name": "Host"}));
    let name = format!("select name from auth0.action where id = '{id}'");
    story.changed(Method::PATCH, &path, renamed, &name, "Host").await;
    story
        .changed(
            Method::PATCH,
            bindings,
            Some(json!({"bindings": []})),
            "select count(*) from auth0.action_trigger_binding",
            0,
        )
        .await;
    story
        .writes(&format!(
            "insert into auth0.action_trigger_binding (trigger_id, action_id) values ('post-login', '{id}')"
        ))
        .await;
    story
        .writes(&format!(
            "begin; delete from auth0.action_trigger_binding where action_id = '{id}'; \
             delete from auth0.action where id = '{id}'; commit"
        ))
        .await;
    story.gone(&path).await;
    story.end().await;
}

#[tokio::test]
async fn action_modules() {
    let tables = ["action_module", "action_module_version", "action_module_rollback", "action_module_action"];
    let mut story = Story::begin(&tables, 0, async |emulator| {
        post(emulator, "/api/v2/actions/modules", json!({"name": "shared", "code": "module.exports = {}"}))
            .await;
    })
    .await;
    story.reads("select count(*) from auth0.action_module where name = 'shared'", 1).await;
    story.writes("insert into auth0.action_module (name, code) values ('mail', 'one')").await;
    let id = story.session.text("select id from auth0.action_module where name = 'mail'").await;
    let path = format!("/actions/modules/{id}");
    story.auth0(&path, "/code", "one").await;
    story.writes(&format!("insert into auth0.action_module_version (module_id) values ('{id}')")).await;
    let latest =
        format!("select latest_version ->> 'version_number' from auth0.action_module where id = '{id}'");
    story.sees(&latest, "1").await;
    story.writes(&format!("update auth0.action_module set code = 'two' where id = '{id}'")).await;
    story.auth0(&path, "/all_changes_published", false).await;
    let version = story.session.text("select id from auth0.action_module_version").await;
    story
        .writes(&format!(
            "insert into auth0.action_module_rollback (module_id, module_version_id) values ('{id}', '{version}')"
        ))
        .await;
    story.sees(&format!("select code from auth0.action_module where id = '{id}'"), "one").await;
    story
        .refused(
            "update auth0.action_module set name = 'post'",
            "428C9",
            "column \"name\" cannot change once the row exists",
        )
        .await;
    story
        .reverted(
            "insert into auth0.action_module (name, code) values ('shared', 'again')",
            "An action module with the same name already exists.",
            "select count(*) from auth0.action_module",
        )
        .await;
    let code = Some(json!({"code": "three"}));
    let seen = format!("select code from auth0.action_module where id = '{id}'");
    story.changed(Method::PATCH, &path, code, &seen, "three").await;
    story.writes(&format!("delete from auth0.action_module where id = '{id}'")).await;
    story.gone(&path).await;
    story.end().await;
}
