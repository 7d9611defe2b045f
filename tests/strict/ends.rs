//! Transactions that do not keep what their statements have done.

use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{at_auth0, becomes, decided, returned, strict, there, user};
use crate::support::{Stand, equal, wait_until};

#[tokio::test]
async fn what_is_rolled_back_is_taken_back_at_auth0() {
    let stand = Stand::start(10).await;
    let mut session = strict(&stand).await;
    let (mine, other) = (user(&mut session, 0).await, user(&mut session, 1).await);
    let before = at_auth0(&stand, &mine).await;
    let keeper = returned(&mut session, "insert into auth0.role (name) values ('keeper') returning id").await;

    // All of a transaction: an update of keys inside an object, an insert, a delete.
    session.run("begin").await;
    session
        .run(&format!(
            "update auth0.user set nickname = 'gone', app_metadata = coalesce(app_metadata, '{{}}') || '{{\"gone\": 1}}' \
             where user_id = '{mine}'"
        ))
        .await;
    let role = returned(&mut session, "insert into auth0.role (name) values ('gone') returning id").await;
    session.run(&format!("delete from auth0.role where id = '{keeper}'")).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "gone");
    assert_eq!(there(&stand, "role", "id", &role).await, 1);
    assert_eq!(there(&stand, "role", "id", &keeper).await, 0);
    session.run("rollback").await;
    decided(&stand).await;
    let now = at_auth0(&stand, &mine).await;
    assert_eq!((&now["nickname"], &now["app_metadata"]), (&before["nickname"], &before["app_metadata"]));
    assert_eq!(there(&stand, "role", "id", &role).await, 0);
    assert_eq!(there(&stand, "role", "name", "keeper").await, 1, "under another key, that Postgres has too");

    // A part of one: what came after the savepoint, and not what came before or later.
    session.run("begin").await;
    session.run(&format!("update auth0.user set nickname = 'kept' where user_id = '{mine}'")).await;
    session.run("savepoint a").await;
    session
        .run(&format!("update auth0.user set nickname = 'lost', name = 'lost' where user_id = '{mine}'"))
        .await;
    session
        .run(
            "insert into auth0.user (user_id, email, connection, password) values \
        ('auth0|twice', 'twice@example.com', 'Username-Password-Authentication', 'Tr0ub4dor&3-long')",
        )
        .await;
    session.run("rollback to a").await;
    session.run(&format!("update auth0.user set given_name = 'kept' where user_id = '{mine}'")).await;
    session
        .run(
            "insert into auth0.user (user_id, email, connection, password) values \
        ('auth0|twice', 'twice@example.com', 'Username-Password-Authentication', 'Tr0ub4dor&3-long')",
        )
        .await;
    session.run("commit").await;
    decided(&stand).await;
    let now = at_auth0(&stand, &mine).await;
    assert_eq!((&now["nickname"], &now["given_name"]), (&json!("kept"), &json!("kept")));
    assert_eq!(now["name"], before["name"]);
    assert_eq!(there(&stand, "user", "user_id", "auth0|twice").await, 1);

    // A later constraint; a row that is not stored; a refusal that the client catches.
    session.run("begin").await;
    session.run(&format!("update auth0.user set nickname = 'gone' where user_id = '{other}'")).await;
    session.refused("select 1 / 0").await;
    session.run("commit").await;
    session
        .run(&format!(
            "do $$ begin update auth0.user set nickname = 'gone' where user_id = '{other}'; \
             raise exception 'no'; exception when raise_exception then null; end $$"
        ))
        .await;
    decided(&stand).await;
    assert_eq!(there(&stand, "user", "nickname", "gone").await, 0);
    equal(&stand).await;
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_leaves_nothing_at_auth0() {
    let stand = Stand::start(10).await;
    let mut watcher = strict(&stand).await;
    let mine = user(&mut watcher, 0).await;
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    let update = |text: &str| format!("update auth0.user set nickname = '{text}' where user_id = '{mine}'");

    let mut lost = strict(&stand).await;
    lost.run("begin").await;
    lost.run(&update("lost")).await;
    drop(lost);
    becomes(&stand, &mine, "nickname", &nickname).await;

    let mut killed = strict(&stand).await;
    let pid = killed.count("select pg_backend_pid()").await;
    killed.run("begin").await;
    killed.run(&update("killed")).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], "killed");
    stand.root().await.run(&format!("select pg_terminate_backend({pid})")).await;
    becomes(&stand, &mine, "nickname", &nickname).await;

    // The call is answered, or even carried out, after the statement has given up: it is taken back behind that.
    for (setting, late) in ["statement_timeout", "auth0.strict_timeout"]
        .into_iter()
        .flat_map(|setting| ["delay_after", "delay"].map(|late| (setting, late)))
    {
        let order = json!({"match": {"method": "PATCH"}, "times": 1, "do": late, "delay_ms": 700});
        stand.emulator.fault(order).await;
        stand.emulator.forget_calls().await;
        watcher.run(&format!("set {setting} = '300ms'")).await;
        let refusal = watcher.refused(&update(setting)).await;
        assert_eq!(refusal.code, "57014", "{refusal:?}");
        watcher.run(&format!("reset {setting}")).await;
        decided(&stand).await;
        assert_eq!(at_auth0(&stand, &mine).await["nickname"], nickname, "{setting}, {late}");
        assert_eq!(stand.emulator.calls("PATCH /users/{user_id}").await, 2, "{setting}, {late}");
    }
    equal(&stand).await;
}

