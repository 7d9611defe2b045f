//! What a strict statement returns, and what it raises.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use tokio::task::JoinSet;

use super::{SOON, at_auth0, decided, returned, strict, there, user};
use crate::support::{Stand, equal, wait_until};

#[tokio::test]
async fn a_statement_is_at_auth0_when_it_returns_and_stores_nothing_when_it_is_refused() {
    let stand = Stand::start(10).await;
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let mut session = strict(&stand).await;
    let (mine, other) = (user(&mut session, 0).await, user(&mut session, 1).await);

    session.run(&format!("update auth0.user set nickname = 'strict' where user_id = '{mine}'")).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "strict");
    let mutation = &session.rows("select * from auth0._sync_cdc order by id desc limit 1").await[0];
    assert_eq!((&mutation["state"], &mutation["attempts"]), (&json!("confirmed"), &json!(1)));
    let note = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
    let note: Value = serde_json::from_str(note.payload()).unwrap();
    assert_eq!((&note["id"], &note["state"]), (&mutation["id"], &json!("confirmed")));
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"), "there is nothing left to wait for");

    let taken = session.text(&format!("select email from auth0.user where user_id = '{other}'")).await;
    let refusal = session
        .refused(&format!(
            "update auth0.user set email = '{taken}', given_name = 'X' where user_id = '{mine}'"
        ))
        .await;
    assert_eq!(refusal.message, "[Auth0] The specified new email already exists");
    assert_eq!(refusal.detail, "status 400, errorCode auth0_idp_error");
    assert_eq!((refusal.code.as_str(), refusal.table.as_str()), ("22023", "user"));
    let left = format!("select count(*) from auth0.user where user_id = '{mine}' and given_name = 'X'");
    assert_eq!(session.count(&left).await, 0);
    let captured = "select count(*) from auth0._sync_cdc where after ->> 'given_name' = 'X'";
    assert_eq!(session.count(captured).await, 0);
    decided(&stand).await;
    equal(&stand).await;
}

#[tokio::test]
async fn an_insert_returns_what_auth0_has_made_and_its_secrets_are_nowhere() {
    let stand = Stand::start(5).await;
    let mut session = strict(&stand).await;
    let role =
        returned(&mut session, "insert into auth0.role (name) values ('strict role') returning id").await;
    assert!(role.starts_with("rol_"), "{role}");
    assert_eq!(there(&stand, "role", "id", &role).await, 1);

    session.run("begin").await;
    let organization =
        returned(&mut session, "insert into auth0.organization (name) values ('strict') returning id").await;
    let member = user(&mut session, 0).await;
    session
        .run(&format!("insert into auth0.organization_member values ('{organization}', '{member}')"))
        .await;
    session.run("commit").await;
    assert_eq!(there(&stand, "organization", "id", &organization).await, 1);

    let mut root = stand.root().await;
    root.run("select pg_create_logical_replication_slot('spy', 'pgoutput')").await;
    let created = returned(
        &mut session,
        "insert into auth0.user (user_id, email, connection, password) values \
         ('auth0|strict', 'strict@example.com', 'Username-Password-Authentication', 'Tr0ub4dor&3-long') \
         returning created_at::text",
    )
    .await;
    assert!(created.starts_with("20"), "{created}");
    assert!(stand.emulator.journal().contains("Tr0ub4dor&3-long"), "it has reached Auth0");
    let stream = "select count(*) filter (where position('Tr0ub4dor'::bytea in data) > 0) as leaks, \
        count(*) filter (where position('auth0_sync.strict'::bytea in data) > 0) as asked from \
        pg_logical_slot_get_binary_changes('spy', null, null, 'proto_version', '1', 'publication_names', 'auth0_sync', 'messages', 'true')";
    let stream = &root.rows(stream).await[0];
    assert_eq!((&stream["leaks"], &stream["asked"]), (&json!(0), &json!(1)));
    root.run("select pg_drop_replication_slot('spy')").await;
    assert!(!stand.service.as_ref().unwrap().log().contains("Tr0ub4dor"), "the service's log");
    for table in ["auth0._sync_cdc", "_auth0_sync.write_only", "_auth0_sync.intent", "_auth0_sync.reply"] {
        let secret = format!("select count(*) from {table} t where t::text like '%Tr0ub4dor%'");
        assert_eq!(root.count(&secret).await, 0, "{table}");
    }
    session.run("update auth0.user set password = 'An0ther-l0ng-one' where user_id = 'auth0|strict'").await;
    assert!(stand.emulator.journal().contains("An0ther-l0ng-one"));

    // Every insert met Auth0 once, and nothing is sent again.
    let states = session.rows("select distinct state from auth0._sync_cdc").await;
    assert_eq!(states, [json!({"state": "confirmed"})]);
    assert_eq!(there(&stand, "role", "name", "strict role").await, 1);

    // Postgres decides about a conflict with a row that is there.
    session
        .run(
            "insert into auth0.user (user_id, email, connection, password) values \
             ('auth0|strict', 'x@example.com', 'Username-Password-Authentication', 'Tr0ub4dor&3-long') \
             on conflict (user_id) do update set nickname = 'upserted'",
        )
        .await;
    assert_eq!(at_auth0(&stand, "auth0|strict").await["nickname"], "upserted");
    session.run("delete from auth0.user where user_id = 'auth0|strict'").await;
    assert_eq!(there(&stand, "user", "user_id", "auth0|strict").await, 0);
    decided(&stand).await;
    equal(&stand).await;
}

