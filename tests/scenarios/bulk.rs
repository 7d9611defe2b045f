//! Thousands of users in one statement: by import jobs where that is the same and cheaper.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Session, Stand, equal_after, wait_until};

const IMPORTS: &str = "POST /jobs/users-imports";
const SOON: Duration = Duration::from_secs(20);

/// Inserts users `from..=to` whom an import creates as a call of their own would: nobody gets an e-mail.
async fn insert(session: &mut Session, from: u32, to: u32) {
    session
        .run(&format!(
            "insert into auth0.user (user_id, email, connection, email_verified, given_name, user_metadata) \
             select 'auth0|bulk-' || n, 'bulk' || n || '@example.com', 'Username-Password-Authentication', true, \
             'Ada ' || n, jsonb_build_object('note', repeat('x', 400)) from generate_series({from}, {to}) n"
        ))
        .await;
}

async fn states(session: &mut Session) -> Value {
    let states = "select coalesce(jsonb_object_agg(state, count), '{}') from \
                  (select state, count(*) from auth0._sync_cdc group by state) s (state, count)";
    session.one(states).await
}

/// The users of these tests that the emulator has, by their e-mail addresses; each stands there once.
async fn there(stand: &Stand) -> usize {
    let state = stand.emulator.state().await;
    let emails = state["user"].as_array().unwrap().iter().filter_map(|user| user["email"].as_str());
    let mine: Vec<&str> = emails.filter(|email| email.starts_with("bulk")).collect();
    let apart: std::collections::BTreeSet<_> = mine.iter().collect();
    assert_eq!(apart.len(), mine.len(), "nobody is created twice");
    mine.len()
}

pub async fn thousands_of_users_in_one_statement_go_by_import_and_the_refused_come_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let taken = session.text("select email from auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication' limit 1").await;
    stand.emulator.forget_calls().await;
    session.run("begin").await;
    insert(&mut session, 1, 1_197).await;
    session
        .run(&format!(
            "insert into auth0.user (user_id, email, connection, email_verified, username) values \
             ('auth0|bulk-a', '{taken}', 'Username-Password-Authentication', true, null), \
             ('auth0|bulk-b', 'BULK1@example.com', 'Username-Password-Authentication', true, null), \
             ('auth0|bulk-c', 'bulkc@example.com', 'Username-Password-Authentication', true, null)"
        ))
        .await;
    session.run("insert into auth0.user_role (user_id, role_id) select 'auth0|bulk-7', id from auth0.role limit 1").await;
    session.run("commit").await;
    equal_after(stand, 6_000).await;
    assert_eq!(states(&mut session).await, json!({"confirmed": 1_199, "reverted": 2}));
    let calls = (stand.emulator.calls(IMPORTS).await, stand.emulator.calls("POST /users").await);
    assert!((2..=3).contains(&calls.0) && calls.1 == 0, "{calls:?}");
    let refused = session
        .rows("select key ->> 'user_id' as id, error ->> 'message' as message, error ->> 'errorCode' as code from auth0._sync_cdc where state = 'reverted' order by 1")
        .await;
    assert!(refused.iter().all(|refused| refused["code"] == "DUPLICATED_USER"), "{refused:?}");
    assert!(refused[0]["message"].as_str().unwrap().contains("already exist"), "{refused:?}");
    let bare = "select count(*) from auth0.user where user_id like 'auth0|bulk-%' and (created_at is null or identities is null)";
    assert_eq!(session.count(bare).await, 0, "they are read as Auth0 has them");
    assert_eq!(stand.root().await.count("select count(*) from _auth0_sync.write_only").await, 0);
}

pub async fn the_client_says_how_new_users_go(stand: &mut Stand) {
    let mut session = stand.session().await;
    stand.emulator.forget_calls().await;
    let wrong = session.refused("set auth0.bulk = 'often'; insert into auth0.user (email, connection) values ('x@example.com', 'Username-Password-Authentication')").await;
    assert_eq!((wrong.code.as_str(), wrong.message.contains("auth0.bulk")), ("22023", true), "{wrong:?}");

    session.run("set auth0.bulk = 'import'").await;
    insert(&mut session, 1, 3).await;
    assert_eq!(session.wait().await, Ok("confirmed".to_owned()));
    assert_eq!(stand.emulator.calls(IMPORTS).await, 1);
    // What an import cannot carry is refused, for no other way is wanted.
    let with_password = |name: &str| {
        format!(
            "insert into auth0.user (user_id, email, connection, password, email_verified) values \
             ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-enough-1', true)"
        )
    };
    session.run(&with_password("bulkp")).await;
    let refused = session.wait().await.unwrap_err();
    assert!(refused.message.contains("an import does not take password"), "{refused:?}");

    session.run("set auth0.bulk = 'single'").await;
    session.confirmed(&with_password("bulkq")).await;
    assert_eq!((stand.emulator.calls(IMPORTS).await, stand.emulator.calls("POST /users").await), (1, 1));
    // So many go by themselves all the same, and Auth0 takes no user without a password so.
    insert(&mut session, 10, 40).await;
    equal_after(stand, 30).await;
    assert_eq!((stand.emulator.calls(IMPORTS).await, there(stand).await), (1, 4));
}

