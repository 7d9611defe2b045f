//! Lists that Auth0 gives in pages, and lists that it does not give whole.

use serde_json::json;

use crate::support::{Emulator, Postgres, Stand, compare};
use crate::{count, same, text};

#[tokio::test]
async fn more_users_than_a_list_shows_are_all_there() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(2300).await).await;
    stand.configuration = "[backfill]\nusers = \"search\"\n".to_owned();
    stand.restart_service().await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!(count(&stand.admin().await, "select count(*) from auth0.\"user\"").await, 2300);
}

#[tokio::test]
async fn what_no_slice_can_show_is_said_and_the_rest_is_there() {
    let emulator = Emulator::start(0).await;
    let born = "2024-01-01T00:00:00.000Z";
    let people: Vec<_> = (0..1100)
        .map(|n| json!({"user_id": format!("auth0|{n:024}"), "email": format!("u{n}@example.com"), "created_at": born, "updated_at": born,
            "identities": [{"connection": "Username-Password-Authentication", "user_id": format!("{n:024}"), "provider": "auth0", "isSocial": false}]}))
        .collect();
    emulator.api.post("/_emulator/preload", json!({"collections": {"/users": people}})).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.configuration = "[backfill]\nusers = \"search\"\n".to_owned();
    stand.restart_service().await;
    let pool = stand.admin().await;
    assert_eq!(count(&pool, "select count(*) from auth0.\"user\"").await, 1000);
    let said =
        text(&pool, "select error from _auth0_sync.backfill where \"table\" = 'user' and state = 'done'")
            .await;
    assert_eq!(said.as_deref(), Some("Auth0 lists only 1000 of 1100 rows of user"));
}

#[tokio::test]
async fn a_set_of_several_pages_is_read_whole() {
    let mut stand = Stand::start(700).await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    let made = api.post("/api/v2/organizations", json!({"name": "large"})).await;
    let members = format!("/api/v2/organizations/{}/members", made["id"].as_str().unwrap());
    let users: Vec<String> =
        sqlx::query_scalar("select user_id from auth0.\"user\" limit 260").fetch_all(&pool).await.unwrap();
    for ten in users.chunks(10) {
        api.post(&members, json!({"members": ten})).await;
    }
    same(&stand).await;
    let sql = "select count(*) from auth0.organization_member m join auth0.organization o on o.id = m.organization_id where o.name = 'large'";
    assert_eq!(count(&pool, sql).await, 260);
    let (status, _) =
        api.send(reqwest::Method::DELETE, &members, Some(&json!({"members": &users[..10]}))).await;
    assert!(status.is_success());
    same(&stand).await;
    assert_eq!(count(&pool, sql).await, 250);
    // Again from nothing, by the list of the organization.
    stand.kill_service().await;
    for sql in [
        "delete from auth0.organization_member",
        "update _auth0_sync.backfill set state = 'waiting', finished_at = null",
    ] {
        let service = sqlx::PgPool::connect(&stand.variables()[0].1).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&service).await.unwrap();
    }
    stand.restart_service().await;
    same(&stand).await;
}
