//! The verdict itself: it must be able to fail.

use std::collections::BTreeSet;

use crate::diary::{Diary, Promise};
use crate::entries::{Mutation, Told, Written, judge};
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
    // A change that waits, and is hidden by somebody.
    let hidden = crate::watch::HIDDEN;
    let mut session = stand.session().await;
    let nickname = |word: &str| format!("update auth0.user set nickname = '{word}' where user_id = '{user}'");
    session.run(&nickname("waits")).await;
    assert_eq!(root.rows(hidden).await.len(), 0);
    root.run("set session_replication_role = replica").await;
    root.run(&nickname("hidden")).await;
    assert_eq!(root.rows(hidden).await.len(), 1);
    session.run(&nickname("waits too")).await;
    assert_eq!(root.rows(hidden).await.len(), 0, "a later one covers it");
    stand.restart_service().await;
    crate::verdict::equal(&stand).await;
    stand.kill_service().await;

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

/// Two entries that were committed, a third that was refused: written, confirmed, and the second stands.
fn diary(strict: bool) -> (Diary, Told) {
    let entries = vec![(1, Promise::Kept), (2, Promise::Sent), (3, Promise::Refused)];
    let written = |entry: u64| Written { entry, request_id: format!("r{entry}") };
    let mutation = |entry: u64| Mutation {
        entry,
        state: "confirmed",
        request_id: format!("r{entry}"),
        discarded: false,
    };
    let told = Told {
        written: vec![written(1), written(2)],
        mutations: vec![mutation(1), mutation(2)],
        stands: Some(2),
    };
    (Diary { user: "auth0|a".to_owned(), strict, ordered: true, entries }, told)
}

#[test]
fn an_entry_that_is_lost_doubled_reordered_or_not_as_promised_is_noticed() {
    for strict in [false, true] {
        let (diary, whole) = diary(strict);
        assert_eq!(judge(&diary, &whole), Ok(()));
        let noticed = |what: &str, change: &dyn Fn(&mut Told)| {
            let mut told = whole.clone();
            change(&mut told);
            assert!(judge(&diary, &told).is_err(), "{what}, strict: {strict}");
        };
        noticed("never written", &|told| drop(told.written.remove(0)));
        noticed("written twice", &|told| told.written.insert(0, told.written[0].clone()));
        noticed("in another order", &|told| told.written.swap(0, 1));
        noticed("lost", &|told| drop(told.mutations.remove(0)));
        noticed("reverted", &|told| told.mutations[1].state = "reverted");
        noticed("a refused one was committed", &|told| told.mutations[1].entry = 3);
        noticed("an older one stands", &|told| told.stands = Some(1));
        noticed("the row has gone", &|told| told.stands = None);
    }
    // Taken back: what was there before is written again.
    let (strict, mut told) = diary(true);
    told.written.insert(1, Written { entry: 3, request_id: "r3".to_owned() });
    told.written.insert(2, Written { entry: 1, request_id: "back".to_owned() });
    assert_eq!(judge(&strict, &told), Ok(()));
    // Sent together with the next one, and discarded.
    let (mut plain, mut told) = diary(false);
    told.mutations[0].state = "merged";
    told.written.remove(0);
    assert_eq!(judge(&plain, &told), Ok(()));
    plain.entries[0].1 = Promise::Discarded;
    assert!(judge(&plain, &told).is_err());
    (told.mutations[0].state, told.mutations[0].discarded) = ("reverted", true);
    assert_eq!(judge(&plain, &told), Ok(()));
    // Made again where it stood, and its request was lost; of another entry that would be a loss.
    let (mut plain, mut told) = diary(false);
    plain.ordered = false;
    let again = Mutation { request_id: "lost".to_owned(), ..told.mutations[1].clone() };
    told.mutations.push(again.clone());
    assert_eq!(judge(&plain, &told), Ok(()));
    told.mutations[2].entry = 1;
    told.stands = Some(1);
    assert!(judge(&plain, &told).is_err());
}

#[test]
fn a_client_sees_what_it_wrote_last_or_what_may_have_been_written_since() {
    let (mut diary, _) = diary(false);
    let shows = |diary: &Diary, entry: &str| diary.may_show(Some(entry));
    assert!(shows(&diary, "e2") && !shows(&diary, "e1") && !shows(&diary, "e3") && !diary.may_show(None));
    diary.entries.push((4, Promise::Open));
    assert!(shows(&diary, "e2") && shows(&diary, "e4") && !shows(&diary, "e1"));
    diary.entries.clear();
    assert!(shows(&diary, "e0") && !shows(&diary, "e1"));
}
