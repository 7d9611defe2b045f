//! Users by export: streamed, broken off, taken up again, refused.

use serde_json::{Value, json};

use crate::restart::launch;
use crate::support::{Emulator, Postgres, Stand, all_settled, compare, wait_until};
use crate::{SECONDS, becomes, calls, count, execute, fault, log_is_read, no_faults, path, same, text};

const USERS: &str = "select count(*) from auth0.\"user\"";
/// How the table was filled.
const METHOD: &str = "select method from _auth0_sync.backfill where \"table\" = 'user'";

async fn stand(users: u32, arguments: &[&str]) -> Stand {
    let users = users.to_string();
    let arguments = [&["--users", &users, "--rate-limits", "off"], arguments].concat();
    Stand::set_up(Postgres::start(), Emulator::with(&arguments).await).await
}

/// The download breaks after so many bytes.
fn cut(bytes: usize) -> Value {
    json!({"match": {"path": "^/exports/"}, "times": 1, "do": "cut", "bytes": bytes})
}

/// The download hangs after so many bytes.
fn hang(bytes: usize, ms: u64) -> Value {
    json!({"match": {"path": "^/exports/"}, "times": 1, "do": "stall", "bytes": bytes, "delay_ms": ms})
}

async fn jobs(stand: &Stand) -> u64 {
    calls(stand, "POST /jobs/users-exports").await
}

async fn downloads(stand: &Stand) -> u64 {
    calls(stand, "GET /exports/").await
}

