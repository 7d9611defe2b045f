//! The same calls as the service makes, by a client that does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::support::Emulator;

fn path(user: &str) -> String {
    format!("/api/v2/users/{}", user.replace('|', "%7C"))
}

/// Milliseconds of each call, one after another.
pub(crate) async fn one_by_one(emulator: &Emulator, users: &[String], calls: usize) -> Vec<f64> {
    let mut taken = Vec::new();
    for n in 0..calls {
        let begun = Instant::now();
        emulator.api.patch(&path(&users[n % users.len()]), json!({"nickname": format!("b{n}")})).await;
        taken.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    taken
}

/// Seconds until every user has been changed, with so many calls at once.
pub(crate) async fn all_at_once(emulator: &Emulator, users: &[String], concurrency: usize) -> f64 {
    let users: Arc<[String]> = users.into();
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (api, users, next) = (emulator.api.clone(), Arc::clone(&users), Arc::clone(&next));
        callers.spawn(async move {
            while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
                api.patch(&path(user), json!({"nickname": "bare"})).await;
            }
        });
    }
    callers.join_all().await;
    begun.elapsed().as_secs_f64()
}