#[tokio::test]
async fn the_next_writer_of_a_row_comes_after_what_is_taken_back() {
    let stand = Stand::start(10).await;
    let mut first = strict(&stand).await;
    let mine = user(&mut first, 0).await;
    let name = at_auth0(&stand, &mine).await["name"].clone();
    for mode in ["strict", "async"] {
        first.run("begin").await;
        first
            .run(&format!(
                "update auth0.user set name = 'first', nickname = 'first' where user_id = '{mine}'"
            ))
            .await;
        let mut second = strict(&stand).await;
        let pid = second.count("select pg_backend_pid()").await;
        let sql = format!("update auth0.user set nickname = 'second {mode}' where user_id = '{mine}'");
        let waiting = tokio::spawn(async move {
            second.run(&format!("set auth0.write_mode = '{mode}'")).await;
            sqlx::query(AssertSqlSafe(sql)).execute(&mut second.connection).await.unwrap();
        });
        let mut root = stand.root().await;
        let blocked =
            format!("select count(*) from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock'");
        wait_until("the second waits for the row", super::SOON, async || root.count(&blocked).await == 1)
            .await;
        first.run("rollback").await;
        waiting.await.unwrap();
        becomes(&stand, &mine, "nickname", &json!(format!("second {mode}"))).await;
        decided(&stand).await;
        assert_eq!(at_auth0(&stand, &mine).await["name"], name);
        equal(&stand).await;
    }
}

#[tokio::test]
async fn a_change_behind_a_delete_that_was_rolled_back_goes_to_the_row_that_was_made_again() {
    let stand = Stand::start(10).await;
    let (mut first, mut root) = (strict(&stand).await, stand.root().await);
    let role = returned(&mut first, "insert into auth0.role (name) values ('again') returning id").await;
    decided(&stand).await;
    // The change is in its lane before the row has its new key.
    let order = json!({"match": {"method": "POST", "path": "^/api/v2/roles$"}, "do": "delay_after", "delay_ms": 1_500});
    stand.emulator.fault(order).await;
    first.run("begin").await;
    first.run(&format!("delete from auth0.role where id = '{role}'")).await;
    let mut second = stand.session().await;
    let pid = second.count("select pg_backend_pid()").await;
    let sql = format!("update auth0.role set description = 'behind' where id = '{role}'");
    let waiting = tokio::spawn(async move { second.run(&sql).await });
    let blocked =
        format!("select count(*) from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock'");
    wait_until("the second waits for the row", super::SOON, async || root.count(&blocked).await == 1).await;
    first.run("rollback").await;
    waiting.await.unwrap();
    let open = "select count(*) from auth0._sync_cdc where settled_at is null";
    wait_until("it has settled", super::SOON, async || root.count(open).await == 0).await;
    decided(&stand).await;
    assert_eq!(there(&stand, "role", "id", &role).await, 0);
    assert_eq!(there(&stand, "role", "description", "behind").await, 1);
    equal(&stand).await;
}
