//! From a client's commit to Auth0: one by one, and many rows at once, each beside a bare HTTP client that
//! makes the same calls to the same emulator.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::bare;
use crate::figures::{Aim, Figures, at};
use crate::process::processor_time;
use crate::support::{self, Emulator, Postgres, Stand};

const UPDATES: usize = 500;
const MANY: u32 = 10_000;
const ROWS: u32 = 100_000;
const SINGLE: u32 = 500;

/// Calls of the service under way at once, as it is configured by itself.
const CONCURRENCY: usize = 16;
/// Of one emulator, and of one that is far away.
const LATENCIES: [(u32, usize); 2] = [(0, UPDATES), (80, 100)];

pub(crate) async fn measure(figures: &mut Figures) {
    for (latency, updates) in LATENCIES {
        let mut stand = stand(500, latency).await;
        figures.note(
            &named("ready with 500 users, tables empty before", latency),
            "s",
            start(&mut stand).await,
        );
        let (_, heard) = one_by_one(&stand, updates).await;
        let settled = settled(&stand).await;
        let bare = bare::one_by_one(&stand.emulator, &users(&stand).await, updates).await;
        figures.spread(&named("bare PATCH", latency), &bare, None);
        figures.spread(&named("commit to NOTIFY", latency), &heard, None);
        figures.spread(&named("created_at to settled_at", latency), &settled, None);
        for (word, share, most) in [("p50", 0.50, 3.0), ("p99", 0.99, 10.0)] {
            let name = named(&format!("commit to NOTIFY, above a bare PATCH, {word}"), latency);
            figures.aim(&name, "ms", at(&heard, share) - at(&bare, share), Aim::Below(most));
        }
    }
}

/// Many rows at once: where all programs share the processors, and where Auth0 is so far away that they need not.
pub(crate) async fn rate(figures: &mut Figures) {
    for latency in [0, 20] {
        let mut stand = stand(MANY, latency).await;
        let ready = named("ready with 10,000 users, tables empty before", latency);
        figures.note(&ready, "s", start(&mut stand).await);
        let service = stand.service.as_ref().unwrap().pid();
        let before = processor_time(service).unwrap();
        let taken = all_at_once(&stand).await;
        let rate = f64::from(MANY) / taken;
        figures.note(&named("10,000 rows in one UPDATE, until all are settled", latency), "rows/s", rate);
        let used = (processor_time(service).unwrap() - before) * 1000.0 / f64::from(MANY);
        figures.note(&named("the service's processor time for each of them", latency), "ms", used);
        stand.service.take().unwrap().terminate().await;
        let users = users(&stand).await;
        let bare = f64::from(MANY) / bare::all_at_once(&stand.emulator, &users, CONCURRENCY).await;
        figures.note(&named("the same calls by a bare client", latency), "calls/s", bare);
        let name = named("rows settled for each call of the bare client", latency);
        figures.aim(&name, "", rate / bare, Aim::AtLeast(0.8));
    }
}

/// What the triggers cost whoever writes.
pub(crate) async fn captured(figures: &mut Figures) {
    // No checkpoint of its own accord falls into one of the statements and spares the other.
    let postgres = Postgres::with(&[("fsync", "on"), ("max_wal_size", "8GB")]);
    let stand = Stand::set_up(postgres, Emulator::start(0).await).await;
    let [plain, captured, later] = capture(&stand).await;
    figures.note("UPDATE of 100,000 rows without capture", "s", plain);
    figures.note("UPDATE of 100,000 rows with capture", "s", captured);
    let most = Aim::Below(3.5);
    figures.aim("UPDATE of 100,000 rows, with capture to without", "", captured / plain, most);
    let name = "UPDATE of 100,000 rows behind ten of one row, with capture to without";
    figures.aim(name, "", later / plain, most);
    let (plain, captured) = single(&stand).await;
    figures.aim(
        "what capture adds to the UPDATE of one row, p50",
        "ms",
        at(&captured, 0.5) - at(&plain, 0.5),
        Aim::Below(0.3),
    );
}

fn named(what: &str, latency: u32) -> String {
    if latency == 0 { what.to_owned() } else { format!("{what} ({latency} ms away)") }
}

/// Those that Auth0 has.
async fn users(stand: &Stand) -> Vec<String> {
    let sql = "select user_id from auth0.\"user\" where user_id not like 'auth0|filled-%' order by 1";
    sqlx::query_scalar(sql).fetch_all(&stand.app().await).await.unwrap()
}

async fn stand(users: u32, latency: u32) -> Stand {
    let (users, latency) = (users.to_string(), latency.to_string());
    let emulator = Emulator::with(&["--users", &users, "--rate-limits", "off", "--latency", &latency]).await;
    Stand::set_up(Postgres::with(&[("fsync", "on")]), emulator).await
}

/// Seconds from the start of the process until it says that it is ready.
async fn start(stand: &mut Stand) -> f64 {
    let begun = Instant::now();
    stand.restart_service().await;
    begun.elapsed().as_secs_f64()
}

