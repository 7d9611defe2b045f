//! Auth0 away, the slot gone, Postgres killed, rows held, credentials revoked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);
const UNSETTLED: &str = "select count(*) from auth0._sync_cdc where settled_at is null";
const ALL_CONFIRMED: &str = "select count(*) from auth0._sync_cdc where state not in ('confirmed', 'merged')";

/// How much WAL the service's slot holds back, bytes: by what it confirmed, by what it needs to restart.
async fn held_back(stand: &Stand) -> (i64, i64) {
    let mut root = stand.root().await;
    root.run("checkpoint").await;
    let row = &root
        .rows(
            "select (pg_current_wal_lsn() - confirmed_flush_lsn)::bigint as unconfirmed, \
             (pg_current_wal_lsn() - restart_lsn)::bigint as kept from pg_replication_slots where slot_type = 'logical'",
        )
        .await[0];
    (row["unconfirmed"].as_i64().unwrap(), row["kept"].as_i64().unwrap())
}

async fn write_wal(stand: &Stand) {
    let mut root = stand.root().await;
    root.run("create unlogged table if not exists nothing (); create table if not exists junk (t text)")
        .await;
    let before = root.text("select pg_current_wal_lsn()").await;
    root.run("insert into junk select repeat(md5(i::text), 25) from generate_series(1, 62000) i").await;
    let written = root.count(&format!("select (pg_current_wal_lsn() - '{before}')::bigint")).await;
    assert!(written > 50_000_000, "{written} bytes of WAL");
}

#[tokio::test]
async fn auth0_being_down_reverts_nothing_and_holds_back_no_wal() {
    let mut stand = Stand::start(20).await;
    let mut session = stand.session().await;
    stand.emulator.fault(json!({"down": true})).await;
    session.run("update auth0.user set nickname = 'while down'").await;
    write_wal(&stand).await;
    wait_until("the slot follows", SOON, async || {
        let (unconfirmed, kept) = held_back(&stand).await;
        unconfirmed < 1_000_000 && kept < 20_000_000
    })
    .await;
    assert_eq!(session.count(UNSETTLED).await, 20, "nothing is settled while nobody answers");
    stand.emulator.program.kill().await;
    session.run("update auth0.user set given_name = 'while dead'").await;
    session.run("insert into auth0.role (name) values ('made while dead')").await;
    write_wal(&stand).await;
    wait_until("the slot follows", SOON, async || held_back(&stand).await.1 < 20_000_000).await;
    assert_eq!(session.count(UNSETTLED).await, 41);
    stand.emulator.restart().await;
    wait_until("all are settled", Duration::from_secs(40), async || session.count(UNSETTLED).await == 0)
        .await;
    assert_eq!(session.count(ALL_CONFIRMED).await, 0);
    equal(&stand).await;
}

#[tokio::test]
async fn a_slot_dropped_under_the_service_loses_no_mutation() {
    for stand in [Stand::start(20).await, Stand::oldest(20).await] {
        no_mutation_is_lost_with_the_slot(stand).await;
    }
}

async fn no_mutation_is_lost_with_the_slot(stand: Stand) {
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    let update = |n: u32| {
        format!(
            "update auth0.user set nickname = 'n{n}', name = 'n{n}' where user_id in (select user_id from auth0.user order by user_id offset {} limit 1)",
            n % 20
        )
    };
    for n in 0..10 {
        session.run(&update(n)).await;
    }
    let drop = "do $$ begin perform pg_terminate_backend(active_pid) from pg_replication_slots where slot_type = 'logical' and active; \
                perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_type = 'logical'; \
                exception when object_in_use then null; end $$";
    let created = "select count(*) from pg_replication_slots where slot_type = 'logical'";
    let mut n = 10;
    wait_until("the slot is dropped", SOON, async || {
        n += 1;
        session.run(&update(n)).await;
        root.run(drop).await;
        root.count(created).await == 0 || log(&stand).contains("a new one is made")
    })
    .await;
    for n in 40..60 {
        session.run(&update(n)).await;
    }
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    wait_until("a new slot stands", SOON, async || root.count(created).await == 1).await;
    session.confirmed(&update(70)).await;
    assert!(log(&stand).contains("the replication slot is lost, a new one is made"), "it says so");
    equal(&stand).await;
    assert_eq!(session.count(ALL_CONFIRMED).await, 0);
}

