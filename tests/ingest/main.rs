//! From Auth0 to the tables, end to end: Postgres, emulator and service as real processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "its own tests take more of it")]
#[path = "../setup/mirror.rs"]
mod mirror;
#[path = "../support/mod.rs"]
mod support;

mod actions;
mod again;
mod catalog;
mod events;
mod everything;
mod export;
mod fan_out;
mod idle;
mod large;
mod live;
mod overlap;
mod pretend;
mod progress;
mod restart;
mod shapes;
mod sweep;
mod webhook;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use support::{Stand, compare, equal, wait_for, wait_until};

const SECONDS: Duration = Duration::from_secs(10);

/// Waits until nothing is unsettled and the mirror equals the tenant.
async fn same(stand: &Stand) {
    equal(stand).await;
}

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}

async fn text(pool: &PgPool, sql: &str) -> Option<String> {
    let found: Option<Option<String>> =
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_optional(pool).await.unwrap();
    found.flatten()
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

/// Waits for a query's only value.
async fn becomes(pool: &PgPool, sql: &str, wanted: &str) {
    let what = format!("{sql}: {wanted}");
    wait_until(&what, SECONDS, async || text(pool, sql).await.as_deref() == Some(wanted)).await;
}

/// The n-th user of the tenant by key.
async fn user(pool: &PgPool, n: usize) -> String {
    let sql = format!("select user_id from auth0.\"user\" order by 1 offset {n} limit 1");
    text(pool, &sql).await.unwrap()
}

/// A user's path in the Management API.
fn path(user_id: &str) -> String {
    format!("/api/v2/users/{}", user_id.replace('|', "%7C"))
}

async fn fault(stand: &Stand, order: Value) {
    stand.emulator.api.post("/_emulator/faults", order).await;
}

async fn no_faults(stand: &Stand) {
    stand.emulator.api.delete("/_emulator/faults").await;
}

/// How many calls the emulator has had since they were last forgotten, of those that begin so.
async fn calls(stand: &Stand, start: &str) -> u64 {
    let calls = stand.emulator.api.get("/_emulator/calls").await;
    let calls = calls.as_object().unwrap().iter().filter(|(name, _)| name.starts_with(start));
    calls.map(|(_, count)| count.as_u64().unwrap()).sum()
}

/// Waits until the emulator has had a call.
async fn called(stand: &Stand, call: &str) {
    wait_for(call, SECONDS, async || (calls(stand, call).await > 0).then_some(())).await;
}

/// A change at Auth0 that nobody but this test makes, and its arrival: what was there before it has been read.
async fn log_is_read(stand: &Stand, pool: &PgPool) {
    let name = format!("barrier-{}", rand::random::<u32>());
    let made = stand.emulator.api.post("/api/v2/roles", json!({"name": name})).await;
    let id = made["id"].as_str().unwrap();
    becomes(pool, &format!("select name from auth0.role where id = '{id}'"), &name).await;
}

#[tokio::test]
async fn after_the_backfill_every_table_equals_the_tenant() {
    let stand = Stand::start(120).await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    let user = user(&stand.admin().await, 3).await;
    let mut stand = stand;
    stand.kill_service().await;
    stand.emulator.api.patch(&path(&user), json!({"given_name": "Other"})).await;
    let found = compare(&stand).await;
    assert!(
        found.iter().any(|line| line.contains(&user) && line.contains("given_name")),
        "it compares: {found:?}"
    );
}

#[tokio::test]
async fn an_empty_tenant_is_filled_at_once() {
    let stand = Stand::start(0).await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!(count(&stand.admin().await, "select count(*) from auth0.\"user\"").await, 0);
}
