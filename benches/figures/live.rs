//! From a change at Auth0 to the table.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, PgConnection, Row};

use crate::figures::Figures;
use crate::support::{Emulator, Postgres, Stand};

const USERS: u32 = 500;
const CHANGES: usize = 300;
/// Between two changes.
const PACE: Duration = Duration::from_millis(50);
const GIVEN_UP: Duration = Duration::from_secs(60);

pub(crate) async fn measure(figures: &mut Figures) {
    let by_logs = changes("events = false\n[sweep]\nevery_hours = 0\n").await;
    figures.spread("change at Auth0 to the table, by logs", &by_logs);
}

/// Milliseconds from Auth0's answer to a change until a query of the table shows it.
async fn changes(configuration: &str) -> Vec<f64> {
    let mut stand = Stand::set_up(Postgres::with(&[("fsync", "on")]), Emulator::start(USERS).await).await;
    stand.configuration = configuration.to_owned();
    stand.restart_service().await;
    let mut watcher = PgConnection::connect(&stand.app_url).await.unwrap();
    let users: Vec<String> = sqlx::query_scalar("select user_id from auth0.\"user\" order by 1")
        .fetch_all(&mut watcher)
        .await
        .unwrap();
    let (made_in, mut made) = tokio::sync::mpsc::unbounded_channel();
    let api = stand.emulator.api.clone();
    let changer = tokio::spawn(async move {
        let mut pace = tokio::time::interval(PACE);
        for n in 0..CHANGES {
            pace.tick().await;
            let (user, name) = (&users[n % users.len()], format!("live {n}"));
            let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
            api.patch(&path, json!({"nickname": name})).await;
            made_in.send((user.clone(), name, Instant::now())).unwrap();
        }
    });
    let (mut open, mut taken) = (HashMap::new(), Vec::new());
    let begun = Instant::now();
    while taken.len() < CHANGES {
        while let Ok((user, name, since)) = made.try_recv() {
            open.insert(user, (name, since));
        }
        let keys: Vec<&String> = open.keys().collect();
        let sql = "select user_id, nickname from auth0.\"user\" where user_id = any ($1)";
        let rows = sqlx::query(sql).bind(keys).fetch_all(&mut watcher).await.unwrap();
        for row in rows {
            let (user, nickname): (String, Option<String>) = (row.get(0), row.get(1));
            if open.get(&user).is_some_and(|(name, _)| nickname.as_ref() == Some(name)) {
                taken.extend(open.remove(&user).map(|(_, since)| since.elapsed().as_secs_f64() * 1000.0));
            }
        }
        assert!(begun.elapsed() < GIVEN_UP, "{} of {CHANGES} changes have arrived", taken.len());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    changer.await.unwrap();
    taken
}