/// Before Postgres 18 the stream cannot pass what was written while the publication was missing.
#[tokio::test]
async fn a_publication_that_was_missing_for_a_while_loses_no_mutation() {
    let stand = Stand::oldest(10).await;
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    root.run("drop publication auth0_sync").await;
    session.run("update auth0.user set nickname = 'unpublished'").await;
    wait_until("it says so", SOON, async || log(&stand).contains("no new slot could be made yet")).await;
    root.run("create publication auth0_sync for table auth0._sync_cdc with (publish = 'insert')").await;
    session.confirmed("update auth0.user set name = 'published'").await;
    equal(&stand).await;
    assert_eq!(session.count(ALL_CONFIRMED).await, 0);
}

fn log(stand: &Stand) -> String {
    stand.service.as_ref().unwrap().log()
}

#[tokio::test]
async fn postgres_killed_under_the_service_loses_no_mutation() {
    let mut stand = Stand::start(20).await;
    let mut session = stand.session().await;
    stand.emulator.fault(json!({"match": {"method": "PATCH"}, "times": 8, "delay_ms": 200})).await;
    session.run("update auth0.user set nickname = 'before the kill'").await;
    session.run("insert into auth0.client (name) values ('before the kill')").await;
    stand.postgres.kill();
    stand.postgres.restart();
    let mut session = stand.session().await;
    session.run("update auth0.user set given_name = 'after the kill'").await;
    session.run("insert into auth0.role (name) values ('after the kill')").await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    equal(&stand).await;
    let state = stand.emulator.state().await;
    let made = state["client"].as_array().unwrap().iter().filter(|row| row["name"] == "before the kill");
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn a_row_that_a_client_holds_settles_later_and_holds_up_no_other() {
    let stand = Stand::start(20).await;
    let (mut one, mut two, mut three) = (stand.session().await, stand.session().await, stand.session().await);
    let id = one.text("select user_id from auth0.user order by user_id limit 1").await;
    stand.emulator.fault(json!({"match": {"method": "PATCH"}, "times": 1, "delay_ms": 400})).await;
    one.run(&format!("update auth0.user set nickname = 'held' where user_id = '{id}'")).await;
    let mutation = one.count("select max(id) from auth0._sync_cdc").await;
    two.run(&format!("begin; select from auth0.user where user_id = '{id}' for update")).await;
    stand.emulator.forget_calls().await;
    for n in 0..3 {
        three.confirmed(&format!("update auth0.user set nickname = 'free{n}' where user_id <> '{id}'")).await;
    }
    let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
    wait_until("Auth0 has it", SOON, async || stand.emulator.api.get(&path).await["nickname"] == "held")
        .await;
    let unsettled = format!("{UNSETTLED} and id = {mutation}");
    assert_eq!(three.count(&unsettled).await, 1, "the row is held");
    two.run(&format!("update auth0.user set given_name = 'holder' where user_id = '{id}'; commit")).await;
    assert_eq!(two.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(one.wait().await.as_deref(), Ok("confirmed"));
    equal(&stand).await;
}

#[tokio::test]
async fn a_revoked_credential_reverts_nothing_and_is_named() {
    let stand = Stand::start(20).await;
    let mut session = stand.session().await;
    for path in ["^/oauth/token$", "^/api/v2/"] {
        stand.emulator.fault(json!({"match": {"path": path}, "do": "status", "status": 401})).await;
    }
    session.run("update auth0.user set nickname = 'revoked'").await;
    let url = format!("{}/status", stand.ready["status_url"].as_str().unwrap().trim_end_matches('/'));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    wait_until("the status page says why", SOON, async || {
        let answer = http.get(&url).send().await.unwrap().json::<Value>().await.unwrap_or_default();
        answer.to_string().contains("auth0_credentials")
    })
    .await;
    assert_eq!(session.count(UNSETTLED).await, 20);
    stand.emulator.fault(json!({"clear": true})).await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    equal(&stand).await;
}