/// Milliseconds of each UPDATE with its commit, and from its return until the client hears that it is confirmed.
pub(crate) async fn one_by_one(stand: &Stand, updates: usize) -> (Vec<f64>, Vec<f64>) {
    let mut app = PgConnection::connect(&stand.app_url).await.unwrap();
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let users = users(stand).await;
    let (mut committed, mut heard) = (Vec::new(), Vec::new());
    for n in 0..updates {
        let begun = Instant::now();
        sqlx::query("update auth0.\"user\" set nickname = $1 where user_id = $2")
            .bind(format!("n{n}"))
            .bind(&users[n % users.len()])
            .execute(&mut app)
            .await
            .unwrap();
        let returned = Instant::now();
        committed.push((returned - begun).as_secs_f64() * 1000.0);
        let told: Value = serde_json::from_str(listener.recv().await.unwrap().payload()).unwrap();
        heard.push(returned.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(told["state"], "confirmed", "{told}");
    }
    (committed, heard)
}

/// Milliseconds between the times that `_sync_cdc` shows.
async fn settled(stand: &Stand) -> Vec<f64> {
    let sql = "select (extract(epoch from settled_at - created_at) * 1000)::float8 from auth0._sync_cdc";
    sqlx::query_scalar(sql).fetch_all(&stand.admin().await).await.unwrap()
}

/// Seconds from the commit of one statement that changes every user until all is settled.
async fn all_at_once(stand: &Stand) -> f64 {
    let (app, admin) = (stand.app().await, stand.admin().await);
    sqlx::query("update auth0.\"user\" set nickname = 'at once'").execute(&app).await.unwrap();
    let begun = Instant::now();
    loop {
        // Counting them would cost the service a part of the machine.
        let sql = "select exists (select from auth0._sync_cdc where settled_at is null)";
        let open: bool = sqlx::query_scalar(sql).fetch_one(&admin).await.unwrap();
        if !open {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let taken = begun.elapsed().as_secs_f64();
    let sql = "select count(*) from auth0._sync_cdc where state = 'confirmed'";
    let confirmed: i64 = sqlx::query_scalar(sql).fetch_one(&admin).await.unwrap();
    assert_eq!(confirmed, i64::from(MANY));
    taken
}

/// Seconds of one UPDATE of many rows, without and with the triggers, and with them in a session that has
/// changed single rows before (its plans are made then): the median of three each.
async fn capture(stand: &Stand) -> [f64; 3] {
    let service = PgPool::connect(&stand.variables()[0].1).await.unwrap();
    for sql in [
        "delete from auth0.\"user\"",
        &format!(
            "insert into auth0.\"user\" (user_id, email, name, created_at, updated_at, user_metadata, app_metadata) \
             select 'auth0|' || n, n || '@example.com', 'Name ' || n, now(), now(), '{{\"theme\": \"dark\"}}', '{{\"plan\": \"free\"}}' \
             from generate_series(1, {ROWS}) n"
        ),
    ] {
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&service).await.unwrap();
    }
    let mut admin = stand.postgres.admin(support::stand::DATABASE).await;
    let mut app = PgConnection::connect(&stand.app_url).await.unwrap();
    let mut taken: [Vec<f64>; 3] = Default::default();
    sqlx::query("set session_replication_role = replica").execute(&mut admin).await.unwrap();
    for _ in 0..3 {
        as_before(stand).await;
        taken[0].push(update(&mut admin).await);
        as_before(stand).await;
        taken[1].push(update(&mut app).await);
        as_before(stand).await;
        let mut used = PgConnection::connect(&stand.app_url).await.unwrap();
        for n in 1..=10 {
            sqlx::query("update auth0.\"user\" set nickname = 'one' where user_id = $1")
                .bind(format!("auth0|{n}"))
                .execute(&mut used)
                .await
                .unwrap();
        }
        taken[2].push(update(&mut used).await);
    }
    as_before(stand).await;
    taken.map(|taken| at(&taken, 0.5))
}

/// What stands before each statement that is timed: no rows that have gone, every earlier change settled, as in a
/// table whose service runs, and nothing left to write that the statement itself has not made.
async fn as_before(stand: &Stand) {
    let mut admin = stand.postgres.admin(support::stand::DATABASE).await;
    for sql in [
        "update auth0._sync_cdc set state = 'confirmed', attempts = 1, settled_at = now() where settled_at is null",
        "vacuum analyze auth0._sync_cdc",
        "vacuum analyze auth0.\"user\"",
        "checkpoint",
    ] {
        sqlx::query(sql).execute(&mut admin).await.unwrap();
    }
}

/// Milliseconds of UPDATEs of one row each, without and with the triggers, in turns.
async fn single(stand: &Stand) -> (Vec<f64>, Vec<f64>) {
    let mut admin = stand.postgres.admin(support::stand::DATABASE).await;
    let mut app = PgConnection::connect(&stand.app_url).await.unwrap();
    sqlx::query("set session_replication_role = replica").execute(&mut admin).await.unwrap();
    let (mut plain, mut captured) = (Vec::new(), Vec::new());
    for n in 1..=SINGLE {
        for (who, connection, taken) in [("admin", &mut admin, &mut plain), ("app", &mut app, &mut captured)]
        {
            let begun = Instant::now();
            sqlx::query("update auth0.\"user\" set nickname = $1 where user_id = $2")
                .bind(format!("{who} {n}"))
                .bind(format!("auth0|{n}"))
                .execute(connection)
                .await
                .unwrap();
            taken.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    (plain, captured)
}

/// Commits: what is not kept costs less.
async fn update(connection: &mut PgConnection) -> f64 {
    let begun = Instant::now();
    sqlx::query("update auth0.\"user\" set nickname = clock_timestamp()::text")
        .execute(connection)
        .await
        .unwrap();
    begun.elapsed().as_secs_f64()
}
