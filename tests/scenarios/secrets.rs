//! Passwords go to Auth0 and nowhere else.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::{api_user, user};
use crate::support::{Stand, all_settled};

pub async fn a_password_reaches_auth0_and_nothing_else(stand: &mut Stand) {
    const MARKER: &str = "Marker-6f1d-of-a-password";
    let mut root = stand.root().await;
    root.run("select pg_create_logical_replication_slot('spy', 'pgoutput')").await;
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let mut session = stand.session().await;
    let id = user(&mut session, 9).await;
    let before = api_user(stand, &id).await["last_password_reset"].clone();

    session.confirmed(&format!("update auth0.user set password = '{MARKER}-1' where user_id = '{id}'")).await;
    assert_ne!(api_user(stand, &id).await["last_password_reset"], before);
    session.confirmed(&format!(
        "insert into auth0.user (user_id, email, connection, password) \
         values ('auth0|secretive', 'secretive@example.com', 'Username-Password-Authentication', '{MARKER}-2')"
    )).await;
    // Auth0 refuses a password that is too short; its trace must go as well.
    session
        .run(&format!("update auth0.user set password = 'x', nickname = 'no' where user_id = '{id}'"))
        .await;
    assert!(session.wait().await.is_err());
    session
        .confirmed(&format!(
            "update auth0.user set password = '{MARKER}-3', nickname = 'both' where user_id = '{id}'"
        ))
        .await;
    all_settled(stand).await;
    for n in 1..=3 {
        assert!(stand.emulator.journal().contains(&format!("{MARKER}-{n}")), "password {n} did not arrive");
    }

    let shown =
        root.rows("select * from auth0.user where password is not null or connection is not null").await;
    assert!(shown.is_empty(), "{shown:?}");
    let told = root.rows("select * from auth0._sync_cdc").await;
    assert!(!format!("{told:?}").contains(MARKER), "_sync_cdc");
    assert_eq!(root.count("select count(*) from _auth0_sync.write_only").await, 0);
    let publication = root.text("select pubname from pg_publication limit 1").await;
    let stream = format!(
        "select count(*) filter (where position('{MARKER}'::bytea in data) > 0) as leaks, \
         count(*) filter (where position('secretive@'::bytea in data) > 0) as told from \
         pg_logical_slot_peek_binary_changes('spy', null, null, 'proto_version', '1', 'publication_names', '{publication}')"
    );
    let stream = &root.rows(&stream).await[0];
    assert_eq!(stream["leaks"], 0, "the publication");
    assert!(stream["told"].as_i64().unwrap() > 0, "the publication was looked at");
    root.run("select pg_drop_replication_slot('spy')").await;
    let mut notes = 0;
    while let Ok(note) = tokio::time::timeout(Duration::from_millis(100), listener.recv()).await {
        assert!(!note.unwrap().payload().contains(MARKER), "NOTIFY");
        notes += 1;
    }
    assert!(notes >= 4, "{notes} notifications");
    assert!(!stand.service.as_ref().unwrap().log().contains(MARKER), "the service's log");
    assert!(!stand.service.as_ref().unwrap().log().contains("secretive@"), "the service's log");
}
