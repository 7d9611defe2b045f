//! What a client can do with each kind of table, as the database itself holds it.

use auth0_sync::catalog::Catalog;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::mirror::Mirror;
use super::support::{Postgres, Session};

const FILES: &[(&str, &str)] = &[
    ("a/parent.toml", include_str!("catalog/parent.toml")),
    ("a/child.toml", include_str!("catalog/child.toml")),
    ("a/single.toml", include_str!("catalog/single.toml")),
    ("a/binding.toml", include_str!("catalog/binding.toml")),
    ("a/act.toml", include_str!("catalog/act.toml")),
    ("a/child_watch.toml", include_str!("catalog/child_watch.toml")),
    ("a/parent_child.toml", include_str!("catalog/parent_child.toml")),
    ("a/gone.toml", include_str!("catalog/gone.toml")),
    ("a/old.toml", include_str!("catalog/old.toml")),
];

/// A catalogue of things that Auth0 does not have, one of each kind.
pub(crate) fn catalog() -> Catalog {
    with(&[])
}

/// The same with other texts for some of its files.
pub(crate) fn with(others: &[(&str, &str)]) -> Catalog {
    let text = |(name, text): &(&'static str, &'static str)| {
        let other = others.iter().find(|(other, _)| other == name);
        (*name, other.map_or(*text, |(_, text)| *text).to_owned())
    };
    let files: Vec<_> = FILES.iter().map(text).collect();
    Catalog::from_files(files.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
}

async fn mirror(postgres: Postgres) -> (Mirror, Session) {
    let mut mirror = Mirror::new(postgres).await;
    mirror.apply(&catalog()).await;
    let client = mirror.client().await;
    (mirror, client)
}

/// What was captured since the last look: table, operation, key, before, after.
async fn captured(mirror: &mut Mirror) -> Vec<Value> {
    let sql = "select \"table\", operation, key, before, after from auth0._sync_cdc order by id";
    let rows = mirror.service.rows(sql).await;
    mirror.service.run("delete from auth0._sync_cdc").await;
    rows
}

/// What RETURNING gives of one row.
async fn returned(client: &mut Session, sql: &str) -> Value {
    let row = client.connection.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn every_kind_takes_what_auth0_would_and_says_why_not_otherwise() {
    for postgres in [Postgres::start(), Postgres::oldest()] {
        let (mut mirror, mut client) = mirror(postgres).await;
        children(&mut mirror, &mut client).await;
        singletons(&mut mirror, &mut client).await;
        lists_of_links(&mut mirror, &mut client).await;
        commands(&mut mirror, &mut client).await;
        watches(&mut mirror, &mut client).await;
        views(&mut mirror, &mut client).await;
        nothing_to_write(&mut client).await;
    }
}

#[tokio::test]
async fn a_session_that_has_changed_single_rows_changes_many_at_once_as_fast() {
    for postgres in [Postgres::start(), Postgres::oldest()] {
        let (mut mirror, mut client) = mirror(postgres).await;
        let fill =
            "insert into auth0.child (parent_id, id) select 'p', 'c' || n from generate_series(1, 8000) n";
        mirror.service.run(fill).await;
        // From the sixth on, the plans of a session's statements are kept.
        for n in 1..=8 {
            client.run(&format!("update auth0.child set note = 'one' where id = 'c{n}'")).await;
        }
        // A hundredth of what comparing every row with every other takes, and many times what it needs.
        client.run("set statement_timeout = '10 s'; update auth0.child set note = 'all'").await;
        let captured = "select count(*) from auth0._sync_cdc where after = '{\"note\": \"all\"}'";
        assert_eq!(mirror.service.count(captured).await, 8_000);
    }
}

async fn children(mirror: &mut Mirror, client: &mut Session) {
    let id = returned(
        client,
        "insert into auth0.child (parent_id, name) values ('p', 'n') returning to_jsonb(id)",
    )
    .await;
    let id = id.as_str().unwrap();
    assert!(id.starts_with("new_"), "{id}");
    assert_eq!(
        captured(mirror).await,
        [json!({"table": "child", "operation": "INSERT", "key": {"parent_id": "p", "id": id},
            "before": null, "after": {"parent_id": "p", "id": id, "name": "n"}})]
    );
    let refusal = client.refused("insert into auth0.child (name) values ('n')").await;
    assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("23502", "parent_id"));
    assert_eq!(refusal.message, "[Auth0] missing value for column \"parent_id\"");
    let refusal = client.refused("insert into auth0.child (parent_id, id) values ('p', 'mine')").await;
    assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("428C9", "id"));
    for column in ["parent_id", "id"] {
        let refusal = client.refused(&format!("update auth0.child set {column} = 'other'")).await;
        assert_eq!(refusal.message, format!("[Auth0] column \"{column}\" is the key and cannot change"));
    }
    // Auth0 has sent a row without a name, which a client could not.
    mirror.service.run("update auth0.child set name = null").await;
    client.run("update auth0.child set note = 'x'").await;
    mirror.service.run("update auth0.child set name = 'n'").await;
    let refusal = client.refused("update auth0.child set name = null").await;
    assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("23502", "name"));
    captured(mirror).await;
    client.run("delete from auth0.child").await;
    assert_eq!(captured(mirror).await[0]["key"], json!({"parent_id": "p", "id": id}));
}

