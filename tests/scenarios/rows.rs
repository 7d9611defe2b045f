//! Rows of every table come, change and go.

use serde_json::json;

use super::{api_user, there, user};
use crate::support::Stand;

pub async fn users_roles_and_links_come_and_go(stand: &mut Stand) {
    let mut session = stand.session().await;
    session.confirmed("insert into auth0.role (name, description) values ('auditor', 'Looks')").await;
    session.confirmed(
        "insert into auth0.user (user_id, email, connection, password, given_name) \
         values ('auth0|walk-in', 'walk.in@example.com', 'Username-Password-Authentication', 'long-enough-1', 'Walk')",
    ).await;
    let made = api_user(stand, "auth0|walk-in").await;
    assert_eq!((&made["email"], &made["given_name"]), (&"walk.in@example.com".into(), &"Walk".into()));
    let shown = &session.rows("select * from auth0.user where user_id = 'auth0|walk-in'").await[0];
    assert_eq!(shown["identities"][0]["connection"], "Username-Password-Authentication");
    let role = session.text("select id from auth0.role where name = 'auditor'").await;
    assert!(role.starts_with("rol_"), "{role}");
    session.confirmed(&format!("insert into auth0.user_role values ('auth0|walk-in', '{role}')")).await;
    assert_eq!(there(stand, "user_role", "user_id", "auth0|walk-in").await[0]["role_id"], role.as_str());
    session
        .confirmed(&format!("update auth0.role set description = 'Looks twice' where id = '{role}'"))
        .await;
    assert_eq!(there(stand, "role", "id", &role).await[0]["description"], "Looks twice");
    session.confirmed("delete from auth0.user_role where user_id = 'auth0|walk-in'").await;
    assert!(there(stand, "user_role", "user_id", "auth0|walk-in").await.is_empty());
    session.confirmed(&format!("insert into auth0.user_role values ('auth0|walk-in', '{role}')")).await;
    session.confirmed("delete from auth0.user where user_id = 'auth0|walk-in'").await;
    assert!(there(stand, "user", "user_id", "auth0|walk-in").await.is_empty());
    let left = session.count("select count(*) from auth0.user_role where user_id = 'auth0|walk-in'").await;
    assert_eq!(left, 0, "what hung on the user went with it");
    session.confirmed(&format!("delete from auth0.role where id = '{role}'")).await;
    assert!(there(stand, "role", "id", &role).await.is_empty());
    // The API makes a key where none is given, in the form that it would have itself.
    session
        .confirmed(
            "insert into auth0.user (email, connection, password) \
         values ('keyless@example.com', 'Username-Password-Authentication', 'long-enough-1')",
        )
        .await;
    let key = session.text("select user_id from auth0.user where email = 'keyless@example.com'").await;
    assert_eq!(api_user(stand, &key).await["email"], "keyless@example.com");
}

pub async fn organizations_and_members_come_and_go(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 0).await;
    session.confirmed("insert into auth0.organization (name, display_name, metadata) values ('hooli', 'Hooli', '{\"tier\": \"gold\"}')").await;
    let key = session.text("select id from auth0.organization where name = 'hooli'").await;
    assert!(key.starts_with("org_"), "{key}");
    session.confirmed(&format!("insert into auth0.organization_member values ('{key}', '{id}')")).await;
    assert_eq!(there(stand, "organization_member", "organization_id", &key).await.len(), 1);
    session.confirmed(&format!("update auth0.organization set display_name = 'Hooli XYZ', metadata = '{{\"tier\": \"tin\"}}' where id = '{key}'")).await;
    let made = &there(stand, "organization", "id", &key).await[0];
    assert_eq!((&made["display_name"], &made["metadata"]), (&"Hooli XYZ".into(), &json!({"tier": "tin"})));
    session
        .confirmed(&format!("delete from auth0.organization_member where organization_id = '{key}'"))
        .await;
    assert!(there(stand, "organization_member", "organization_id", &key).await.is_empty());
    session
        .confirmed(&format!(
            "insert into auth0.organization_member select '{key}', user_id from auth0.user limit 5"
        ))
        .await;
    session.confirmed(&format!("delete from auth0.organization where id = '{key}'")).await;
    assert!(there(stand, "organization", "id", &key).await.is_empty());
    let left = session
        .count(&format!("select count(*) from auth0.organization_member where organization_id = '{key}'"))
        .await;
    assert_eq!(left, 0, "members go with their organization");
}

pub async fn clients_connections_and_the_tenant_change(stand: &mut Stand) {
    let mut session = stand.session().await;
    session.confirmed("insert into auth0.client (name, app_type, callbacks) values ('Kiosk', 'spa', '{https://kiosk.example.com/in}')").await;
    let key = session.text("select client_id from auth0.client where name = 'Kiosk'").await;
    assert!(!key.starts_with("new_"), "{key}");
    session.confirmed(&format!("update auth0.client set description = 'At the door', client_metadata = '{{\"floor\": \"1\"}}' where client_id = '{key}'")).await;
    session.confirmed(&format!("update auth0.client set client_metadata = client_metadata || '{{\"door\": \"2\"}}' where client_id = '{key}'")).await;
    let made = &there(stand, "client", "client_id", &key).await[0];
    assert_eq!(
        (&made["description"], &made["client_metadata"]),
        (&"At the door".into(), &json!({"floor": "1", "door": "2"}))
    );
    session.confirmed(&format!("delete from auth0.client where client_id = '{key}'")).await;
    assert!(there(stand, "client", "client_id", &key).await.is_empty());

    session.confirmed("insert into auth0.connection (name, strategy, options) values ('Guests', 'auth0', '{\"passwordPolicy\": \"low\", \"brute_force_protection\": true}')").await;
    let key = session.text("select id from auth0.connection where name = 'Guests'").await;
    assert!(key.starts_with("con_"), "{key}");
    // The API replaces options whole: a key that somebody else adds must survive a client's change.
    let path = format!("/api/v2/connections/{key}");
    let mut options = stand.emulator.api.get(&path).await["options"].clone();
    options["mfa"] = json!({"active": true});
    stand.emulator.api.patch(&path, json!({"options": options})).await;
    session.confirmed(&format!("update auth0.connection set options = jsonb_set(options, '{{passwordPolicy}}', '\"good\"') where id = '{key}'")).await;
    let options = stand.emulator.api.get(&path).await["options"].clone();
    assert_eq!(options["passwordPolicy"], "good");
    assert_eq!(options["brute_force_protection"], true);
    assert_eq!(options["mfa"], json!({"active": true}), "{options}");
    session.confirmed(&format!("delete from auth0.connection where id = '{key}'")).await;
    assert!(there(stand, "connection", "id", &key).await.is_empty());

    session
        .confirmed(
            "update auth0.tenant set friendly_name = 'Acme of tests', support_email = 'help@example.com'",
        )
        .await;
    let settings = stand.emulator.api.get("/api/v2/tenants/settings").await;
    assert_eq!(
        (&settings["friendly_name"], &settings["support_email"]),
        (&"Acme of tests".into(), &"help@example.com".into())
    );
}
