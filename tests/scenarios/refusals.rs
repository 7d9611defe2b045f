//! What is refused in the statement itself.

use super::user;
use crate::support::Stand;

/// SQL, SQLSTATE, table, column, start of the message behind `[Auth0] `.
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "update auth0.user set email = 'invalid-email'",
        "22023",
        "user",
        "email",
        "invalid input syntax for type email: \"invalid-email\"",
    ),
    (
        "update auth0.user set logins_count = 7",
        "428C9",
        "user",
        "logins_count",
        "column \"logins_count\" is read-only",
    ),
    (
        "update auth0.user set user_id = 'auth0|other'",
        "428C9",
        "user",
        "user_id",
        "column \"user_id\" is the key",
    ),
    ("update auth0.user set extra = '{\"a\": 1}'", "428C9", "user", "extra", "column \"extra\" is read-only"),
    (
        "update auth0.user set user_metadata = '[1]'",
        "22023",
        "user",
        "user_metadata",
        "column \"user_metadata\" takes a JSON object",
    ),
    (
        "update auth0.user set name = repeat('x', 301)",
        "22001",
        "user",
        "name",
        "value too long for column \"name\": at most 300",
    ),
    (
        "update auth0.user set phone_number = '0123'",
        "22023",
        "user",
        "phone_number",
        "invalid value for column \"phone_number\"",
    ),
    (
        "insert into auth0.user (email) values ('a@example.com')",
        "23502",
        "user",
        "connection",
        "missing value for column \"connection\"",
    ),
    (
        "insert into auth0.user (email, connection, logins_count) values ('a@example.com', 'x', 1)",
        "428C9",
        "user",
        "logins_count",
        "column \"logins_count\" is read-only",
    ),
    (
        "insert into auth0.role (description) values ('x')",
        "23502",
        "role",
        "name",
        "missing value for column \"name\"",
    ),
    (
        "insert into auth0.role (id, name) values ('rol_1', 'x')",
        "428C9",
        "role",
        "id",
        "column \"id\" is read-only",
    ),
    ("update auth0.role set name = null", "23502", "role", "name", "missing value for column \"name\""),
    (
        "update auth0.connection set strategy = 'oidc'",
        "428C9",
        "connection",
        "strategy",
        "column \"strategy\" cannot change",
    ),
    (
        "insert into auth0.connection (name, strategy) values ('x', 'nothing')",
        "22023",
        "connection",
        "strategy",
        "invalid input value for column \"strategy\": \"nothing\"",
    ),
    (
        "update auth0.client set organization_usage = 'toaster'",
        "22023",
        "client",
        "organization_usage",
        "invalid input value for column \"organization_usage\": \"toaster\"",
    ),
    (
        "update auth0.client set par_request_expiry = 5",
        "22003",
        "client",
        "par_request_expiry",
        "value of column \"par_request_expiry\" out of range",
    ),
    (
        "update auth0.organization set display_name = ''",
        "22023",
        "organization",
        "display_name",
        "value too short",
    ),
    ("truncate auth0.role", "0A000", "role", "", "TRUNCATE of auth0.role is not possible"),
    (
        "insert into auth0.tenant (friendly_name) values ('x')",
        "0A000",
        "tenant",
        "",
        "rows of auth0.tenant cannot be inserted",
    ),
    ("delete from auth0.tenant", "0A000", "tenant", "", "rows of auth0.tenant cannot be deleted"),
    (
        "update auth0.user_role set role_id = 'x'",
        "0A000",
        "user_role",
        "",
        "rows of auth0.user_role cannot be updated",
    ),
];

pub async fn what_the_catalogue_knows_to_be_wrong_is_refused_in_the_statement(stand: &mut Stand) {
    let mut session = stand.session().await;
    let before = session.count("select count(*) from auth0._sync_cdc").await;
    let mut root = stand.root().await;
    for (sql, code, table, column, message) in REFUSED {
        // Applications lack the right to TRUNCATE; whoever has it is refused as well.
        let client = if sql.starts_with("truncate") { &mut root } else { &mut session };
        let refusal = client.refused(sql).await;
        let said = (refusal.code.as_str(), refusal.table.as_str(), refusal.column.as_str());
        assert_eq!(said, (*code, *table, *column), "{sql}: {refusal:?}");
        assert!(refusal.message.starts_with(&format!("[Auth0] {message}")), "{sql}: {refusal:?}");
        assert!(!refusal.context.contains("insert into"), "{sql} shows the service's own SQL: {refusal:?}");
    }
    let last = "user_id = (select max(user_id) from auth0.user)";
    for one_of_many in [
        format!("update auth0.user set nickname = 'fine', name = case when {last} then '' else 'fine' end"),
        "insert into auth0.user (user_id, email, connection) \
         select user_id, email, 'Username-Password-Authentication' from auth0.user \
         on conflict (user_id) do update set name = ''"
            .to_owned(),
    ] {
        let refusal = session.refused(&one_of_many).await;
        assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("22023", "name"), "{refusal:?}");
    }
    assert_eq!(session.count("select count(*) from auth0._sync_cdc").await, before);
    assert_eq!(session.wait().await.as_deref(), Ok("nothing to wait for"));
}

pub async fn the_bookkeeping_is_out_of_reach_of_applications(stand: &mut Stand) {
    let mut session = stand.session().await;
    let id = user(&mut session, 0).await;
    for sql in [
        "update auth0._sync_cdc set state = 'confirmed'",
        "delete from auth0._sync_cdc",
        "insert into auth0._sync_cdc (\"table\", operation, key, actor) values ('user', 'DELETE', '{}', '{}')",
        "select * from _auth0_sync.write_only",
        "alter table auth0.user disable trigger all",
        "set session_replication_role = replica",
        "set session authorization auth0_sync",
    ] {
        let refusal = session.refused(sql).await;
        assert_eq!(refusal.code, "42501", "{sql}: {refusal:?}");
    }
    session
        .confirmed(&format!("update auth0.user set nickname = 'still works' where user_id = '{id}'"))
        .await;
}
