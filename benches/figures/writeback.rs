//! From a client's commit to Auth0: one by one, and many rows at once.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::figures::{Figures, at};
use crate::process::processor_time;
use crate::support::{self, Emulator, Postgres, Stand};

const UPDATES: usize = 500;
const MANY: u32 = 10_000;
const ROWS: u32 = 100_000;

pub(crate) async fn measure(figures: &mut Figures) {
    let mut stand = stand(500).await;
    figures.note("ready with 500 users, tables empty before", "s", start(&mut stand).await);
    let (heard, settled) = one_by_one(&stand).await;
    figures.spread("commit to NOTIFY", &heard, None);
    figures.spread("created_at to settled_at", &settled, None);
    drop(stand);

    let mut stand = self::stand(MANY).await;
    figures.note("ready with 10,000 users, tables empty before", "s", start(&mut stand).await);
    let service = stand.service.as_ref().unwrap().pid();
    let before = processor_time(service).unwrap();
    let taken = all_at_once(&stand).await;
    figures.note("10,000 rows in one UPDATE, until all are settled", "rows/s", f64::from(MANY) / taken);
    let used = (processor_time(service).unwrap() - before) * 1000.0 / f64::from(MANY);
    figures.note("the service's processor time for each of them", "ms", used);
    stand.service.take().unwrap().terminate().await;
    let (plain, captured) = capture(&stand).await;
    figures.note("UPDATE of 100,000 rows without capture", "s", plain);
    figures.note("UPDATE of 100,000 rows with capture", "s", captured);
}

async fn stand(users: u32) -> Stand {
    Stand::set_up(Postgres::with(&[("fsync", "on")]), Emulator::start(users).await).await
}

/// Seconds from the start of the process until it says that it is ready.
async fn start(stand: &mut Stand) -> f64 {
    let begun = Instant::now();
    stand.restart_service().await;
    begun.elapsed().as_secs_f64()
}

/// Milliseconds from the return of each commit until the client hears of its confirmation, and
/// between the times that `_sync_cdc` shows.
async fn one_by_one(stand: &Stand) -> (Vec<f64>, Vec<f64>) {
    let app = stand.app().await;
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let users: Vec<String> =
        sqlx::query_scalar("select user_id from auth0.\"user\" order by 1").fetch_all(&app).await.unwrap();
    let mut heard = Vec::new();
    for n in 0..UPDATES {
        sqlx::query("update auth0.\"user\" set nickname = $1 where user_id = $2")
            .bind(format!("n{n}"))
            .bind(&users[n % users.len()])
            .execute(&app)
            .await
            .unwrap();
        let committed = Instant::now();
        let told: Value = serde_json::from_str(listener.recv().await.unwrap().payload()).unwrap();
        heard.push(committed.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(told["state"], "confirmed", "{told}");
    }
    let sql = "select (extract(epoch from settled_at - created_at) * 1000)::float8 from auth0._sync_cdc";
    let settled = sqlx::query_scalar(sql).fetch_all(&stand.admin().await).await.unwrap();
    (heard, settled)
}

/// Seconds from the commit of one statement that changes every user until all is settled.
async fn all_at_once(stand: &Stand) -> f64 {
    let (app, admin) = (stand.app().await, stand.admin().await);
    sqlx::query("update auth0.\"user\" set nickname = 'at once'").execute(&app).await.unwrap();
    let begun = Instant::now();
    loop {
        let sql = "select count(*) from auth0._sync_cdc where settled_at is null";
        let open: i64 = sqlx::query_scalar(sql).fetch_one(&admin).await.unwrap();
        if open == 0 {
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

/// Seconds of one UPDATE of many rows, without and with the triggers: the median of three each.
async fn capture(stand: &Stand) -> (f64, f64) {
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
    let (mut plain, mut captured) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        sqlx::query("vacuum analyze auth0.\"user\"").execute(&mut admin).await.unwrap();
        sqlx::query("set session_replication_role = replica").execute(&mut admin).await.unwrap();
        plain.push(update(&mut admin).await);
        sqlx::query("vacuum auth0.\"user\"").execute(&mut admin).await.unwrap();
        captured.push(update(&mut app).await);
    }
    (at(&plain, 0.5), at(&captured, 0.5))
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
