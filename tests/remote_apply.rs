//! `set synchronous_commit = remote_apply` where the server lists the service: COMMIT returns when Auth0 has
//! answered, whatever becomes of the service, of Postgres or of the client meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::JoinHandle;

use support::{Emulator, Postgres, Session, Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);
/// An answer takes so long where a test wants to see who waits for it.
const LONG: Duration = Duration::from_millis(700);

/// Everything, with the service as the server's synchronous standby.
async fn stand(postgres: Postgres) -> Stand {
    let mut stand = Stand::set_up(postgres, Emulator::start(40).await).await;
    stand.restart_service().await;
    let mut root = stand.root().await;
    root.run("alter system set synchronous_standby_names = '\"auth0-sync\"'").await;
    root.run("select pg_reload_conf()").await;
    // With the list in force: of connections that are made from now on.
    wait_until("the service is waited for", SOON, async || {
        root.count("select count(*) from pg_stat_replication where sync_state = 'sync'").await == 1
    })
    .await;
    stand.kill_service().await;
    stand.restart_service().await;
    stand
}

/// A session whose commits wait for Auth0.
async fn waiting(stand: &Stand) -> Session {
    let mut session = stand.session().await;
    session.run("set synchronous_commit = remote_apply").await;
    session
}

/// A session that looks, and whose commits wait for nobody.
async fn watcher(stand: &Stand) -> Session {
    let mut root = stand.root().await;
    root.run("set synchronous_commit = local").await;
    root
}

/// Runs a statement in a waiting session of its own; how long it took.
fn apart(stand: &Stand, sql: &str) -> JoinHandle<Duration> {
    let (url, sql) = (stand.app_url.clone(), sql.to_owned());
    tokio::spawn(async move {
        let mut session = Session::open(&url).await;
        session.run("set synchronous_commit = remote_apply").await;
        let begun = Instant::now();
        session.run(&sql).await;
        begun.elapsed()
    })
}

async fn user(session: &mut Session, n: u32) -> String {
    session.text(&format!("select user_id from auth0.user order by user_id offset {n} limit 1")).await
}

/// The user as Auth0 has it.
async fn at_auth0(stand: &Stand, id: &str) -> Value {
    stand.emulator.api.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await
}

/// Rows that a table of the emulator has with this name.
async fn named(stand: &Stand, table: &str, name: &str) -> usize {
    let state = stand.emulator.state().await;
    state[table].as_array().unwrap().iter().filter(|row| row["name"] == name).count()
}

async fn late(stand: &Stand, method: &str, how: &str) {
    let delay = u64::try_from(LONG.as_millis()).unwrap();
    let order = json!({"match": {"method": method}, "times": 1, "do": how, "delay_ms": delay});
    stand.emulator.fault(order).await;
}

/// Waits until so many commits wait for the service.
async fn commits_wait(watcher: &mut Session, count: i64) {
    wait_until("a commit waits", SOON, async || {
        watcher.count("select count(*) from pg_stat_activity where wait_event = 'SyncRep'").await == count
    })
    .await;
}

async fn returns_when_auth0_has_answered(stand: Stand) {
    let (mut session, mut watcher) = (waiting(&stand).await, watcher(&stand).await);
    let mine = user(&mut session, 0).await;
    let nickname = |name: &str| format!("update auth0.user set nickname = '{name}' where user_id = '{mine}'");

    late(&stand, "PATCH", "delay").await;
    let slow = apart(&stand, &nickname("slow"));
    commits_wait(&mut watcher, 1).await;
    assert_ne!(at_auth0(&stand, &mine).await["nickname"], "slow");
    assert!(slow.await.unwrap() >= LONG, "it has waited for the answer");
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "slow");

    // One after the other, faster than what they do is settled.
    for n in 0..20 {
        session.run(&nickname(&format!("n{n}"))).await;
        assert_eq!(at_auth0(&stand, &mine).await["nickname"], format!("n{n}"));
    }
    session.run("insert into auth0.role (name) values ('mine')").await;
    assert_eq!(named(&stand, "role", "mine").await, 1);
    session.run("begin; insert into auth0.role (name) values ('one'); insert into auth0.client (name) values ('two'); commit").await;
    assert_eq!((named(&stand, "role", "one").await, named(&stand, "client", "two").await), (1, 1));
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    session.run("delete from auth0.role where name = 'mine'").await;
    assert_eq!(named(&stand, "role", "mine").await, 0);
    equal(&stand).await;
    let sent = "select count(*) from auth0._sync_cdc where attempts <> 1 or state <> 'confirmed'";
    assert_eq!(watcher.count(sent).await, 0);
    assert_eq!(watcher.count("select count(*) from _auth0_sync.unseen").await, 0);
}

