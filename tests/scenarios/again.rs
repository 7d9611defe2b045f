//! Changes that are made again, and changes that are taken back.

use serde_json::json;

use super::{api_user, there, user};
use crate::support::{Session, Stand, all_settled};

/// The session's last mutation.
async fn last_id(session: &mut Session) -> i64 {
    session.count("select max(id) from auth0._sync_cdc").await
}

pub async fn a_refused_change_is_made_again(stand: &mut Stand) {
    let mut session = stand.session().await;
    let taken = session.rows("select id, name from auth0.organization order by name limit 1").await.remove(0);
    session
        .run(&format!(
            "insert into auth0.organization (name, display_name, metadata) values ('{}', 'Twice', '{{\"a\": \"1\"}}')",
            taken["name"].as_str().unwrap()
        ))
        .await;
    assert!(session.wait().await.is_err());
    let refused = last_id(&mut session).await;
    let path = format!("/api/v2/organizations/{}", taken["id"].as_str().unwrap());
    stand.emulator.api.patch(&path, json!({"name": "renamed-meanwhile"})).await;
    let again = session.count(&format!("select auth0.retry({refused})")).await;
    assert!(again > refused);
    assert_eq!(session.wait().await.as_deref(), Ok("confirmed"));
    let made = there(stand, "organization", "name", taken["name"].as_str().unwrap()).await;
    assert_eq!(
        (made.len(), &made[0]["display_name"], &made[0]["metadata"]),
        (1, &"Twice".into(), &json!({"a": "1"}))
    );
    assert_eq!(session.refused(&format!("select auth0.retry({again})")).await.code, "55000");
    assert_eq!(session.refused("select auth0.retry(0)").await.code, "P0002");

    // What a password was is known to nobody any more.
    let id = user(&mut session, 7).await;
    session.run(&format!("update auth0.user set password = 'x' where user_id = '{id}'")).await;
    assert!(session.wait().await.is_err());
    let refused = last_id(&mut session).await;
    let refusal = session.refused(&format!("select auth0.retry({refused})")).await;
    assert_eq!((refusal.code.as_str(), refusal.detail.as_str()), ("55000", "Columns: [\"password\"]."));
}

pub async fn a_confirmed_change_is_taken_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 8).await;
    let old = api_user(stand, &id).await;
    session
        .confirmed(&format!(
            "update auth0.user set app_metadata = coalesce(app_metadata, '{{}}') || '{{\"kept\": 1, \"changed\": 1}}' \
             where user_id = '{id}'"
        ))
        .await;
    session
        .confirmed(&format!(
            "update auth0.user set nickname = 'undone', \
             app_metadata = app_metadata - 'changed' || '{{\"new\": true}}' where user_id = '{id}'"
        ))
        .await;
    let undone = last_id(&mut session).await;
    session.confirmed(&format!("update auth0.user set given_name = 'Stays' where user_id = '{id}'")).await;
    session.confirmed(&format!("select auth0.undo({undone})")).await;
    let now = api_user(stand, &id).await;
    assert_eq!((&now["nickname"], &now["given_name"]), (&old["nickname"], &"Stays".into()));
    let metadata = &now["app_metadata"];
    assert_eq!((&metadata["kept"], &metadata["changed"]), (&json!(1), &json!(1)), "{metadata}");
    assert!(metadata.get("new").is_none(), "{metadata}");
    assert_eq!(session.count(&format!("select count(*) from auth0.undo({undone})")).await, 1);
    assert!(session.one(&format!("select auth0.undo({undone})")).await.is_null(), "it is so already");
    all_settled(stand).await;
    session.refused("select auth0.undo('new'::text)").await;
}

pub async fn a_whole_transaction_is_taken_back(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 9).await;
    let old = api_user(stand, &id).await;
    session.confirmed("insert into auth0.role (name) values ('linked')").await;
    let role = session.text("select id from auth0.role where name = 'linked'").await;
    session.confirmed(&format!("insert into auth0.user_role values ('{id}', '{role}')")).await;
    session
        .confirmed(&format!(
            "begin; insert into auth0.role (name, description) values ('for a while', 'x'); \
             update auth0.user set nickname = 'for a while' where user_id = '{id}'; \
             update auth0.role set description = 'y' where name = 'for a while'; \
             delete from auth0.user_role where user_id = '{id}' and role_id = '{role}'; commit"
        ))
        .await;
    assert!(there(stand, "user_role", "role_id", &role).await.is_empty());
    let txid = session.text("select txid::text from auth0._sync_cdc order by id desc limit 1").await;
    session.confirmed(&format!("select auth0.undo('{txid}'::xid8)")).await;
    assert_eq!(api_user(stand, &id).await["nickname"], old["nickname"]);
    assert_eq!(there(stand, "user_role", "role_id", &role).await.len(), 1);
    assert!(there(stand, "role", "name", "for a while").await.is_empty());
}
