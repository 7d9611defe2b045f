//! Strict mode: a statement returns when Auth0 has taken what it changes, fails when Auth0 refuses it,
//! and whatever becomes of its transaction, Auth0 ends equal to what Postgres has committed.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod ends;
mod outages;
mod pauses;
mod statements;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::Value;
use sqlx::AssertSqlSafe;

use support::{Session, Stand, wait_until};

const SOON: Duration = Duration::from_secs(10);

/// An application's session in strict mode.
async fn strict(stand: &Stand) -> Session {
    let mut session = stand.session().await;
    session.run("set auth0.write_mode = 'strict'").await;
    session
}

/// The id of the n-th user of the main database connection.
async fn user(session: &mut Session, n: u32) -> String {
    let mine = "identities -> 0 ->> 'connection' = 'Username-Password-Authentication'";
    session
        .text(&format!("select user_id from auth0.user where {mine} order by user_id offset {n} limit 1"))
        .await
}

/// The user as Auth0 has it.
async fn at_auth0(stand: &Stand, id: &str) -> Value {
    stand.emulator.api.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await
}

/// Waits until Auth0 has this value in a user.
async fn becomes(stand: &Stand, id: &str, field: &str, wanted: &Value) {
    let what = format!("{field} of {id} becomes {wanted}");
    wait_until(&what, SOON, async || at_auth0(stand, id).await[field] == *wanted).await;
}

/// What a statement with RETURNING gives, as text.
async fn returned(session: &mut Session, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut session.connection).await.unwrap()
}

/// Rows that a table of the emulator has with this value.
async fn there(stand: &Stand, table: &str, field: &str, value: &str) -> usize {
    let state = stand.emulator.state().await;
    state[table].as_array().unwrap().iter().filter(|row| row[field] == value).count()
}

/// Waits until no intent is open: every transaction is decided, and Auth0 follows it.
async fn decided(stand: &Stand) {
    let mut root = stand.root().await;
    let open = "select count(*) from _auth0_sync.intent";
    wait_until("every strict transaction is decided", SOON, async || root.count(open).await == 0).await;
}
