//! From a change at Auth0 to the table, by each source alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::figures::Figures;
use crate::support::{Api, Emulator, Postgres, Stand, wait_until};

const USERS: u32 = 500;
const GIVEN_UP: Duration = Duration::from_secs(120);
/// No source but the one that is measured: the log is read once an hour, nothing is compared.
const NO_LOGS: &str = "log_interval_ms = 3600000\n";
const NO_SWEEP: &str = "[sweep]\nevery_hours = 0\n";

/// By which way a change comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Events,
    Logs,
    Actions,
}

impl Way {
    fn configuration(self) -> String {
        match self {
            Way::Events => format!("{NO_LOGS}{NO_SWEEP}"),
            Way::Logs => format!("events = false\n{NO_SWEEP}"),
            Way::Actions => {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let webhook = format!("[webhook]\nlisten = \"{address}\"\nurl = \"http://{address}\"\n");
                format!("events = false\n{NO_LOGS}{webhook}{NO_SWEEP}")
            }
        }
    }

    /// Changes, and the pause between two.
    fn pace(self) -> (usize, Duration) {
        match self {
            // Each login starts a Node.
            Way::Actions => (100, Duration::from_millis(200)),
            Way::Events | Way::Logs => (300, Duration::from_millis(50)),
        }
    }

    /// The column that shows the change.
    fn column(self) -> &'static str {
        match self {
            Way::Actions => "last_ip",
            Way::Events | Way::Logs => "nickname",
        }
    }

    /// Makes a change at Auth0; what the column shows then, and since when it is there.
    async fn change(self, api: &Api, user: &str, n: usize) -> (String, Instant) {
        match self {
            Way::Actions => {
                // An Action runs while the login is going on: its time counts from the beginning.
                let (began, ip) = (Instant::now(), format!("198.51.{}.{}", n / 200, n % 200 + 1));
                let login = api.post("/_emulator/login", json!({"user_id": user, "ip": ip})).await;
                assert_eq!(login["actions"]["ran"], 1, "{login}");
                (ip, began)
            }
            Way::Events | Way::Logs => {
                let (path, name) =
                    (format!("/api/v2/users/{}", user.replace('|', "%7C")), format!("live {n}"));
                api.patch(&path, json!({"nickname": name})).await;
                (name, Instant::now())
            }
        }
    }
}

pub(crate) async fn measure(figures: &mut Figures) {
    figures.spread("change at Auth0 to the table, by events", &changes(Way::Events).await, Some(2_000.0));
    figures.spread("change at Auth0 to the table, by logs", &changes(Way::Logs).await, Some(10_000.0));
    if std::process::Command::new("node").arg("--version").output().is_err() {
        eprintln!("logins by Actions are not measured: node is not in PATH");
        return;
    }
    figures.spread("login at Auth0 to the table, by Actions", &changes(Way::Actions).await, Some(2_000.0));
}

/// Milliseconds from Auth0's answer to a change until a query of the table shows it.
async fn changes(way: Way) -> Vec<f64> {
    let mut stand = Stand::set_up(Postgres::with(&[("fsync", "on")]), Emulator::start(USERS).await).await;
    stand.configuration = way.configuration();
    stand.restart_service().await;
    wait_until("the source is there", GIVEN_UP, async || {
        let status = stand.status().await;
        match way {
            Way::Events => status["events"]["state"] == "connected",
            Way::Logs => true,
            Way::Actions => status["webhook"]["in_place"] == true,
        }
    })
    .await;
    let mut watcher = PgConnection::connect(&stand.app_url).await.unwrap();
    let users: Vec<String> = sqlx::query_scalar("select user_id from auth0.\"user\" order by 1")
        .fetch_all(&mut watcher)
        .await
        .unwrap();
    let (made_in, mut made) = tokio::sync::mpsc::unbounded_channel();
    let api = stand.emulator.api.clone();
    let (count, pause) = way.pace();
    let changer = tokio::spawn(async move {
        let mut pace = tokio::time::interval(pause);
        for n in 0..count {
            pace.tick().await;
            let user = &users[n % users.len()];
            let (shown, since) = way.change(&api, user, n).await;
            made_in.send((user.clone(), shown, since)).unwrap();
        }
    });
    let (mut open, mut taken) = (HashMap::new(), Vec::new());
    let begun = Instant::now();
    let sql = format!("select user_id, {} from auth0.\"user\" where user_id = any ($1)", way.column());
    while taken.len() < count {
        while let Ok((user, name, since)) = made.try_recv() {
            open.insert(user, (name, since));
        }
        let keys: Vec<&String> = open.keys().collect();
        let rows = sqlx::query(AssertSqlSafe(sql.clone())).bind(keys).fetch_all(&mut watcher).await.unwrap();
        for row in rows {
            let (user, shown): (String, Option<String>) = (row.get(0), row.get(1));
            if open.get(&user).is_some_and(|(name, _)| shown.as_ref() == Some(name)) {
                taken.extend(open.remove(&user).map(|(_, since)| since.elapsed().as_secs_f64() * 1000.0));
            }
        }
        assert!(begun.elapsed() < GIVEN_UP, "{} of {count} changes have arrived", taken.len());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    changer.await.unwrap();
    taken
}
