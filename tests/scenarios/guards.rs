//! What keeps a client from harm that it does not mean.

use super::there;
use crate::support::Stand;

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
    session.confirmed("update auth0.client set description = 'Everybody'").await;

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