#[tokio::test]
async fn a_commit_returns_when_auth0_has_answered() {
    returns_when_auth0_has_answered(stand(Postgres::start()).await).await;
}

#[tokio::test]
async fn a_commit_returns_when_auth0_has_answered_on_the_oldest_postgres() {
    returns_when_auth0_has_answered(stand(Postgres::oldest()).await).await;
}

#[tokio::test]
async fn a_refusal_is_told_after_the_commit_and_reverts_the_row() {
    let stand = stand(Postgres::start()).await;
    let mut session = waiting(&stand).await;
    let (mine, other) = (user(&mut session, 0).await, user(&mut session, 1).await);
    let email = format!("select email from auth0.user where user_id = '{mine}'");
    let before = session.text(&email).await;
    session.run(&format!("update auth0.user set email = (select email from auth0.user where user_id = '{other}') where user_id = '{mine}'")).await;
    let refusal = session.wait().await.unwrap_err();
    assert!(refusal.message.starts_with("[Auth0]"), "{refusal:?}");
    assert_eq!(session.text(&email).await, before);
    equal(&stand).await;
}

#[tokio::test]
async fn commits_wait_though_earlier_changes_of_the_row_cannot_settle_before_them() {
    let stand = stand(Postgres::start()).await;
    let (mut plain, mut watcher) = (stand.session().await, watcher(&stand).await);
    let mine = user(&mut plain, 0).await;
    late(&stand, "PATCH", "delay_after").await;
    let set = |column: &str, value: &str| {
        format!("update auth0.user set {column} = '{value}' where user_id = '{mine}'")
    };
    plain.run(&set("nickname", "first")).await;
    plain.run(&set("given_name", "second")).await;
    let (third, url) = (set("family_name", "third"), stand.app_url.clone());
    let mut session = Session::open(&url).await;
    session.run("set synchronous_commit = remote_apply").await;
    let begun = Instant::now();
    session.run(&third).await;
    assert!(begun.elapsed() < SOON, "it has waited for {:?}", begun.elapsed());
    let there = at_auth0(&stand, &mine).await;
    assert_eq!(
        [&there["nickname"], &there["given_name"], &there["family_name"]],
        ["first", "second", "third"]
    );
    equal(&stand).await;
    let others = "select count(*) from auth0._sync_cdc where state not in ('confirmed', 'merged')";
    assert_eq!(watcher.count(others).await, 0);
}

#[tokio::test]
async fn more_commits_wait_than_calls_may_be_under_way() {
    let stand = stand(Postgres::start()).await;
    let mut watcher = watcher(&stand).await;
    let mine = user(&mut watcher, 0).await;
    late(&stand, "PATCH", "delay_after").await;
    let first = apart(&stand, &format!("update auth0.user set nickname = 'first' where user_id = '{mine}'"));
    commits_wait(&mut watcher, 1).await;
    let mut others = Vec::new();
    for n in 1..40 {
        let other = user(&mut watcher, n).await;
        others.push(apart(
            &stand,
            &format!("update auth0.user set nickname = 'other' where user_id = '{other}'"),
        ));
    }
    // The position goes by commits: they wait for the first.
    for done in others {
        assert!(done.await.unwrap() < SOON);
    }
    assert!(first.await.unwrap() >= LONG);
    equal(&stand).await;
}

