//! Many rows at once: what goes wrong with one of them is its own affair.

use std::time::Duration;

use serde_json::json;

use crate::support::{Stand, equal, wait_until};

const SOON: Duration = Duration::from_secs(15);
const UNSETTLED: &str = "select count(*) from auth0._sync_cdc where settled_at is null";

#[tokio::test]
async fn rows_that_clients_hold_and_triggers_refuse_settle_later_and_hold_up_no_other() {
    for stand in [Stand::start(40).await, Stand::oldest(40).await] {
        two_of_many_settle_later(&stand).await;
    }
}

async fn two_of_many_settle_later(stand: &Stand) {
    let (mut session, mut holder, mut root) =
        (stand.session().await, stand.session().await, stand.root().await);
    let held = session.text("select min(user_id) from auth0.user").await;
    let refused = session.text("select max(user_id) from auth0.user").await;
    root.run(&format!(
        "create function public.refuse() returns trigger language plpgsql as $$ begin \
         if session_user = 'auth0_sync' and new.user_id = '{refused}' then raise exception 'not this one'; end if; \
         return new; end $$"
    ))
    .await;
    root.run(
        "create trigger refuse before update on auth0.user for each row execute function public.refuse()",
    )
    .await;
    stand.emulator.fault(json!({"match": {"method": "PATCH"}, "times": 40, "delay_ms": 400})).await;
    session.run("update auth0.user set nickname = 'one of many'").await;
    holder.run(&format!("begin; select from auth0.user where user_id = '{held}' for update")).await;
    wait_until("all others are settled", SOON, async || session.count(UNSETTLED).await == 2).await;
    let open = "select count(*) from auth0._sync_cdc where settled_at is null and key ->> 'user_id' in";
    assert_eq!(session.count(&format!("{open} ('{held}', '{refused}')")).await, 2);
    holder.run("commit").await;
    root.run("drop function public.refuse() cascade").await;
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    assert_eq!(session.count("select count(*) from auth0._sync_cdc where state <> 'confirmed'").await, 0);
    equal(stand).await;
}

#[tokio::test]
async fn of_many_rows_in_one_update_only_those_that_auth0_refuses_come_back() {
    let stand = Stand::start(40).await;
    let mut session = stand.session().await;
    let mine = "auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication'";
    let taken = session.text(&format!("select min(email) from {mine}")).await;
    let guilty = format!("select user_id from {mine} and email <> '{taken}' order by user_id limit 3");
    session
        .run(&format!(
            "update auth0.user set nickname = 'one of many', \
             email = case when user_id in ({guilty}) then '{taken}' else email end"
        ))
        .await;
    assert_eq!(session.wait().await.unwrap_err().message, "[Auth0] The specified new email already exists");
    assert_eq!(session.count("select count(*) from auth0._sync_cdc where state = 'reverted'").await, 3);
    assert_eq!(session.count("select count(*) from auth0.user where nickname = 'one of many'").await, 37);
    equal(&stand).await;
}
