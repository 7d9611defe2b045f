//! What clients do and what must come of it. Each scenario takes a stand with 20 users and leaves
//! tables and emulator the same; the newest and the oldest Postgres run them.

#![allow(unreachable_pub, dead_code, reason = "every test file takes what it needs")]
#![expect(clippy::unwrap_used, reason = "tests alone stand on this")]

pub mod columns;
pub mod keys;
pub mod outcome;
pub mod refusals;
pub mod rows;
pub mod secrets;
pub mod transactions;

use serde_json::Value;

use crate::support::{Session, Stand};

/// Users of the main database connection, by id.
const MINE: &str = "select user_id from auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication'";

/// The id of the n-th user.
pub async fn user(session: &mut Session, n: u32) -> String {
    session.text(&format!("{MINE} order by user_id offset {n} limit 1")).await
}

/// The user as the API shows it.
pub async fn api_user(stand: &Stand, id: &str) -> Value {
    stand.emulator.api.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await
}

/// The rows of a table at the emulator whose `field` is `value`.
pub async fn there(stand: &Stand, table: &str, field: &str, value: &str) -> Vec<Value> {
    let state = stand.emulator.state().await;
    state[table].as_array().unwrap().iter().filter(|row| row[field] == value).cloned().collect()
}