async fn singletons(mirror: &mut Mirror, client: &mut Session) {
    let refusal = client.refused("insert into auth0.single (id, name) values ('other', 'n')").await;
    assert_eq!(refusal.hint, "It is always 'single'; leave it out.");
    client.run("insert into auth0.single (name) values ('n')").await;
    assert_eq!(captured(mirror).await[0]["after"], json!({"id": "single", "name": "n"}));
    assert_eq!(client.refused("insert into auth0.single (name) values ('n')").await.code, "23505");
    client.run("delete from auth0.single").await;
    assert_eq!(captured(mirror).await[0]["operation"], "DELETE");
}

async fn lists_of_links(mirror: &mut Mirror, client: &mut Session) {
    client.run("insert into auth0.binding (parent_id, child_id, position) values ('p', 'c', 0)").await;
    client.run("update auth0.binding set position = 1").await;
    client.run("delete from auth0.binding").await;
    let seen = captured(mirror).await;
    let operations: Vec<_> = seen.iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["INSERT", "UPDATE", "DELETE"]);
    assert_eq!((&seen[1]["before"], &seen[1]["after"]), (&json!({"position": 0}), &json!({"position": 1})));
}

async fn commands(mirror: &mut Mirror, client: &mut Session) {
    let made = returned(
        client,
        "insert into auth0.act (type, parent_id) values ('start', 'p') returning to_jsonb(act)",
    )
    .await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("cmd_"), "{id}");
    assert_eq!(made["state"], "pending");
    assert!(made["requested_at"].is_string() && made["answered_at"].is_null(), "{made}");
    let seen = captured(mirror).await;
    assert_eq!((&seen[0]["operation"], &seen[0]["key"]), (&json!("INSERT"), &json!({"id": id})));
    assert_eq!(seen[0]["after"]["type"], "start");

    let refusal = client.refused("insert into auth0.act (type, result) values ('start', 'r')").await;
    assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("428C9", "result"));
    let refusal = client.refused("insert into auth0.act (type, state) values ('stop', 'done')").await;
    assert_eq!(refusal.column, "state");
    // The path of one call holds it, that of the other does not.
    let refusal = client.refused("insert into auth0.act (type) values ('start')").await;
    assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("23502", "parent_id"));
    client.run("insert into auth0.act (id, type) values ('mine', 'stop')").await;
    let refusal = client.refused("update auth0.act set type = 'stop'").await;
    assert_eq!(
        (refusal.code.as_str(), refusal.hint.as_str()),
        ("0A000", "INSERT a new row: each row is one call.")
    );

    let refusal = client.refused("delete from auth0.act where id = 'mine'").await;
    assert_eq!(
        (refusal.code.as_str(), refusal.message.as_str()),
        ("55006", "[Auth0] the command is not settled yet")
    );
    mirror.service.run("update auth0.act set state = 'done', answered_at = now()").await;
    captured(mirror).await;
    client.run("delete from auth0.act").await;
    assert_eq!(captured(mirror).await, [json!(null); 0], "what is settled is the client's own");
    assert_eq!(client.count("select count(*) from auth0.act").await, 0);
}