#[tokio::test]
async fn what_cannot_wait_holds_up_nobody_and_is_sent_as_soon_as_it_is_seen() {
    let stand = stand(Postgres::start()).await;
    let (mut session, mut plain) = (waiting(&stand).await, stand.session().await);
    let mine = user(&mut plain, 0).await;
    session.run("set auth0.on_conflict = 'reject'").await;
    let begun = Instant::now();
    session.confirmed(&format!("update auth0.user set nickname = 'checked' where user_id = '{mine}'")).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "checked");

    // It stands behind a change that takes long; changes of other rows do not wait for it.
    let slow = user(&mut plain, 1).await;
    let other = user(&mut plain, 2).await;
    late(&stand, "PATCH", "delay_after").await;
    plain.run(&format!("update auth0.user set nickname = 'slow' where user_id = '{slow}'")).await;
    let url = stand.app_url.clone();
    let id = mine.clone();
    let checked = tokio::spawn(async move {
        let mut session = Session::open(&url).await;
        session.run("set synchronous_commit = remote_apply; set auth0.on_conflict = 'reject'").await;
        session.run(&format!("update auth0.user set nickname = 'again' where user_id = '{id}'")).await;
    });
    let mut watcher = watcher(&stand).await;
    commits_wait(&mut watcher, 1).await;
    let begun = Instant::now();
    plain.run(&format!("update auth0.user set nickname = 'other' where user_id = '{other}'")).await;
    wait_until("the other is sent", SOON, async || at_auth0(&stand, &other).await["nickname"] == "other")
        .await;
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    checked.await.unwrap();
    equal(&stand).await;
}

#[tokio::test]
async fn a_killed_service_finds_what_waits_and_sends_nothing_twice() {
    let mut stand = stand(Postgres::start()).await;
    let mut watcher = watcher(&stand).await;
    let mine = user(&mut watcher, 0).await;
    for (method, sql) in [
        ("POST", "insert into auth0.role (name) values ('once')".to_owned()),
        ("PATCH", format!("update auth0.user set nickname = 'once' where user_id = '{mine}'")),
    ] {
        for how in ["delay", "delay_after"] {
            late(&stand, method, how).await;
            let commit = apart(&stand, &sql.replace("once", how));
            wait_until("it is claimed", SOON, async || {
                watcher.count("select count(*) from _auth0_sync.unseen where request_id is not null").await
                    == 1
            })
            .await;
            stand.kill_service().await;
            assert!(!commit.is_finished(), "{method} {how}: nobody has said that Auth0 has answered");
            stand.restart_service().await;
            commit.await.unwrap();
            match method {
                "POST" => assert_eq!(named(&stand, "role", how).await, 1, "{how}"),
                _ => assert_eq!(at_auth0(&stand, &mine).await["nickname"], how),
            }
            equal(&stand).await;
        }
    }
    assert_eq!(watcher.count("select count(*) from auth0._sync_cdc where state <> 'confirmed'").await, 0);
}

#[tokio::test]
async fn a_commit_whose_call_has_not_left_waits_for_the_next_service_too() {
    let mut stand = stand(Postgres::start()).await;
    let mut watcher = watcher(&stand).await;
    let (mine, other) = (user(&mut watcher, 0).await, user(&mut watcher, 1).await);
    stand.emulator.fault(json!({"down": true})).await;
    let nickname = |id: &str, name: &str| {
        apart(&stand, &format!("update auth0.user set nickname = '{name}' where user_id = '{id}'"))
    };
    let mut commits = vec![nickname(&mine, "first"), nickname(&other, "second")];
    let kept = "select count(*) from _auth0_sync.unseen";
    wait_until("both are kept", SOON, async || watcher.count(kept).await == 2).await;
    stand.kill_service().await;
    stand.launch_service();
    // What is committed while the service starts comes by the stream.
    commits.push(apart(&stand, "insert into auth0.role (name) values ('third')"));
    commits_wait(&mut watcher, 3).await;
    stand.emulator.fault(json!({"down": false})).await;
    stand.until_ready().await;
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "first");
    assert_eq!(at_auth0(&stand, &other).await["nickname"], "second");
    assert_eq!(named(&stand, "role", "third").await, 1);
    equal(&stand).await;
}

