//! Auth0's events: changes arrive by them alone, and whatever goes wrong with the stream loses nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Api, Emulator, Postgres, Stand};
use crate::{SECONDS, calls, count, execute, fault, no_faults, path, same, text, user, wait_until};

/// Only the stream brings changes: the tenant log is asked once an hour.
const ALONE: &str = "log_interval_ms = 3600000\n[sweep]\nevery_hours = 0\n";

/// A service that follows the events and nothing else.
async fn alone(users: u32, arguments: &[&str]) -> Stand {
    let users = users.to_string();
    let arguments: Vec<_> =
        ["--users", users.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    let mut stand = Stand::set_up(Postgres::start(), Emulator::with(&arguments).await).await;
    stand.configuration = ALONE.to_owned();
    stand.restart_service().await;
    connected(&stand).await;
    // What the log has at the start has been read; from now on it fails.
    fault(&stand, json!({"match": {"path": "^/api/v2/logs$"}, "do": "status", "status": 503})).await;
    stand
}

async fn events(stand: &Stand) -> Value {
    stand.status().await["events"].clone()
}

async fn connected(stand: &Stand) {
    wait_until("the events are followed", SECONDS, async || events(stand).await["state"] == "connected")
        .await;
}

/// How often the stream has been opened.
async fn connections(stand: &Stand) -> u64 {
    events(stand).await["connections"].as_u64().unwrap()
}

async fn rename(stand: &Stand, user: &str, name: &str) {
    stand.emulator.api.patch(&path(user), json!({"nickname": name})).await;
}

async fn arrives(stand: &Stand, user: &str, name: &str) {
    let pool = stand.admin().await;
    let sql = format!("select nickname from auth0.\"user\" where user_id = '{user}'");
    wait_until(name, SECONDS, async || text(&pool, &sql).await.as_deref() == Some(name)).await;
}

async fn new_user(stand: &Stand, name: &str) -> String {
    let user = json!({"connection": "Username-Password-Authentication", "email": format!("{name}@example.com"), "password": "Aa1!aaaaaaaa"});
    stand.emulator.api.post("/api/v2/users", user).await["user_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_made_changed_and_deleted_at_auth0_is_seen_by_events_alone() {
    let stand = alone(20, &[]).await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    let ada = new_user(&stand, "ada").await;
    let others = user(&pool, 0).await;
    let organization = json!({"name": "hooli", "display_name": "Hooli"});
    let organization =
        api.post("/api/v2/organizations", organization).await["id"].as_str().unwrap().to_owned();
    let home = format!("/api/v2/organizations/{organization}");
    api.post(&format!("{home}/members"), json!({"members": [ada, others]})).await;
    same(&stand).await;
    api.patch(&path(&ada), json!({"user_metadata": {"a": {"b": 1}}, "app_metadata": {"plan": "pro"}})).await;
    api.patch(&home, json!({"display_name": "Hooli Inc.", "metadata": {"k": "v"}})).await;
    let (status, _) = api
        .send(reqwest::Method::DELETE, &format!("{home}/members"), Some(&json!({"members": [others]})))
        .await;
    assert!(status.is_success());
    same(&stand).await;
    api.delete(&path(&ada)).await;
    api.delete(&home).await;
    same(&stand).await;
    assert_eq!(
        count(&pool, &format!("select count(*) from auth0.\"user\" where user_id = '{ada}'")).await,
        0
    );
}

#[tokio::test]
async fn a_change_is_in_the_table_within_two_seconds() {
    let stand = alone(20, &[]).await;
    let pool = stand.admin().await;
    let mut taken = Vec::new();
    for n in 0..50 {
        let user = user(&pool, n % 20).await;
        let began = Instant::now();
        rename(&stand, &user, &format!("change {n}")).await;
        arrives(&stand, &user, &format!("change {n}")).await;
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    eprintln!("changes by events: p50 {:?}, p95 {:?}", taken[25], taken[47]);
    assert!(taken[47] < Duration::from_secs(2), "{taken:?}");
    assert_eq!(calls(&stand, "GET /users/{user_id}").await, 0, "the payload shows all that has changed");
}

#[tokio::test]
async fn our_own_writes_come_back_and_cost_no_call() {
    let stand = alone(20, &[]).await;
    let (app, pool) = (stand.app().await, stand.admin().await);
    let others = user(&pool, 9).await;
    stand.emulator.api.delete("/_emulator/calls").await;
    execute(&app, "update auth0.\"user\" set nickname = 'x' where user_id in (select user_id from auth0.\"user\" order by 1 limit 5)").await;
    execute(&app, "insert into auth0.\"user\" (email, connection, password) values ('own@example.com', 'Username-Password-Authentication', 'Aa1!aaaaaaaa')").await;
    execute(&app, "insert into auth0.organization (name, display_name) values ('ours', 'Ours')").await;
    same(&stand).await;
    // Events that come back when their row has changed again, or when it or one that it hangs on has gone, would
    // have to be asked about: all have come back when somebody else's change has come after them.
    rename(&stand, &others, "nobody").await;
    arrives(&stand, &others, "nobody").await;
    execute(&app, "update auth0.organization set display_name = 'Still ours' where name = 'ours'").await;
    execute(&app, "insert into auth0.organization_member select o.id, u.user_id from auth0.organization o, auth0.\"user\" u where o.name = 'ours' and u.email = 'own@example.com'").await;
    same(&stand).await;
    rename(&stand, &others, "somebody").await;
    arrives(&stand, &others, "somebody").await;
    execute(&app, "delete from auth0.organization_member m using auth0.organization o where o.id = m.organization_id and o.name = 'ours'").await;
    same(&stand).await;
    rename(&stand, &others, "another").await;
    arrives(&stand, &others, "another").await;
    execute(&app, "delete from auth0.\"user\" where email = 'own@example.com'").await;
    same(&stand).await;
    rename(&stand, &others, "somebody else").await;
    arrives(&stand, &others, "somebody else").await;
    assert_eq!(calls(&stand, "GET /users/{user_id}").await, 0);
    assert_eq!(calls(&stand, "GET /organizations").await, 0);
    assert_eq!(calls(&stand, "PATCH /users").await, 9);
}

#[tokio::test]
async fn a_stream_that_breaks_repeats_or_mixes_up_loses_nothing() {
    let stand = alone(10, &[]).await;
    let pool = stand.admin().await;
    let (a, b) = (user(&pool, 0).await, user(&pool, 1).await);
    let orders = [
        json!({"do": "events_drop", "times": 1}),
        json!({"do": "events_duplicate", "times": 3}),
        json!({"do": "events_disorder", "times": 2}),
        json!({"do": "events_delay", "delay_ms": 200, "times": 1}),
        json!({"do": "events_error", "code": "timeout", "times": 1}),
        json!({"do": "events_error", "code": "processing_error", "times": 1}),
        json!({"do": "events_error", "code": "connection_timeout", "times": 1}),
        json!({"do": "events_error", "code": "payload_too_large", "times": 1}),
    ];
    for (place, order) in orders.into_iter().enumerate() {
        fault(&stand, order).await;
        for n in 0..3 {
            rename(&stand, &a, &format!("{place} {n}")).await;
            rename(&stand, &b, &n.to_string()).await;
        }
        let made = new_user(&stand, &format!("user{place}")).await;
        stand.emulator.api.delete(&path(&made)).await;
        same(&stand).await;
    }
    assert!(connections(&stand).await >= 5);
    assert_eq!(events(&stand).await["lost"], 0);
}

#[tokio::test]
async fn auth0_closes_the_connection_and_the_token_ends_and_nothing_is_lost() {
    let mut stand = alone(10, &["--event-connection-seconds", "1", "--token-lifetime", "3"]).await;
    let pool = stand.admin().await;
    let before = connections(&stand).await;
    let mut n = 0;
    wait_until("some connections have come and gone", SECONDS, async || {
        n += 1;
        let Emulator { url, client_id, client_secret, .. } = &stand.emulator;
        // The token of the test ends too.
        let api = Api::connect(url, client_id, client_secret).await;
        stand.emulator.api = api;
        rename(&stand, &user(&pool, n % 10).await, &format!("round {n}")).await;
        connections(&stand).await > before + 4
    })
    .await;
    same(&stand).await;
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let stand = alone(10, &[]).await;
    let pool = stand.admin().await;
    let stream = "^/api/v2/events$";
    for status in [403, 429, 500, 401] {
        fault(&stand, json!({"match": {"path": stream}, "do": "status", "status": status, "times": 2})).await;
        fault(&stand, json!({"do": "events_drop", "times": 1})).await;
        let name = format!("after {status}");
        rename(&stand, &user(&pool, 0).await, &name).await;
        arrives(&stand, &user(&pool, 0).await, &name).await;
    }
    assert_eq!(events(&stand).await["lost"], 0);
}

#[tokio::test]
async fn a_service_that_was_killed_goes_on_behind_the_last_event_that_it_has_applied() {
    let mut stand = alone(30, &[]).await;
    let pool = stand.admin().await;
    let mut killed = 0;
    for round in 0..3 {
        for n in 0..10 {
            rename(&stand, &user(&pool, n).await, &format!("{round} {n}")).await;
        }
        let made = new_user(&stand, &format!("round{round}")).await;
        stand.kill_service().await;
        killed += 1;
        // While nobody listens.
        for n in 10..20 {
            rename(&stand, &user(&pool, n).await, &format!("{round} {n}")).await;
        }
        if round == 1 {
            stand.emulator.api.delete(&path(&made)).await;
        }
        stand.restart_service().await;
        same(&stand).await;
        assert_eq!(events(&stand).await["lost"], 0);
    }
    assert_eq!(killed, 3);
    let sql =
        "select position <> '' and told_at is not null from _auth0_sync.checkpoint where source = 'events'";
    let stored: bool = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    assert!(stored);
}

#[tokio::test]
async fn an_emulator_that_was_killed_keeps_its_events() {
    let mut stand = alone(10, &[]).await;
    let pool = stand.admin().await;
    rename(&stand, &user(&pool, 0).await, "before").await;
    stand.emulator.program.kill().await;
    stand.emulator.restart().await;
    fault(&stand, json!({"match": {"path": "^/api/v2/logs$"}, "do": "status", "status": 503})).await;
    rename(&stand, &user(&pool, 1).await, "after").await;
    arrives(&stand, &user(&pool, 0).await, "before").await;
    arrives(&stand, &user(&pool, 1).await, "after").await;
}

#[tokio::test]
async fn what_has_gone_from_the_stream_is_found_by_reading_everything_that_it_covers() {
    let mut stand = alone(30, &["--event-retention", "1"]).await;
    let pool = stand.admin().await;
    rename(&stand, &user(&pool, 0).await, "seen").await;
    arrives(&stand, &user(&pool, 0).await, "seen").await;
    let sql = "select position <> '' from _auth0_sync.checkpoint where source = 'events'";
    wait_until("the offset is stored", SECONDS, async || {
        sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
    })
    .await;
    stand.kill_service().await;
    rename(&stand, &user(&pool, 1).await, "missed").await;
    stand.emulator.api.delete(&path(&user(&pool, 2).await)).await;
    let made = new_user(&stand, "missed").await;
    let missed = Instant::now();
    wait_until("the events have gone", SECONDS, async || missed.elapsed() > Duration::from_millis(1_500))
        .await;
    stand.restart_service().await;
    same(&stand).await;
    connected(&stand).await;
    assert_eq!(events(&stand).await["lost"], 1);
    rename(&stand, &made, "and on").await;
    arrives(&stand, &made, "and on").await;
}

#[tokio::test]
async fn without_the_scope_or_switched_off_the_tenant_log_does_the_work() {
    for (arguments, configuration) in [(&["--withhold", "read:events"][..], ""), (&[], "events = false\n")] {
        let arguments: Vec<_> = ["--users", "5"].iter().chain(arguments).copied().collect();
        let mut stand = Stand::set_up(Postgres::start(), Emulator::with(&arguments).await).await;
        stand.configuration = configuration.to_owned();
        stand.restart_service().await;
        let pool = stand.admin().await;
        rename(&stand, &user(&pool, 0).await, "by the log").await;
        arrives(&stand, &user(&pool, 0).await, "by the log").await;
        assert_eq!(calls(&stand, "GET /events").await, 0);
        let state = if configuration.is_empty() { "refused" } else { "off" };
        assert_eq!(events(&stand).await["state"], state);
        no_faults(&stand).await;
    }
}