#[tokio::test]
async fn thousands_of_users_come_in_one_file_packed_or_not() {
    for form in ["off", "encoding", "file"] {
        let mut stand = stand(5_200, &["--export-gzip", form]).await;
        stand.restart_service().await;
        let pool = stand.admin().await;
        assert_eq!(compare(&stand).await, Vec::<String>::new(), "{form}");
        assert_eq!(count(&pool, USERS).await, 5_200);
        assert_eq!((jobs(&stand).await, downloads(&stand).await), (1, 1), "{form}");
        assert_eq!(calls(&stand, "GET /users/{user_id}").await, 0, "nobody is asked for by key");
        assert_eq!(text(&pool, METHOD).await.as_deref(), Some("export"));
        assert_eq!(count(&pool, "select count(*) from _auth0_sync.export").await, 0);
        assert_eq!(count(&pool, "select count(*) from auth0._sync_cdc").await, 0);
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_stopped_by_a_new_link() {
    for form in ["off", "encoding", "file"] {
        let mut stand = stand(3_000, &["--export-gzip", form]).await;
        for bytes in [0, 40_000, 90_000] {
            fault(&stand, cut(bytes)).await;
        }
        fault(&stand, json!({"match": {"path": "^/exports/"}, "times": 1, "do": "status", "status": 403}))
            .await;
        stand.restart_service().await;
        assert_eq!(compare(&stand).await, Vec::<String>::new(), "{form}");
        assert_eq!(
            (jobs(&stand).await, downloads(&stand).await),
            (1, 4),
            "{form}: the refused one is not counted"
        );
        assert_eq!(count(&stand.admin().await, USERS).await, 3_000);
    }
}

#[tokio::test]
async fn a_service_that_is_killed_takes_the_job_up_again_and_shows_nobody_who_is_gone() {
    let mut stand = stand(3_000, &[]).await;
    let pool = stand.admin().await;
    fault(&stand, cut(200_000)).await;
    fault(&stand, hang(1_000, 60_000)).await;
    let mut service = launch(&stand, "auto");
    wait_until("a part is stored", SECONDS, async || count(&pool, USERS).await >= 100).await;
    let stored = count(&pool, USERS).await;
    assert!(stored < 3_000, "{stored}");
    // Of the part that is still to come, after the file was made: it shows both of them as they were.
    let there = stand.emulator.api.get("/_emulator/state").await;
    let id = |n: usize| there["user"][n]["user_id"].as_str().unwrap().to_owned();
    let last = text(&pool, "select max(created_at)::text from auth0.\"user\"").await;
    assert!(last.is_some());
    let (gone, changed) = (id(2_990), id(2_991));
    stand.emulator.api.delete(&path(&gone)).await;
    stand.emulator.api.patch(&path(&changed), json!({"nickname": "meanwhile"})).await;
    becomes(&pool, &format!("select nickname from auth0.\"user\" where user_id = '{changed}'"), "meanwhile")
        .await;
    log_is_read(&stand, &pool).await;
    wait_until("the deletion is remembered", SECONDS, async || {
        count(&pool, "select count(*) from _auth0_sync.export_gone").await == 1
    })
    .await;
    service.kill().await;
    no_faults(&stand).await;
    stand.restart_service().await;
    same(&stand).await;
    assert_eq!(count(&pool, USERS).await, 2_999);
    assert_eq!((jobs(&stand).await, downloads(&stand).await), (1, 3));
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.export_gone").await, 0);
}

#[tokio::test]
async fn a_job_that_has_ended_meanwhile_is_started_anew() {
    let mut stand = stand(1_500, &[]).await;
    let pool = stand.admin().await;
    fault(&stand, cut(200_000)).await;
    fault(&stand, hang(1_000, 60_000)).await;
    let mut service = launch(&stand, "auto");
    wait_until("a part is stored", SECONDS, async || count(&pool, USERS).await >= 100).await;
    service.kill().await;
    no_faults(&stand).await;
    execute(&pool, "update _auth0_sync.export set job = 'job_AAAAAAAAAAAAAAAA'").await;
    stand.restart_service().await;
    same(&stand).await;
    assert_eq!((jobs(&stand).await, count(&pool, USERS).await), (2, 1_500));
}

#[tokio::test]
async fn a_job_that_fails_is_started_again_and_then_the_users_are_searched_for() {
    for (failures, method) in [(1, "export"), (2, "search")] {
        let mut stand = stand(1_200, &[]).await;
        let order = json!({"match": {"path": "users-exports"}, "times": failures, "do": "fail_job", "body": {"failed": 1}});
        fault(&stand, order).await;
        stand.restart_service().await;
        let pool = stand.admin().await;
        assert_eq!(compare(&stand).await, Vec::<String>::new());
        assert_eq!((jobs(&stand).await, count(&pool, USERS).await), (2, 1_200));
        assert_eq!(text(&pool, METHOD).await.as_deref(), Some(method));
        assert_eq!(count(&pool, "select count(*) from _auth0_sync.export").await, 0);
    }
}

#[tokio::test]
async fn where_exports_are_not_allowed_the_users_are_searched_for() {
    let mut stand = stand(2_300, &["--without", "exports"]).await;
    stand.restart_service().await;
    let pool = stand.admin().await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!(count(&pool, USERS).await, 2_300);
    assert_eq!(text(&pool, METHOD).await.as_deref(), Some("search"));
    assert!(stand.service.as_ref().unwrap().log().contains("the table is read by search"));
}

#[tokio::test]
async fn a_second_export_brings_what_was_missed_and_writes_nothing_else() {
    let mut stand = stand(2_000, &[]).await;
    // Nobody tells what happens while the service is down.
    stand.configuration = "events = false\n".to_owned();
    stand.restart_service().await;
    let pool = stand.admin().await;
    stand.kill_service().await;
    let there = stand.emulator.api.get("/_emulator/state").await;
    let id = |n: usize| there["user"][n]["user_id"].as_str().unwrap().to_owned();
    for n in 0..20 {
        stand.emulator.api.patch(&path(&id(n * 50)), json!({"nickname": "missed"})).await;
    }
    for n in 0..3 {
        stand.emulator.api.delete(&path(&id(n * 50 + 1))).await;
    }
    let logs = stand.emulator.api.get("/api/v2/logs?sort=date:-1&per_page=1&page=0").await;
    let newest = logs[0]["log_id"].as_str().unwrap();
    execute(&pool, &format!("update _auth0_sync.checkpoint set position = '{newest}'")).await;
    // What the export does not show is the mirror's own: users' columns, unknown fields, untouched rows.
    execute(&pool, "alter table auth0.\"user\" add column ours text default 'ours'").await;
    execute(
        &pool,
        "update _auth0_sync.backfill set state = 'waiting', finished_at = null where \"table\" = 'user'",
    )
    .await;
    execute(&pool, "create table rows_before as select user_id, xmin::text as version from auth0.\"user\"")
        .await;
    stand.emulator.api.delete("/_emulator/calls").await;
    stand.restart_service().await;
    assert_eq!(
        (jobs(&stand).await, calls(&stand, "GET /users/{user_id}").await),
        (1, 3),
        "those alone that it lacks"
    );
    let written = "select count(*) from rows_before b join auth0.\"user\" u using (user_id) where u.xmin::text <> b.version";
    assert_eq!(count(&pool, written).await, 20, "what is the same is not written");
    assert_eq!(count(&pool, "select count(*) from auth0.\"user\" where ours = 'ours'").await, 1_997);
    execute(&pool, "alter table auth0.\"user\" drop column ours").await;
    same(&stand).await;
}

#[tokio::test]
async fn what_clients_write_while_an_export_is_read_wins() {
    let mut stand = stand(1_500, &[]).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    fault(&stand, cut(200_000)).await;
    fault(&stand, hang(1_000, 4_000)).await;
    let service = launch(&stand, "auto");
    wait_until("a part is stored", SECONDS, async || count(&pool, USERS).await >= 100).await;
    let there: Vec<String> =
        sqlx::query_scalar("select user_id from auth0.\"user\" order by user_id limit 3")
            .fetch_all(&pool)
            .await
            .unwrap();
    execute(&app, &format!("update auth0.\"user\" set nickname = 'mine' where user_id = '{}'", there[0]))
        .await;
    execute(&app, &format!("delete from auth0.\"user\" where user_id = '{}'", there[1])).await;
    let insert = "insert into auth0.\"user\" (email, connection, password) \
                  values ('other@example.com', 'Username-Password-Authentication', 'Long-enough-9!')";
    execute(&app, insert).await;
    // A row that a client holds while the rest of the file comes keeps nobody else waiting.
    let mut client = app.begin().await.unwrap();
    let held = format!("update auth0.\"user\" set nickname = 'held' where user_id = '{}'", there[2]);
    sqlx::query(sqlx::AssertSqlSafe(held)).execute(&mut *client).await.unwrap();
    let mut service = service;
    service.ready().await;
    stand.service = Some(service);
    client.commit().await.unwrap();
    all_settled(&stand).await;
    same(&stand).await;
    assert_eq!(count(&pool, "select count(*) from auth0._sync_cdc where state <> 'confirmed'").await, 0);
    assert_eq!(
        count(&pool, "select count(*) from auth0.\"user\" where nickname in ('mine', 'held')").await,
        2
    );
    assert_eq!(count(&pool, USERS).await, 1_500, "one more, one less");
    assert_eq!(jobs(&stand).await, 1);
}
