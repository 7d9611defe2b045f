//! Single columns: objects key by key, two writers, columns that users add.

use serde_json::json;

use super::{api_user, user};
use crate::support::{Stand, all_settled};

pub async fn metadata_changes_key_by_key(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 7).await;
    let row = format!("where user_id = '{id}'");
    for (set, then) in [
        ("'{\"a\": 1, \"deep\": {\"x\": 1}}'", json!({"a": 1, "deep": {"x": 1}})),
        ("user_metadata || '{\"b\": 2}'", json!({"a": 1, "deep": {"x": 1}, "b": 2})),
        ("jsonb_set(user_metadata, '{deep,x}', '2')", json!({"a": 1, "deep": {"x": 2}, "b": 2})),
        ("user_metadata - 'a'", json!({"deep": {"x": 2}, "b": 2})),
        ("null", json!(null)),
        ("'{\"c\": [1, null]}'", json!({"c": [1, null]})),
        ("'{}'", json!({})),
    ] {
        session.confirmed(&format!("update auth0.user set user_metadata = {set} {row}")).await;
        let there = api_user(stand, &id).await["user_metadata"].clone();
        let empty = |value: &serde_json::Value| value.is_null() || value == &json!({});
        assert!(there == then || empty(&there) && empty(&then), "{set}: {there} instead of {then}");
    }
}

pub async fn two_sessions_and_auth0_change_one_row_without_loss(stand: &mut Stand) {
    let (mut one, mut two) = (stand.session().await, stand.session().await);
    let id = user(&mut one, 8).await;
    stand.emulator.fault(json!({"match": {"method": "PATCH"}, "times": 2, "delay_ms": 200})).await;
    let update = |set: &str| format!("update auth0.user set {set} where user_id = '{id}'");
    one.run(&update("nickname = 'from one', app_metadata = coalesce(app_metadata, '{}') || '{\"one\": 1}'"))
        .await;
    two.run(&update("name = 'from two', app_metadata = coalesce(app_metadata, '{}') || '{\"two\": 2}'"))
        .await;
    let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
    stand.emulator.api.patch(&path, json!({"given_name": "from Auth0", "app_metadata": {"three": 3}})).await;
    assert_eq!(one.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(two.wait().await.as_deref(), Ok("confirmed"));
    let there = api_user(stand, &id).await;
    assert_eq!(
        (&there["nickname"], &there["name"], &there["given_name"]),
        (&"from one".into(), &"from two".into(), &"from Auth0".into())
    );
    for (key, value) in [("one", 1), ("two", 2), ("three", 3)] {
        assert_eq!(there["app_metadata"][key], value, "{there}");
    }
}

pub async fn what_users_add_to_a_table_is_theirs(stand: &mut Stand) {
    let mut root = stand.root().await;
    root.run(
        "alter table auth0.role add column note text, add column loud text generated always as (upper(name)) stored; \
         create index on auth0.role (note); \
         create table public.seen (id text); \
         grant all on public.seen to public; \
         create function public.see() returns trigger language plpgsql as \
         $$ begin insert into public.seen values (new.id); return null; end $$; \
         create trigger see after update on auth0.role for each row execute function public.see()",
    ).await;
    let mut session = stand.session().await;
    session.confirmed("insert into auth0.role (name, note) values ('noted', 'mine')").await;
    stand.emulator.forget_calls().await;
    session.run("update auth0.role set note = 'still mine' where name = 'noted'").await;
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"), "a user's column is never sent");
    session.confirmed("update auth0.role set description = 'both', note = 'kept' where name = 'noted'").await;
    let sent = session.text("select after from auth0._sync_cdc order by id desc limit 1").await;
    assert_eq!(sent, "{\"description\":\"both\"}");

    let refused =
        json!({"statusCode": 403, "error": "Forbidden", "message": "Not this one", "errorCode": "no"});
    stand.emulator.fault(json!({"match": {"method": "DELETE", "path": "/roles/"}, "times": 1, "do": "status", "status": 403, "body": refused})).await;
    session.run("delete from auth0.role where name = 'noted'").await;
    assert_eq!(session.wait().await.unwrap_err().message, "[Auth0] Not this one");
    let back = &session.rows("select * from auth0.role where name = 'noted'").await[0];
    assert_eq!(
        (&back["note"], &back["loud"], &back["description"]),
        (&"kept".into(), &"NOTED".into(), &"both".into())
    );
    assert!(session.count("select count(*) from public.seen").await > 0, "triggers that users add fire");
    let triggers =
        "select count(*) from pg_trigger where tgrelid = 'auth0.role'::regclass and tgname = 'see'";
    assert_eq!(session.count(triggers).await, 1);
    session.confirmed("delete from auth0.role where name = 'noted'").await;
    all_settled(stand).await;
    root.run("drop function public.see() cascade; drop table public.seen; alter table auth0.role drop column loud, drop column note").await;
}