#[tokio::test]
async fn one_refused_row_takes_the_others_back_at_auth0() {
    let stand = Stand::start(10).await;
    let mut session = strict(&stand).await;
    let refused =
        json!({"statusCode": 400, "error": "Bad Request", "message": "not this one", "errorCode": "odd"});
    let order = json!({"match": {"method": "PATCH", "path": "^/api/v2/users/"}, "after": 3, "times": 1,
        "do": "status", "status": 400, "body": refused});
    stand.emulator.fault(order).await;
    let refusal = session.refused("update auth0.user set nickname = 'all', blocked = true").await;
    assert_eq!(
        (refusal.message.as_str(), refusal.detail.as_str()),
        ("[Auth0] not this one", "status 400, errorCode odd")
    );
    assert_eq!(there(&stand, "user", "nickname", "all").await, 0, "before the statement returns");
    session.run("update auth0.user set nickname = 'all'").await;
    let users = session.count("select count(*) from auth0.user").await;
    assert_eq!(there(&stand, "user", "nickname", "all").await as i64, users);
    decided(&stand).await;
    equal(&stand).await;
}

#[tokio::test]
async fn statements_are_woken_while_there_are_connections_for_it_and_the_others_look() {
    let stand = Stand::start(60).await;
    let (mut watcher, mut root) = (strict(&stand).await, stand.root().await);
    let order = json!({"match": {"method": "PATCH"}, "times": 12, "do": "delay_after", "delay_ms": 2_000});
    stand.emulator.fault(order).await;
    let mut statements = JoinSet::new();
    for n in 0..12 {
        let mine = user(&mut watcher, n).await;
        let mut session = strict(&stand).await;
        statements.spawn(async move {
            session.run(&format!("update auth0.user set nickname = 'many' where user_id = '{mine}'")).await;
        });
    }
    let woken = "select count(*) from pg_stat_activity where usename = 'app' and wait_event = 'advisory'";
    wait_until("four wait to be woken", SOON, async || root.count(woken).await == 4).await;
    while let Some(ended) = statements.join_next().await {
        ended.unwrap();
    }
    assert_eq!(there(&stand, "user", "nickname", "many").await, 12);
    decided(&stand).await;
    // The right to run is one such lock too.
    let held = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'";
    wait_until("every other lock has gone", SOON, async || root.count(held).await == 1).await;
    equal(&stand).await;
}

#[tokio::test]
async fn what_auth0_had_in_between_never_shows_in_the_table() {
    let stand = Stand::start(10).await;
    let (mut session, mut root) = (strict(&stand).await, stand.root().await);
    let (mine, other) = (user(&mut session, 0).await, user(&mut session, 1).await);
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    // The event of the change comes at once, and the one of its end late.
    stand.emulator.fault(json!({"do": "events_delay", "times": 1, "after": 1, "delay_ms": 5_000})).await;
    let path = format!("{}$", other.replace('|', "%7C"));
    let order =
        json!({"match": {"method": "PATCH", "path": path}, "times": 1, "do": "status", "status": 400});
    stand.emulator.fault(order).await;
    let position = "select coalesce(max(position), '') from _auth0_sync.checkpoint where source = 'events'";
    let before = root.text(position).await;
    let update = format!("update auth0.user set nickname = 'between' where user_id in ('{mine}', '{other}')");
    assert_eq!(session.refused(&update).await.code, "22023");
    wait_until("the event is taken", SOON, async || root.text(position).await != before).await;
    let shown = session.one(&format!("select nickname from auth0.user where user_id = '{mine}'")).await;
    assert_eq!(shown, nickname);
    session.run(&update).await;
    assert_eq!(there(&stand, "user", "nickname", "between").await, 2, "nothing was taken for done");
    decided(&stand).await;
    equal(&stand).await;
}