async fn watches(mirror: &mut Mirror, client: &mut Session) {
    client.run("insert into auth0.child_watch (parent_id, id) values ('p', 'c')").await;
    assert_eq!(client.refused("insert into auth0.child_watch (id) values ('c')").await.column, "parent_id");
    let refusal = client.refused("update auth0.child_watch set id = 'd'").await;
    assert_eq!(refusal.hint, "DELETE the row and INSERT it again.");
    client.run("delete from auth0.child_watch").await;
    let seen = captured(mirror).await;
    assert_eq!((&seen[0]["operation"], &seen[1]["operation"]), (&json!("INSERT"), &json!("DELETE")));
}

async fn views(mirror: &mut Mirror, client: &mut Session) {
    client.run("insert into auth0.parent_child (of, child_id, place) values ('p', 'c', 3)").await;
    client.run("update auth0.parent_child set place = 4").await;
    assert_eq!(
        client.rows("select * from auth0.parent_child").await,
        [json!({"of": "p", "child_id": "c", "place": 4, "remark": null})]
    );
    let refusal = client.refused("update auth0.parent_child set place = -1").await;
    assert_eq!(
        (refusal.code.as_str(), refusal.table.as_str(), refusal.column.as_str()),
        ("22003", "binding", "position")
    );
    mirror.service.run("insert into auth0.binding (parent_id, child_id) values ('p', 'placeless')").await;
    assert_eq!(
        client.count("select count(*) from auth0.parent_child").await,
        1,
        "only those that have a place"
    );
    client.run("delete from auth0.parent_child").await;
    let seen = captured(mirror).await;
    assert!(seen.iter().all(|row| row["table"] == "binding"), "{seen:?}");
    assert_eq!(seen.len(), 3);
    mirror.service.run("delete from auth0.binding").await;
    let comment = client.text("select obj_description('auth0.parent_child'::regclass)").await;
    assert_eq!(comment, "Places of a parent's children. (another side of binding)");
    let comment = client.text("select col_description('auth0.parent_child'::regclass, 3)").await;
    assert_eq!(comment, "Its place. (writable)");
    // A reader reads it and does not write.
    let mut admin = Session::open(&mirror.postgres.admin_url(super::support::stand::DATABASE)).await;
    admin.run("set role auth0_reader").await;
    admin.run("select * from auth0.parent_child").await;
    assert_eq!(admin.refused("delete from auth0.parent_child").await.code, "42501");
}

async fn nothing_to_write(client: &mut Session) {
    assert_eq!(client.count("select count(*) from auth0.gone").await, 0);
    for statement in [
        "insert into auth0.gone values ('k')",
        "update auth0.gone set id = 'k'",
        "delete from auth0.gone",
        "truncate auth0.gone",
    ] {
        let refusal = client.refused(statement).await;
        if statement.starts_with("truncate") {
            // Nobody but the owner may, and then the trigger refuses.
            assert_eq!(refusal.code, "42501", "{statement}");
            continue;
        }
        assert_eq!((refusal.code.as_str(), refusal.table.as_str()), ("0A000", "gone"), "{statement}");
        assert!(refusal.message.starts_with("[Auth0] rows of auth0.gone cannot be "), "{}", refusal.message);
        assert_eq!(refusal.hint, "Use the table act.", "{statement}");
    }
    for statement in
        ["insert into auth0.old values ('k')", "update auth0.old set id = 'k'", "delete from auth0.old"]
    {
        assert_eq!(client.refused(statement).await.hint, "Auth0 ended it.", "{statement}");
    }
}
