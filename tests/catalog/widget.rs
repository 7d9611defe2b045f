//! Adding a resource takes one data file and no code: a made-up one, given to emulator, setup and
//! service by `AUTH0_SYNC_CATALOG`, goes through all that the others go through.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Emulator, Postgres, Stand, wait_until};

const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_data_file_makes_a_table_that_is_read_written_judged_and_followed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/catalog");
    let emulator = Emulator::with_catalog(&folder, &["--rate-limits", "off"]).await;
    let mut stand = Stand::with_objects(Postgres::start(), emulator, &["widget"]).await;
    stand.restart_service().await;
    let mut session = stand.session().await;

    let first = session.rows("select name, colour from auth0.widget").await;
    assert_eq!(first, [json!({"name": "first", "colour": "blue"})], "the backfill has read it");

    session
        .confirmed("insert into auth0.widget (name, settings) values ('second', '{\"a\": 1, \"b\": 2}')")
        .await;
    let id = session.text("select id from auth0.widget where name = 'second'").await;
    assert!(id.starts_with("wid_"), "the key is Auth0's: {id}");
    let path = format!("/api/v2/widgets/{id}");
    assert_eq!(stand.emulator.api.get(&path).await["settings"], json!({"a": 1, "b": 2}));

    session
        .confirmed("update auth0.widget set colour = 'red', settings = settings - 'a' where name = 'second'")
        .await;
    let changed = stand.emulator.api.get(&path).await;
    assert_eq!((&changed["colour"], &changed["settings"]), (&json!("red"), &json!({"b": 2})));

    let refusal = session.refused("update auth0.widget set colour = 'purple' where name = 'second'").await;
    assert!(refusal.message.starts_with("[Auth0] "), "{refusal:?}");
    assert_eq!((refusal.table.as_str(), refusal.column.as_str()), ("widget", "colour"), "{refusal:?}");
    let refusal = session.refused("update auth0.widget set created_at = now()").await;
    assert!(refusal.message.contains("created_at"), "{refusal:?}");

    session.run("update auth0.widget set name = 'first' where name = 'second'").await;
    let refusal = session.wait().await.expect_err("the name is taken");
    assert!(refusal.message.contains("A widget with the same name already exists."), "{refusal:?}");
    assert_eq!(session.text(&format!("select name from auth0.widget where id = '{id}'")).await, "second");

    stand.emulator.api.patch(&path, json!({"name": "renamed"})).await;
    let renamed = format!("select name from auth0.widget where id = '{id}'");
    wait_until("the change at Auth0 is seen", WITHIN, async || session.one(&renamed).await == "renamed")
        .await;

    session.confirmed(&format!("delete from auth0.widget where id = '{id}'")).await;
    let (status, _) = stand.emulator.api.send(reqwest::Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (status, shown, log) = stand.run(&["catalog", "widget"]).await;
    assert!(status.success(), "{log}");
    assert!(
        shown.starts_with("widget: A made-up thing that stands for whatever Auth0 adds next."),
        "{shown}"
    );
}