#[tokio::test]
async fn what_is_taken_back_while_a_client_holds_the_row_does_not_show_either() {
    let stand = Stand::start(10).await;
    let (mut session, mut root) = (strict(&stand).await, stand.root().await);
    let mine = user(&mut session, 0).await;
    let (read, path) =
        (format!("select nickname from auth0.user where user_id = '{mine}'"), mine.replace('|', "%7C"));
    let before = session.text(&read).await;
    // What Auth0 had in between comes late, its end later still, and readings last longer than the client holds the row.
    stand.emulator.fault(json!({"do": "events_delay", "times": 2, "delay_ms": 2_000})).await;
    let slow =
        json!({"match": {"method": "GET", "path": format!("{path}$")}, "times": 1_000, "delay_ms": 4_000});
    let position = "select coalesce(max(position), '') from _auth0_sync.checkpoint where source = 'events'";
    let begun = root.text(position).await;

    session.run("begin").await;
    session.run(&format!("update auth0.user set nickname = 'between' where user_id = '{mine}'")).await;
    stand.emulator.fault(slow).await;
    // It has the row the moment that the transaction ends, before what is taken back can be stored.
    let mut holder = stand.session().await;
    let wanted = format!("{read} for update");
    let holds = tokio::spawn(async move {
        holder.run("begin").await;
        holder.text(&wanted).await;
        holder
    });
    let waits = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'";
    wait_until("a client waits for the row", SOON, async || root.count(waits).await == 1).await;
    session.run("rollback").await;
    let mut holder = holds.await.unwrap();
    decided(&stand).await;
    assert_eq!(there(&stand, "user", "nickname", "between").await, 0);
    holder.run("commit").await;
    wait_until("the event is taken", SOON, async || {
        assert_eq!(session.text(&read).await, before);
        root.text(position).await != begun
    })
    .await;
    assert_eq!(session.text(&read).await, before);
    stand.emulator.fault(json!({"clear": true})).await;
    equal(&stand).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_said() {
    let stand = Stand::start(5).await;
    let mut session = strict(&stand).await;
    let mine = user(&mut session, 0).await;
    let update = format!("update auth0.user set nickname = 'later' where user_id = '{mine}'");

    session.run("set auth0.write_mode = 'stict'").await;
    let refusal = session.refused(&update).await;
    assert!(refusal.code == "22023" && refusal.message.contains("\"stict\""), "{refusal:?}");
    session.run("set auth0.write_mode = 'strict'; set auth0.strict_timeout = 'soon'").await;
    assert!(session.refused(&update).await.message.contains("auth0.strict_timeout"));
    session.run("reset auth0.strict_timeout").await;
    session.run("begin isolation level repeatable read").await;
    assert_eq!(session.refused(&update).await.message, "[Auth0] strict writes need READ COMMITTED");
    session.run("rollback").await;

    // An asynchronous change of the same transaction, or one that Auth0 has not answered, would be overtaken.
    session.run("begin; set local auth0.write_mode = 'async'").await;
    session.run(&format!("update auth0.user set name = 'first' where user_id = '{mine}'")).await;
    session.run("set local auth0.write_mode = 'strict'").await;
    let refusal = session.refused(&update).await;
    assert_eq!(refusal.code, "40001", "{refusal:?}");
    session.run("rollback").await;

    // Anyone may write into the log; without the key it says nothing.
    session.run("select pg_logical_emit_message(false, 'auth0_sync.strict', '{}', true)").await;
    let forged = "0".repeat(64);
    session
        .run(&format!("select pg_logical_emit_message(false, 'auth0_sync.strict', '{forged}{{}}', true)"))
        .await;
    for call in ["auth0._strict_mac('x')", "auth0._strict_seal('{}')", "auth0._strict_ask('[]')"] {
        assert_eq!(session.refused(&format!("select {call}")).await.code, "42501", "{call}");
    }
    session.run(&update).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "later");
    decided(&stand).await;
    equal(&stand).await;
}

#[tokio::test]
async fn below_postgres_17_the_other_two_ways_are_named() {
    let stand = Stand::oldest(5).await;
    let mut session = strict(&stand).await;
    let mine = user(&mut session, 0).await;
    let update = format!("update auth0.user set nickname = 'old' where user_id = '{mine}'");
    if stand.postgres.major() >= 17 {
        session.run(&update).await;
        return;
    }
    for statement in [update.as_str(), "insert into auth0.role (name) values ('old')"] {
        let refusal = session.refused(statement).await;
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str()),
            ("0A000", "[Auth0] strict writes need Postgres 17 or later")
        );
        assert!(refusal.hint.contains("auth0.wait()") && refusal.hint.contains("async"), "{}", refusal.hint);
    }
    session.run("set auth0.write_mode = 'async'").await;
    session.confirmed(&update).await;

    let write = |sql: &str| format!("call auth0.write('{}')", sql.replace('\'', "''"));
    session.run(&write(&update.replace("old", "written"))).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "written", "it has waited for Auth0");
    let taken =
        "(select email from auth0.user where user_id > (select min(user_id) from auth0.user) limit 1)";
    let refused = format!(
        "update auth0.user set email = {taken} where user_id = (select min(user_id) from auth0.user)"
    );
    let refusal = session.refused(&write(&refused)).await;
    assert_eq!((refusal.code.as_str(), refusal.table.as_str()), ("22023", "user"), "{refusal:?}");
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"), "it is raised once");
    equal(&stand).await;
}