#[tokio::test]
async fn setup_waits_for_no_service_that_does_not_run() {
    let mut stand = stand(Postgres::start()).await;
    stand.kill_service().await;
    stand.objects.push("log_stream".to_owned());
    let admin = stand.postgres.admin_url(support::stand::DATABASE);
    let arguments = ["setup", "--admin-url", admin.as_str()];
    let (status, out, log) = tokio::time::timeout(SOON, stand.run(&arguments)).await.unwrap();
    assert!(status.success(), "{out}{log}");
    stand.restart_service().await;
    waiting(&stand).await.run("insert into auth0.role (name) values ('after')").await;
    assert_eq!(named(&stand, "role", "after").await, 1);
    equal(&stand).await;
}

#[tokio::test]
async fn passwords_go_along_and_stand_nowhere() {
    let mut stand = stand(Postgres::start()).await;
    let mut watcher = watcher(&stand).await;
    let insert = |name: &str| {
        format!(
            "insert into auth0.user (user_id, email, connection, password) values \
             ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-{name}-1')"
        )
    };
    waiting(&stand).await.run(&insert("first")).await;
    assert_eq!(at_auth0(&stand, "auth0|first").await["email"], "first@example.com");
    assert!(stand.emulator.journal().contains("long-first-1"));
    equal(&stand).await;

    // The claim has them too, sealed: whoever finds it sends all of it.
    late(&stand, "POST", "delay").await;
    let commit = apart(&stand, &insert("second"));
    let claims = "select count(*) from _auth0_sync.unseen where request_id is not null";
    wait_until("it is claimed", SOON, async || watcher.count(claims).await == 1).await;
    let plain = "select count(*) from _auth0_sync.unseen u where u::text like '%long-second-1%' \
                 or convert_from(sealed, 'UTF8') like '%long-second-1%'";
    assert_eq!(watcher.count(plain).await, 0);
    stand.kill_service().await;
    stand.restart_service().await;
    commit.await.unwrap();
    assert!(stand.emulator.journal().contains("long-second-1"));
    assert_eq!(at_auth0(&stand, "auth0|second").await["email"], "second@example.com");
    equal(&stand).await;
    assert_eq!(watcher.count("select count(*) from _auth0_sync.write_only").await, 0);
}

#[tokio::test]
async fn a_client_that_gives_up_and_a_server_that_dies_leave_both_sides_equal() {
    let mut stand = stand(Postgres::start()).await;
    let mut watcher = watcher(&stand).await;
    late(&stand, "POST", "delay_after").await;
    let commit = apart(&stand, "insert into auth0.role (name) values ('given up')");
    commits_wait(&mut watcher, 1).await;
    let cancel = "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'";
    assert_eq!(watcher.count(cancel).await, 1);
    assert!(commit.await.unwrap() < LONG, "Postgres lets it go on with a warning");
    equal(&stand).await;
    assert_eq!(named(&stand, "role", "given up").await, 1);

    late(&stand, "POST", "delay_after").await;
    let url = stand.app_url.clone();
    let commit = tokio::spawn(async move {
        let mut session = Session::open(&url).await;
        session.run("set synchronous_commit = remote_apply").await;
        let insert = "insert into auth0.role (name) values ('died')".to_owned();
        session.connection.execute(AssertSqlSafe(insert)).await.is_err()
    });
    wait_until("Auth0 has it", SOON, async || named(&stand, "role", "died").await == 1).await;
    stand.postgres.kill();
    assert!(commit.await.unwrap(), "nobody knows");
    stand.postgres.restart();
    equal(&stand).await;
    assert_eq!(named(&stand, "role", "died").await, 1);
}
