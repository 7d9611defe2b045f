//! What keeps a client from harm that it does not mean.

use std::time::Duration;

use serde_json::json;

use super::{api_user, there, user};
use crate::support::{Session, Stand, all_settled, wait_until};

const SECONDS: Duration = Duration::from_secs(20);

/// What the stand of the service's own things mirrors.
pub const TABLES: &[&str] = &["client", "client_grant", "client_rotate_secret", "action"];

pub async fn a_large_delete_is_refused_unless_it_is_allowed(stand: &mut Stand) {
    let mut session = stand.session().await;
    // Rolled back: the statement alone is what counts.
    session
        .run("begin; insert into auth0.role (name) select 'many ' || n from generate_series(1, 101) n")
        .await;
    let refusal = session.refused("delete from auth0.role where name like 'many %'").await;
    assert_eq!((refusal.code.as_str(), refusal.table.as_str()), ("54000", "role"), "{refusal:?}");
    assert_eq!(refusal.message, "[Auth0] the statement deletes 101 rows of auth0.role, more than 100");
    assert!(refusal.hint.ends_with("set local auth0.max_deletes = 101;"), "{refusal:?}");
    session.run("rollback").await;

    for n in 1..=3 {
        session.confirmed(&format!("insert into auth0.role (name) values ('guarded {n}')")).await;
    }
    let delete = "delete from auth0.role where name like 'guarded %'";
    let refusal = session.refused(&format!("begin; set local auth0.max_deletes = 2; {delete}; commit")).await;
    assert_eq!(refusal.code, "54000");
    session.run("rollback").await;
    assert_eq!(there(stand, "role", "name", "guarded 1").await.len(), 1, "nothing was sent");
    session.confirmed(&format!("begin; set local auth0.max_deletes = 3; {delete}; commit")).await;
    assert!(there(stand, "role", "name", "guarded 1").await.is_empty());
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"));
}

pub async fn what_the_service_stands_on_is_protected(stand: &mut Stand) {
    let mut session = stand.session().await;
    let own = stand.emulator.client_id.clone();
    session
        .confirmed(&format!(
            "insert into auth0.client_grant (client_id, audience, scope) \
             values ('{own}', 'https://api.example.com/invoices', '{{read:invoices}}')"
        ))
        .await;
    for sql in [
        format!("delete from auth0.client where client_id = '{own}'"),
        format!("update auth0.client set grant_types = '{{}}' where client_id = '{own}'"),
        format!(
            "update auth0.client set client_secret = 'a-secret-that-is-long-enough-to-be-taken-0123456789' where client_id = '{own}'"
        ),
        format!("delete from auth0.client_grant where client_id = '{own}'"),
        format!("update auth0.client_grant set scope = '{{}}' where client_id = '{own}'"),
        format!("insert into auth0.client_rotate_secret (client_id) values ('{own}')"),
        "delete from auth0.client".to_owned(),
    ] {
        let refusal = session.refused(&sql).await;
        assert_eq!(refusal.code, "55006", "{sql}: {refusal:?}");
        assert!(
            refusal.message.starts_with("[Auth0] auth0-sync itself uses this row of auth0."),
            "{refusal:?}"
        );
    }
    // The rest of it is as free as any other row.
    session
        .confirmed(&format!("update auth0.client set description = 'Mirrors' where client_id = '{own}'"))
        .await;

    session
        .confirmed(
            "insert into auth0.action (name, code, supported_triggers) values ('Reporter', \
             'exports.onExecutePostLogin = async () => {};', '[{\"id\": \"post-login\", \"version\": \"v3\"}]')",
        )
        .await;
    let delete = "delete from auth0.action where name = 'Reporter'";
    let mut root = stand.root().await;
    root.run(
        "begin; insert into _auth0_sync.webhook_own (schema, part, key, digest) \
         select 'auth0', 'post-login', id, '' from auth0.action where name = 'Reporter'",
    )
    .await;
    assert_eq!(root.refused(delete).await.code, "55006");
    root.run("rollback").await;
    session.confirmed(delete).await;
    assert_eq!(session.count("select count(*) from auth0.action where name = 'Reporter'").await, 0);
}

/// The txid of the session's last transaction that changed something, as text.
async fn last_txid(session: &mut Session) -> String {
    session.text("select txid::text from auth0._sync_cdc order by id desc limit 1").await
}