pub async fn an_import_is_taken_up_again_by_a_service_that_was_killed(stand: &mut Stand) {
    let (mut session, mut root) = (stand.session().await, stand.root().await);
    let held = json!({"match": {"method": "POST", "path": "users-imports$"}, "do": "hold_job", "delay_ms": 2_000, "times": 1});
    stand.emulator.fault(held).await;
    stand.emulator.forget_calls().await;
    session.run("set auth0.bulk = 'import'").await;
    insert(&mut session, 1, 200).await;
    let noted = "select count(*) from _auth0_sync.import where job is not null";
    wait_until("the job is noted", SOON, async || root.count(noted).await == 1).await;
    stand.restart_service().await;
    equal_after(stand, 200).await;
    assert_eq!(states(&mut session).await, json!({"confirmed": 200}));
    assert_eq!((stand.emulator.calls(IMPORTS).await, there(stand).await), (1, 200));
    assert_eq!(root.count("select count(*) from _auth0_sync.import").await, 0);
}

pub async fn an_import_whose_answer_is_lost_or_that_fails_creates_nobody_twice(stand: &mut Stand) {
    let mut session = stand.session().await;
    session.run("set auth0.bulk = 'import'").await;
    for (n, fault) in ["drop_after", "drop_before", "fail_job"].into_iter().enumerate() {
        let order = json!({"match": {"method": "POST", "path": "users-imports$"}, "do": fault, "times": 1});
        stand.emulator.fault(order).await;
        stand.emulator.forget_calls().await;
        let first = n as u32 * 100 + 1;
        insert(&mut session, first, first + 99).await;
        assert_eq!(session.wait().await, Ok("confirmed".to_owned()), "{fault}");
        let calls = stand.emulator.calls(IMPORTS).await;
        assert_eq!(calls, if fault == "drop_before" { 1 } else { 2 }, "{fault}");
    }
    equal_after(stand, 300).await;
    assert_eq!(states(&mut session).await, json!({"confirmed": 300}));
    assert_eq!(there(stand).await, 300);
}

pub async fn imports_of_others_are_waited_for(stand: &mut Stand) {
    let mut session = stand.session().await;
    let held = json!({"match": {"method": "POST", "path": "users-imports$"}, "do": "hold_job", "delay_ms": 1_500, "times": 2});
    stand.emulator.fault(held).await;
    let connection =
        session.text("select id from auth0.connection where name = 'Username-Password-Authentication'").await;
    for n in 0..2 {
        let file =
            json!({"connection_id": connection, "users": [{"email": format!("other{n}@example.com")}]});
        stand.emulator.api.post("/api/v2/jobs/users-imports", file).await;
    }
    session.run("set auth0.bulk = 'import'").await;
    insert(&mut session, 1, 5).await;
    assert_eq!(session.wait().await, Ok("confirmed".to_owned()));
    equal_after(stand, 0).await;
    assert_eq!(there(stand).await, 5);
}

pub async fn an_open_transaction_shows_the_imports_that_it_would_start(stand: &mut Stand) {
    let mut session = stand.session().await;
    let plan = "select method, path, body, calls, array_length(ids, 1) as changes from auth0.plan()";
    session.run("begin").await;
    insert(&mut session, 1, 10).await;
    let few = session.rows(plan).await;
    assert_eq!((few.len(), &few[0]["path"]), (10, &json!("/users")));
    insert(&mut session, 11, 3_000).await;
    session.run("insert into auth0.role (name) values ('beside')").await;
    let shown = session.rows(plan).await;
    let (imports, others) = shown.split_at(shown.len() - 1);
    assert!((2..=4).contains(&imports.len()), "{imports:?}");
    for import in imports {
        let rows = &import["changes"];
        let body = json!({"rows": rows, "connection": "Username-Password-Authentication"});
        assert_eq!((&import["path"], &import["body"]), (&json!("/jobs/users-imports"), &body));
        assert!(import["calls"].as_i64().unwrap() < 50, "{import}");
    }
    let changes: i64 = imports.iter().map(|import| import["changes"].as_i64().unwrap()).sum();
    assert_eq!((changes, &others[0]["path"]), (3_000, &json!("/roles")));
    session.run("set local auth0.bulk = 'single'").await;
    insert(&mut session, 3_001, 3_002).await;
    assert_eq!(session.rows(plan).await.len(), shown.len() + 2);
    session.run("rollback").await;
}
