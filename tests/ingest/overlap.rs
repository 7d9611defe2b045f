//! Auth0 and clients change the same row at the same time, and answers come late.

use std::time::Duration;

use serde_json::json;

use crate::support::{Stand, wait_until};
use crate::{
    SECONDS, becomes, called, calls, count, execute, fault, log_is_read, no_faults, path, same, text, user,
};

fn held(method: &str, path: &str, ms: u64) -> serde_json::Value {
    json!({"match": {"method": method, "path": path}, "times": 1, "do": "delay", "delay_ms": ms})
}

/// Waits until every ordered fault has met its call.
async fn faults_used_up(stand: &Stand) {
    wait_until("the call is held", SECONDS, async || {
        stand.emulator.api.post("/_emulator/faults", json!({})).await["faults"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_write_in_flight_and_a_change_of_another_column_both_survive() {
    let stand = Stand::start(10).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let user = user(&pool, 0).await;
    let mine = format!("select nickname from auth0.\"user\" where user_id = '{user}'");
    let theirs = format!("select given_name from auth0.\"user\" where user_id = '{user}'");
    fault(&stand, held("PATCH", "^/api/v2/users/", 3000)).await;
    execute(&app, &format!("update auth0.\"user\" set nickname = 'mine' where user_id = '{user}'")).await;
    faults_used_up(&stand).await;
    // The order is used up: this one is not held.
    stand.emulator.api.patch(&path(&user), json!({"given_name": "Theirs"})).await;
    becomes(&pool, &theirs, "Theirs").await;
    assert_eq!(text(&pool, &mine).await.as_deref(), Some("mine"), "the unsettled write stays visible");
    let state = text(&pool, "select state from auth0._sync_cdc order by id desc limit 1").await;
    assert_eq!(state.as_deref(), Some("sending"), "Auth0's change came first");
    same(&stand).await;
    assert_eq!(text(&pool, &mine).await.as_deref(), Some("mine"));
    assert_eq!(text(&pool, &theirs).await.as_deref(), Some("Theirs"));
}

#[tokio::test]
async fn a_write_in_flight_is_not_undone_where_rows_carry_no_time_of_change() {
    let stand = Stand::start(10).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let role = text(&pool, "select id from auth0.role order by name limit 1").await.unwrap();
    fault(&stand, held("PATCH", "^/api/v2/roles/", 1500)).await;
    execute(&app, &format!("update auth0.role set name = 'mine' where id = '{role}'")).await;
    faults_used_up(&stand).await;
    stand.emulator.api.patch(&format!("/api/v2/roles/{role}"), json!({"description": "theirs"})).await;
    log_is_read(&stand, &pool).await;
    assert_eq!(
        text(&pool, &format!("select name from auth0.role where id = '{role}'")).await.as_deref(),
        Some("mine")
    );
    same(&stand).await;
    let row =
        text(&pool, &format!("select name || ' ' || description from auth0.role where id = '{role}'")).await;
    assert_eq!(row.as_deref(), Some("mine theirs"));
}

#[tokio::test]
async fn a_reading_that_a_write_has_overtaken_is_not_applied() {
    let stand = Stand::start(10).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    for (table, key, base, column) in
        [("role", "id", "/api/v2/roles/", "name"), ("user", "user_id", "/api/v2/users/", "nickname")]
    {
        let id =
            text(&pool, &format!("select {key} from auth0.\"{table}\" order by 1 limit 1")).await.unwrap();
        let there = format!("{base}{}", id.replace('|', "%7C"));
        // The answer is taken at once and comes late: it is older than the write below.
        fault(&stand, json!({"match": {"method": "GET", "path": format!("^{base}")}, "times": 1, "do": "delay_after", "delay_ms": 1500})).await;
        stand.emulator.api.delete("/_emulator/calls").await;
        stand.emulator.api.patch(&there, json!({column: "theirs"})).await;
        called(&stand, &format!("GET {}", base.trim_start_matches("/api/v2"))).await;
        execute(&app, &format!("update auth0.\"{table}\" set {column} = 'mine' where {key} = '{id}'")).await;
        becomes(&pool, "select state from auth0._sync_cdc order by id desc limit 1", "confirmed").await;
        log_is_read(&stand, &pool).await;
        same(&stand).await;
        let now = text(&pool, &format!("select {column} from auth0.\"{table}\" where {key} = '{id}'")).await;
        assert_eq!(now.as_deref(), Some("mine"), "{table}");
        no_faults(&stand).await;
    }
}

#[tokio::test]
async fn a_link_that_went_with_its_row_does_not_come_back_by_an_earlier_reading() {
    let stand = Stand::start(10).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let user = user(&pool, 0).await;
    let made = stand.emulator.api.post("/api/v2/roles", json!({"name": "short-lived"})).await;
    let role = made["id"].as_str().unwrap();
    becomes(&pool, &format!("select name from auth0.role where id = '{role}'"), "short-lived").await;
    // The list is made at once and comes late: it shows a link of a role that is gone by then.
    let links = "^/api/v2/(users/[^/]+/roles|roles/[^/]+/users)$";
    fault(
        &stand,
        json!({"match": {"method": "GET", "path": links}, "times": 1, "do": "delay_after", "delay_ms": 3000}),
    )
    .await;
    stand.emulator.api.delete("/_emulator/calls").await;
    stand.emulator.api.post(&format!("{}/roles", path(&user)), json!({"roles": [role]})).await;
    faults_used_up(&stand).await;
    let seen = async || {
        calls(&stand, "GET /users/{user_id}/roles").await + calls(&stand, "GET /roles/{role_id}/users").await
    };
    wait_until("the list is made", SECONDS, async || seen().await > 0).await;
    let before = seen().await;
    execute(&app, &format!("delete from auth0.role where id = '{role}'")).await;
    becomes(&pool, "select state from auth0._sync_cdc order by id desc limit 1", "confirmed").await;
    wait_until("what the late answer showed is read again", SECONDS, async || seen().await > before).await;
    let there = format!("select count(*) from auth0.user_role where role_id = '{role}'");
    assert_eq!(count(&pool, &there).await, 0);
    same(&stand).await;
    assert_eq!(count(&pool, &there).await, 0);
}

#[tokio::test]
async fn a_row_that_a_client_holds_delays_only_itself() {
    let stand = Stand::start(10).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let (held, free) = (user(&pool, 0).await, user(&pool, 1).await);
    let nickname = |user: &str| format!("select nickname from auth0.\"user\" where user_id = '{user}'");
    let mut client = app.begin().await.unwrap();
    let lock = format!("select from auth0.\"user\" where user_id = '{held}' for update");
    sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *client).await.unwrap();
    for user in [&held, &free] {
        stand.emulator.api.patch(&path(user), json!({"nickname": "theirs"})).await;
    }
    becomes(&pool, &nickname(&free), "theirs").await;
    log_is_read(&stand, &pool).await;
    assert_ne!(text(&pool, &nickname(&held)).await.as_deref(), Some("theirs"));
    client.rollback().await.unwrap();
    becomes(&pool, &nickname(&held), "theirs").await;
}

#[tokio::test]
async fn a_link_that_a_client_holds_delays_only_itself() {
    let stand = Stand::start(30).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let some = "select user_id from auth0.user_role group by 1 limit 1";
    let user = text(&pool, some).await.unwrap();
    let free = text(&pool, &format!("select id from auth0.role where id not in (select role_id from auth0.user_role where user_id = '{user}') limit 1")).await.unwrap();
    let mut client = app.begin().await.unwrap();
    let lock = format!("select from auth0.user_role where user_id = '{user}' for update");
    sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *client).await.unwrap();
    stand.emulator.api.post(&format!("{}/roles", path(&user)), json!({"roles": [free]})).await;
    let here = format!("select role_id from auth0.user_role where user_id = '{user}' and role_id = '{free}'");
    becomes(&pool, &here, &free).await;
    client.rollback().await.unwrap();
    same(&stand).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_or_refused_is_read_again() {
    let stand = Stand::start(10).await;
    let pool = stand.admin().await;
    let user = user(&pool, 0).await;
    for order in [
        json!({"do": "drop_after"}),
        json!({"do": "status", "status": 500}),
        json!({"do": "status", "status": 429}),
    ] {
        let mut order = order;
        order["match"] = json!({"method": "GET", "path": "^/api/v2/users/"});
        order["times"] = json!(1);
        fault(&stand, order.clone()).await;
        let name = order.to_string().chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        stand.emulator.api.patch(&path(&user), json!({"nickname": name})).await;
        becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{user}'"), &name).await;
    }
    assert_eq!(count(&pool, "select count(*) from auth0._sync_cdc").await, 0, "a reading writes no mutation");
    assert_eq!(calls(&stand, "POST /users").await, 0);
    tokio::time::timeout(Duration::from_secs(10), same(&stand)).await.unwrap();
}