pub async fn what_is_held_leaves_when_it_is_released_and_in_its_order(stand: &mut Stand) {
    let (mut session, mut other) = (stand.session().await, stand.session().await);
    let id = user(&mut session, 3).await;
    let nickname = |word: &str| format!("update auth0.user set nickname = '{word}' where user_id = '{id}'");
    session
        .run(&format!(
            "begin; set local auth0.hold = on; {}; insert into auth0.role (name) values ('held back'); commit",
            nickname("held")
        ))
        .await;
    let held = last_txid(&mut session).await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(refusal.code, "55000", "{refusal:?}");
    assert!(refusal.hint.contains(&format!("select auth0.release('{held}')")), "{refusal:?}");

    // A later change of the row waits behind it, and one of another row does not.
    other.run(&nickname("later")).await;
    let waiting = last_txid(&mut other).await;
    let free = user(&mut other, 4).await;
    stand
        .session()
        .await
        .confirmed(&format!("update auth0.user set nickname = 'free' where user_id = '{free}'"))
        .await;
    stand.kill_service().await;
    stand.restart_service().await;
    stand
        .session()
        .await
        .confirmed(&format!("update auth0.user set nickname = 'free too' where user_id = '{free}'"))
        .await;
    let states =
        format!("select state from auth0._sync_cdc where txid::text in ('{held}', '{waiting}') order by id");
    let states = session.rows(&states).await;
    let states: Vec<_> = states.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["held", "held", "pending"]);
    assert!(
        !["held", "later"].contains(&api_user(stand, &id).await["nickname"].as_str().unwrap_or_default())
    );
    assert!(there(stand, "role", "name", "held back").await.is_empty());

    // Whoever may only read lets nothing go.
    let mut root = stand.root().await;
    let may = "select has_function_privilege('auth0_reader', 'auth0.release(xid8)', 'execute')";
    assert_eq!(root.one(may).await, false);
    assert_eq!(session.count(&format!("select auth0.release('{held}')")).await, 2);
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(other.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(api_user(stand, &id).await["nickname"], "later");
    assert_eq!(there(stand, "role", "name", "held back").await.len(), 1);
    assert_eq!(session.refused(&format!("select auth0.release('{held}')")).await.code, "42704");
}

pub async fn what_is_discarded_comes_back_and_is_never_sent(stand: &mut Stand) {
    let (mut session, mut other) = (stand.session().await, stand.session().await);
    let id = user(&mut session, 5).await;
    let before = api_user(stand, &id).await;
    session
        .run(&format!(
            "begin; set local auth0.hold = on; update auth0.user set nickname = 'held', given_name = 'Held' \
             where user_id = '{id}'; insert into auth0.role (name) values ('never'); \
             delete from auth0.user_role where user_id = '{id}'; commit"
        ))
        .await;
    let held = last_txid(&mut session).await;
    other.run(&format!("update auth0.user set nickname = 'kept' where user_id = '{id}'")).await;
    session.one(&format!("select auth0.discard('{held}')")).await;
    assert_eq!(session.wait().await.unwrap_err().message, "[Auth0] discarded by app");
    assert_eq!(other.wait().await.as_deref(), Ok("confirmed"));
    all_settled(stand).await;
    let there_now = api_user(stand, &id).await;
    assert_eq!((&there_now["nickname"], &there_now["given_name"]), (&"kept".into(), &before["given_name"]));
    let wrong = "select count(*) from auth0._sync_cdc where txid = $ and (state <> 'reverted' or attempts > 0 \
                 or error ->> 'kind' <> 'discarded')";
    assert_eq!(session.count(&wrong.replace('$', &format!("'{held}'"))).await, 0);
    assert!(there(stand, "role", "name", "never").await.is_empty());
    assert_eq!(session.count("select count(*) from auth0.role where name = 'never'").await, 0);
}

pub async fn what_has_changed_at_auth0_is_not_overwritten_where_that_is_asked(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 6).await;
    let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
    let refusal =
        session.refused("set auth0.on_conflict = 'maybe'; update auth0.role set name = name || 'x'").await;
    assert_eq!(refusal.message, "[Auth0] invalid value for setting \"auth0.on_conflict\": \"maybe\"");
    session.run("set auth0.on_conflict = 'reject'").await;
    let update = |set: &str| format!("update auth0.user set {set} where user_id = '{id}'");

    // Somebody else's change of another column, of another key, is no conflict.
    stand.emulator.api.patch(&path, json!({"family_name": "Theirs", "app_metadata": {"theirs": 1}})).await;
    session.confirmed(&update("nickname = 'mine', app_metadata = '{\"mine\": 1}'")).await;

    // Held, so that Auth0 changes for sure between the reading and the call.
    for (mine, theirs, column) in [
        ("nickname = 'again'", json!({"nickname": "theirs"}), "nickname"),
        (
            "app_metadata = app_metadata || '{\"mine\": 2}'",
            json!({"app_metadata": {"mine": 3}}),
            "app_metadata",
        ),
    ] {
        session.run(&format!("begin; set local auth0.hold = on; {}; commit", update(mine))).await;
        let held = last_txid(&mut session).await;
        stand.emulator.api.patch(&path, theirs.clone()).await;
        // What becomes known of the row meanwhile goes under the held change, and must not hide this one.
        let known = theirs[column].clone();
        let known = known.get("mine").cloned().unwrap_or(known);
        let mut root = stand.root().await;
        let before = format!(
            "select coalesce(before -> '{column}' -> 'mine', before -> '{column}') from auth0._sync_cdc where txid = '{held}'"
        );
        wait_until("the change is known", SECONDS, async || root.one(&before).await == known).await;
        session.one(&format!("select auth0.release('{held}')")).await;
        let refusal = session.wait().await.unwrap_err();
        assert_eq!(refusal.message, format!("[Auth0] changed at Auth0 since it was read: {column}"));
        all_settled(stand).await;
        let there = api_user(stand, &id).await;
        assert_eq!(there[column].get("mine").unwrap_or(&there[column]), &known, "theirs stays");
    }
    session.run("reset auth0.on_conflict").await;
    session.confirmed(&update("nickname = 'last'")).await;
    assert_eq!(api_user(stand, &id).await["nickname"], "last");
}
