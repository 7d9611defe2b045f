//! The comparison itself: it must be able to fail.

use std::collections::BTreeSet;

use crate::support::compare;
use crate::{TABLES, stand};

#[tokio::test]
async fn a_row_that_is_missing_added_or_different_is_noticed_in_every_table() {
    let mut stand = stand().await;
    // Every table has a row.
    let api = stand.emulator.api.clone();
    let state = stand.emulator.state().await;
    let first = |table: &str, column: &str| state[table][0][column].as_str().unwrap().to_owned();
    let (user, role) = (first("user", "user_id"), first("role", "id"));
    let organization = first("organization", "id");
    let permission = serde_json::json!({"permissions": [
        {"resource_server_identifier": "https://one.example", "permission_name": "read:all"}
    ]});
    let server = serde_json::json!({"name": "one", "identifier": "https://one.example", "scopes": [{"value": "read:all"}]});
    api.post("/api/v2/resource-servers", server).await;
    api.post(&format!("/api/v2/roles/{role}/permissions"), permission.clone()).await;
    let path = format!("/api/v2/users/{}", user.replace('|', "%7C"));
    api.post(&format!("{path}/permissions"), permission).await;
    let grant = serde_json::json!({"client_id": first("client", "client_id"), "audience": "https://one.example", "scope": []});
    api.post("/api/v2/client-grants", grant).await;
    let below = format!("/api/v2/organizations/{organization}");
    api.post(&format!("{below}/members"), serde_json::json!({"members": [user]})).await;
    let member = format!("{below}/members/{}/roles", user.replace('|', "%7C"));
    api.post(&member, serde_json::json!({"roles": [role]})).await;
    let connection = serde_json::json!({"connection_id": first("connection", "id")});
    api.post(&format!("{below}/enabled_connections"), connection).await;

    stand.restart_service().await;
    crate::verdict::equal(&stand).await;
    stand.kill_service().await;

    let mut root = stand.root().await;
    root.run("set session_replication_role = replica").await;
    let noticed = async || -> BTreeSet<String> {
        let found = compare(&stand).await;
        found.iter().filter_map(|line| Some(line.split([' ', '.']).next()?.to_owned())).collect()
    };
    let all: BTreeSet<String> = TABLES.iter().map(|table| table.to_string()).collect();
    for table in TABLES {
        root.run(&format!("create table kept_{table} as table auth0.\"{table}\"")).await;
        root.run(&format!(
            "delete from auth0.\"{table}\" where ctid = (select min(ctid) from auth0.\"{table}\")"
        ))
        .await;
    }
    assert_eq!(noticed().await, all, "a row less");
    for table in TABLES {
        root.run(&format!("truncate auth0.\"{table}\"")).await;
        root.run(&format!("insert into auth0.\"{table}\" select * from kept_{table}")).await;
    }
    assert_eq!(noticed().await, BTreeSet::new());

    // Another value of a column that both sides show.
    for (table, column) in [
        ("client", "name"),
        ("client_grant", "audience"),
        ("connection", "strategy"),
        ("organization", "display_name"),
        ("resource_server", "name"),
        ("role", "description"),
        ("tenant", "friendly_name"),
        ("user", "family_name"),
    ] {
        root.run(&format!(
            "update auth0.\"{table}\" set \"{column}\" = 'other' where ctid = (select min(ctid) from auth0.\"{table}\")"
        ))
        .await;
        assert_eq!(noticed().await, BTreeSet::from([table.to_owned()]), "{column}");
        root.run(&format!("truncate auth0.\"{table}\"")).await;
        root.run(&format!("insert into auth0.\"{table}\" select * from kept_{table}")).await;
    }

    // A row that Auth0 does not have.
    for (table, key) in
        [("role", "id"), ("user", "user_id"), ("user_role", "role_id"), ("organization_member", "user_id")]
    {
        root.run(&format!(
            "insert into auth0.\"{table}\" select (jsonb_populate_record(t, '{{\"{key}\": \"made up\"}}')).* from auth0.\"{table}\" t limit 1"
        ))
        .await;
        assert_eq!(noticed().await, BTreeSet::from([table.to_owned()]), "a row more");
        root.run(&format!("delete from auth0.\"{table}\" where \"{key}\" = 'made up'")).await;
    }
}
