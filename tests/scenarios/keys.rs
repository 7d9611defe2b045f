//! Keys that Auth0 makes, and what hangs on a row that is refused.

use std::time::Duration;

use super::{there, user};
use crate::support::{Stand, all_settled, wait_until};

const SECONDS: Duration = Duration::from_secs(20);

pub async fn provisional_keys_are_replaced_everywhere(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 5).await;
    session.confirmed(
        "with o as (insert into auth0.organization (name, display_name) values ('initrode', 'Initrode') returning id), \
         m as (insert into auth0.organization_member select o.id, u.user_id from o, (select user_id from auth0.user limit 4) u) \
         select",
    ).await;
    session.confirmed(&format!(
        "do $$ declare r text; begin insert into auth0.role (name) values ('keymaster') returning id into r; \
         insert into auth0.user_role values ('{id}', r); update auth0.role set description = 'Has keys' where id = r; end $$"
    )).await;
    let key = session.text("select id from auth0.organization where name = 'initrode'").await;
    assert_eq!(there(stand, "organization_member", "organization_id", &key).await.len(), 4);
    let role = &there(stand, "role", "name", "keymaster").await[0];
    assert_eq!(role["description"], "Has keys");
    assert_eq!(
        there(stand, "user_role", "role_id", role["id"].as_str().unwrap()).await[0]["user_id"],
        id.as_str()
    );
    for table in [
        "organization_member where organization_id",
        "role where id",
        "user_role where role_id",
        "_sync_cdc where key::text || coalesce(after::text, '')",
    ] {
        let left = session.count(&format!("select count(*) from auth0.{table} like '%new_%'")).await;
        assert_eq!(left, 0, "{table}");
    }
}

pub async fn a_refused_organization_takes_its_members_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let taken = session.text("select name from auth0.organization order by name limit 1").await;
    session
        .run(&format!(
            "begin; insert into auth0.organization (name, display_name) values ('{taken}', 'Again'); \
         insert into auth0.organization_member select o.id, u.user_id from auth0.organization o, \
         (select user_id from auth0.user limit 3) u where o.display_name = 'Again'; commit"
        ))
        .await;
    let refusal = session.wait().await.unwrap_err();
    assert_eq!(refusal.message, "[Auth0] An organization with this name already exists.");
    all_settled(stand).await;
    let states = session
        .rows("select operation, \"table\", state, error from auth0._sync_cdc order by id desc limit 4")
        .await;
    let cancelled =
        states.iter().filter(|row| row["state"] == "cancelled" && row["table"] == "organization_member");
    assert_eq!(cancelled.count(), 3, "{states:?}");
    assert_eq!(states[3]["state"], "reverted");
    assert_eq!(states[3]["error"]["status"], 409);
    let left = "select (select count(*) from auth0.organization where id like 'new_%') + \
                (select count(*) from auth0.organization_member where organization_id like 'new_%')";
    assert_eq!(session.count(left).await, 0);
}

pub async fn upserts_insert_or_update(stand: &mut Stand) {
    let mut session = stand.session().await;
    let there_already = user(&mut session, 6).await;
    let upsert = |rows: &str, set: &str| {
        format!(
            "insert into auth0.user (user_id, email, connection, password, nickname) values {rows} \
             on conflict (user_id) do {set}"
        )
    };
    let new = |n: u32| {
        format!(
            "('auth0|upsert{n}', 'upsert{n}@example.com', 'Username-Password-Authentication', 'long-enough-1', 'fresh')"
        )
    };
    session.confirmed(&upsert(&new(1), "update set nickname = excluded.nickname")).await;
    let old = format!(
        "('{there_already}', 'nobody@example.com', 'Username-Password-Authentication', null, 'upserted')"
    );
    session
        .confirmed(&upsert(&format!("{old}, {}", new(2)), "update set nickname = excluded.nickname"))
        .await;
    session.confirmed(&upsert(&format!("{}, {}, {old}", new(2), new(3)), "nothing")).await;
    for n in 1..=3 {
        assert_eq!(
            there(stand, "user", "user_id", &format!("auth0|upsert{n}")).await[0]["nickname"],
            "fresh"
        );
    }
    assert_eq!(there(stand, "user", "user_id", &there_already).await[0]["nickname"], "upserted");
    assert_eq!(stand.root().await.count("select count(*) from _auth0_sync.write_only").await, 0);
}

pub async fn a_provisional_key_stays_a_good_name_for_its_row(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 11).await;
    let insert = "insert into auth0.organization (name) values ('kept-name') returning id";
    let provisional: String = sqlx::query_scalar(insert).fetch_one(&mut session.connection).await.unwrap();
    assert!(provisional.starts_with("new_"), "{provisional}");
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    let made = session.text("select id from auth0.organization where name = 'kept-name'").await;
    assert_ne!(made, provisional);
    session
        .confirmed(&format!("insert into auth0.organization_member values ('{provisional}', '{id}')"))
        .await;
    assert_eq!(there(stand, "organization_member", "organization_id", &made).await.len(), 1);
    let stored = format!(
        "select organization_id from auth0.organization_member where user_id = '{id}' and organization_id = '{made}'"
    );
    assert_eq!(session.text(&stored).await, made);
    // A name that was never given is refused by Auth0.
    session
        .confirmed(&format!("delete from auth0.organization_member where organization_id = '{made}'"))
        .await;
    session.run(&format!("insert into auth0.organization_member values ('new_nobody', '{id}')")).await;
    assert!(session.wait().await.is_err());
}

pub async fn a_provisional_key_that_is_committed_too_late_is_replaced(stand: &mut Stand) {
    let (mut session, mut late) = (stand.session().await, stand.session().await);
    let id = user(&mut session, 12).await;
    let mut root = stand.root().await;
    let insert = "insert into auth0.organization (name) values ('late-name') returning id";
    // The service looks for the key before this transaction is committed, and the trigger before it is made.
    stand.kill_service().await;
    let provisional: String = sqlx::query_scalar(insert).fetch_one(&mut session.connection).await.unwrap();
    late.run(&format!("begin; insert into auth0.organization_member values ('{provisional}', '{id}')")).await;
    stand.restart_service().await;
    let made = "select count(*) from auth0.organization where name = 'late-name' and id like 'org\\_%'";
    wait_until("the key is made", SECONDS, async || root.count(made).await == 1).await;
    late.run("commit").await;
    assert_eq!(late.wait().await.as_deref(), Ok("confirmed"));
    let made = session.text("select id from auth0.organization where name = 'late-name'").await;
    assert_eq!(there(stand, "organization_member", "organization_id", &made).await.len(), 1);
    assert_eq!(
        session
            .count("select count(*) from auth0.organization_member where organization_id like 'new\\_%'")
            .await,
        0
    );
}
