//! What users hang on mirror tables lasts, whatever is selected.

use auth0_sync::catalog::Catalog;
use serde_json::json;

use super::kinds::{catalog, with};
use super::mirror::Mirror;
use super::selection::part;
use super::support::stand::DATABASE;
use super::support::{Postgres, Session};

const CHILD: &str = include_str!("catalog/child.toml");

/// A schema with rows, and what a user has made of it.
struct Used {
    mirror: Mirror,
    client: Session,
    root: Session,
}

impl Used {
    async fn new(postgres: Postgres) -> Self {
        let mut mirror = Mirror::new(postgres).await;
        let all = mirror.apply(&catalog()).await;
        assert!(all.contains(&"create table auth0.child (5 columns)".to_owned()), "{all:?}");
        let client = mirror.client().await;
        let mut root = Session::open(&mirror.postgres.admin_url(DATABASE)).await;
        mirror
            .service
            .run(
                "insert into auth0.child values ('p', 'c', 'name', 'note'); \
                 insert into auth0.binding values ('p', 'c', 0, 'note'); \
                 update _auth0_sync.backfill set state = 'done', finished_at = now()",
            )
            .await;
        root.run(
            "create role reporter; grant usage on schema auth0 to reporter; \
             grant select on auth0.child, auth0.parent_child to reporter; \
             grant update (place) on auth0.parent_child to reporter; \
             create schema mine; grant usage on schema mine to app; \
             create view mine.child as select parent_id, id, name, note from auth0.child; \
             create view mine.place as select of, remark from auth0.parent_child; \
             grant all on mine.child to app; \
             create table mine.toy (parent_id text, id text, foreign key (parent_id, id) references auth0.child); \
             insert into mine.toy values ('p', 'c'); \
             alter table auth0.child add column mine text; create index on auth0.child (mine)",
        )
        .await;
        Used { mirror, client, root }
    }

    /// Views, privileges, foreign keys, rows and columns of users are as they were.
    async fn holds(&mut self, note: Option<&str>) {
        let child = json!({"parent_id": "p", "id": "c", "name": "name", "note": note});
        assert_eq!(self.root.rows("select * from mine.child").await, [child]);
        assert_eq!(self.root.count("select count(*) from mine.place").await, 1);
        self.root.run("set role reporter").await;
        for table in ["child", "parent_child"] {
            assert_eq!(self.root.count(&format!("select count(*) from auth0.{table}")).await, 1);
        }
        self.root.run("reset role").await;
        assert!(
            self.root
                .one("select has_column_privilege('reporter', 'auth0.parent_child', 'place', 'update')")
                .await
                == true
        );
        assert_eq!(self.root.refused("insert into mine.toy values ('p', 'none')").await.code, "23503");
        assert_eq!(self.root.count("select count(*) from pg_indexes where indexdef like '%(mine)'").await, 1);
    }

    /// Tables that wait to be filled; they are filled now.
    async fn waiting(&mut self) -> Vec<String> {
        let sql = "select \"table\" from _auth0_sync.backfill where state = 'waiting' order by 1";
        let waiting = self.mirror.service.rows(sql).await;
        let fill = "update _auth0_sync.backfill set state = 'done', finished_at = now()";
        self.mirror.service.run(fill).await;
        waiting.iter().map(|row| row["table"].as_str().unwrap().to_owned()).collect()
    }

    /// What keeps setup from making this.
    async fn in_the_way(&mut self, catalog: &Catalog, drop: bool) -> Vec<String> {
        let (conflicts, _) = self.mirror.plan(catalog, drop).await;
        conflicts.into_iter().map(|conflict| conflict.what).collect()
    }
}

fn without(objects: &[&str], columns: &[(&str, &[&str])]) -> Catalog {
    part(&catalog(), objects, columns).unwrap()
}

#[tokio::test]
async fn views_privileges_keys_and_rows_outlast_every_change_of_what_is_selected() {
    for postgres in [Postgres::start(), Postgres::oldest()] {
        let mut used = Used::new(postgres).await;
        tables(&mut used).await;
        columns(&mut used).await;
        views(&mut used).await;
        dropped(&mut used).await;
    }
}

async fn tables(used: &mut Used) {
    let fewer = without(&["-child", "-single"], &[]);
    let changes = used.mirror.apply(&fewer).await;
    assert_eq!(
        changes,
        [
            "no longer sync auth0.child; its rows stay",
            "no longer sync auth0.single; its rows stay",
            "tell the service what is selected"
        ]
    );
    used.holds(Some("note")).await;
    for statement in [
        "insert into auth0.child (parent_id) values ('p')",
        "update mine.child set name = 'n'",
        "delete from auth0.child",
    ] {
        let refusal = used.client.refused(statement).await;
        assert_eq!(refusal.code, "0A000", "{statement}");
        assert_eq!(refusal.message, "[Auth0] auth0.child is not selected: it is no longer synced");
        assert!(refusal.hint.contains("objects"), "{}", refusal.hint);
    }
    let filled = "select count(*) from _auth0_sync.backfill where \"table\" in ('child', 'single')";
    assert_eq!(used.mirror.service.count(filled).await, 0);

    let changes = used.mirror.apply(&without(&["-single"], &[])).await;
    assert_eq!(changes, ["sync auth0.child again", "tell the service what is selected"]);
    assert_eq!(used.waiting().await, ["child"]);
    used.holds(Some("note")).await;
    // Simple views of users' own are a way to write, too.
    used.client.run("update mine.child set name = 'other'").await;
    let captured = used.mirror.service.rows("select \"table\", after from auth0._sync_cdc").await;
    assert_eq!(captured, [json!({"table": "child", "after": {"name": "other"}})]);

    let waits = ["auth0.child is no longer selected and has unsettled changes: 1"];
    assert_eq!(used.in_the_way(&fewer, false).await, waits);
    assert_eq!(used.in_the_way(&fewer, true).await[1..], waits);
    let waits = ["unsettled changes of auth0.child name column name"];
    let renamed = CHILD.replace("[columns.name]", "[columns.title]").replace("[\"name\"]", "[\"title\"]");
    assert_eq!(used.in_the_way(&with(&[("a/child.toml", &renamed)]), false).await, waits);
    used.mirror.service.run("update auth0.child set name = 'name'; delete from auth0._sync_cdc").await;
    used.mirror.apply(&catalog()).await;
}

async fn columns(used: &mut Used) {
    let more =
        format!("{CHILD}\n[columns.age]\ntype = \"bigint\"\nclass = \"writable\"\ncomment = \"Age.\"\n");
    let more = with(&[("a/child.toml", &more)]);
    used.waiting().await;
    let changes = used.mirror.apply(&more).await;
    assert!(changes.contains(&"add column auth0.child.age".to_owned()), "{changes:?}");
    assert_eq!(used.waiting().await, ["child"]);
    used.holds(Some("note")).await;
    used.client.run("update auth0.child set age = 3").await;
    used.mirror.service.run("delete from auth0._sync_cdc").await;

    let fewer = part(&more, &[], &[("child", &["-note"])]).unwrap();
    let changes = used.mirror.apply(&fewer).await;
    assert!(changes.contains(&"hide column auth0.child.note: it is emptied".to_owned()), "{changes:?}");
    assert_eq!(used.waiting().await, [""; 0]);
    used.holds(None).await;
    let comment = "select col_description('auth0.child'::regclass, 4)";
    assert_eq!(used.root.text(comment).await, "Note. (hidden: not synced)");
    for statement in [
        "update auth0.child set note = 'x'",
        "insert into auth0.child (parent_id, name, note) values ('p', 'n', 'x')",
    ] {
        let refusal = used.client.refused(statement).await;
        assert_eq!((refusal.code.as_str(), refusal.column.as_str()), ("428C9", "note"));
        assert_eq!(refusal.message, "[Auth0] column \"note\" is not selected");
    }
    // A service that has not heard of it yet.
    used.mirror.service.run("update auth0.child set note = 'stale'").await;
    let changes = used.mirror.apply(&fewer).await;
    assert_eq!(changes, ["hide column auth0.child.note: it is emptied"]);
    used.holds(None).await;

    let changes = used.mirror.apply(&more).await;
    assert!(changes.contains(&"sync column auth0.child.note".to_owned()), "{changes:?}");
    assert_eq!(used.waiting().await, ["child"]);
    used.mirror.service.run("update auth0.child set note = 'note'").await;
    used.holds(Some("note")).await;
}

async fn views(used: &mut Used) {
    let fewer = without(&[], &[("binding", &["-note"])]);
    let changes = used.mirror.apply(&fewer).await;
    assert!(
        changes.contains(&"hide column auth0.parent_child.remark: it shows NULL".to_owned()),
        "{changes:?}"
    );
    used.holds(Some("note")).await;
    let gone = used.in_the_way(&fewer, true).await;
    assert_eq!(gone, ["view auth0.parent_child cannot go: view mine.place hangs on it"]);
    used.root.run("drop view mine.place").await;
    let changes = used.mirror.drop_rest(&fewer).await;
    assert!(changes.contains(&"make anew view auth0.parent_child (3 columns)".to_owned()), "{changes:?}");
    used.root.run("create view mine.place as select of from auth0.parent_child").await;
    used.holds(Some("note")).await;
    used.mirror.apply(&catalog()).await;
    used.holds(Some("note")).await;
    used.client.run("update auth0.parent_child set remark = 'x'").await;
    used.mirror.service.run("delete from auth0._sync_cdc").await;
}

async fn dropped(used: &mut Used) {
    let fewer = without(&["-child"], &[]);
    let hangs =
        "auth0.child cannot go: foreign key toy_parent_id_id_fkey of mine.toy, view mine.child hangs on it";
    assert_eq!(used.in_the_way(&fewer, true).await, [hangs]);
    let no_note = without(&[], &[("child", &["-note"])]);
    let hangs = "column auth0.child.note cannot go: view mine.child hangs on it";
    assert_eq!(used.in_the_way(&no_note, true).await, [hangs]);
    used.root.run("drop view mine.child").await;
    let changes = used.mirror.drop_rest(&no_note).await;
    assert!(changes.contains(&"drop column auth0.child.note".to_owned()), "{changes:?}");
    used.client.run("update auth0.child set name = 'n'").await;
    used.mirror.service.run("delete from auth0._sync_cdc").await;
    used.root.run("drop table mine.toy").await;
    let changes = used.mirror.drop_rest(&fewer).await;
    assert_eq!(changes, ["drop table auth0.child", "tell the service what is selected"]);
    let left = "select count(*) from pg_proc where proname like '\\_child\\_%'";
    assert_eq!(used.root.count(left).await, 2, "those of child_watch");
    used.mirror.apply(&catalog()).await;
    used.client.run("insert into auth0.child (parent_id, name) values ('p', 'n')").await;
}

#[tokio::test]
async fn columns_of_users_are_neither_taken_nor_touched() {
    let mut used = Used::new(Postgres::start()).await;
    let named =
        format!("{CHILD}\n[columns.mine]\ntype = \"text\"\nclass = \"writable\"\ncomment = \"Mine.\"\n");
    let named = with(&[("a/child.toml", &named)]);
    let conflict = "column mine of auth0.child exists, and auth0-sync did not make it";
    assert_eq!(used.in_the_way(&named, false).await, [conflict]);
    let hidden = part(&named, &[], &[("child", &["-mine"])]).unwrap();
    used.mirror.service.run("update auth0.child set mine = 'value'").await;
    used.mirror.drop_rest(&hidden).await;
    used.client.run("update auth0.child set mine = 'other'").await;
    assert_eq!(used.mirror.service.count("select count(*) from auth0._sync_cdc").await, 0);
}

#[tokio::test]
async fn what_an_earlier_version_has_made_is_completed() {
    let mut mirror = Mirror::new(Postgres::oldest()).await;
    mirror.apply(&catalog()).await;
    mirror
        .service
        .run(
            "alter table auth0._sync_cdc drop column options, drop constraint state_fits_outcome, \
             drop constraint operation_fits_images, \
             add constraint operation_known check (operation in ('INSERT', 'UPDATE', 'DELETE')), \
             add constraint state_known check (state in ('pending', 'sending', 'verifying', 'confirmed', \
             'reverted', 'merged', 'cancelled')); \
             insert into auth0.child values ('p', 'c', 'name', 'note')",
        )
        .await;
    let changes = mirror.apply(&catalog()).await;
    assert_eq!(changes, ["add column auth0._sync_cdc.options"]);
    let mut client = mirror.client().await;
    client.run("set auth0.hold = on; update auth0.child set note = 'held'").await;
    assert_eq!(client.text("select state from auth0._sync_cdc").await, "held");

    // The same of one that has the column and not all states.
    mirror
        .service
        .run(
            "alter table auth0._sync_cdc drop constraint state_fits_outcome, add constraint state_known check (state in \
             ('held', 'pending', 'sending', 'verifying', 'confirmed', 'reverted', 'merged', 'cancelled')); \
             comment on column auth0._sync_cdc.state is 'held, pending, sending, verifying; settled: confirmed'",
        )
        .await;
    assert_eq!(mirror.apply(&catalog()).await, ["let auth0._sync_cdc have new states"]);
    mirror.service.run("update auth0._sync_cdc set state = 'applied'").await;
    assert!(mirror.apply(&catalog()).await.is_empty());
    let checks = "select string_agg(conname, ' ' order by conname) from pg_constraint \
                  where conrelid = 'auth0._sync_cdc'::regclass and contype = 'c'";
    assert_eq!(mirror.service.text(checks).await, "operation_fits_images state_fits_outcome");
}

const CHECK: &str = "23514";

#[tokio::test]
async fn a_mutation_is_in_a_state_that_fits_what_it_holds() {
    let mut mirror = Mirror::new(Postgres::oldest()).await;
    mirror.apply(&catalog()).await;
    let mut taken = 0;
    for operation in ["INSERT", "UPDATE", "DELETE", "TRUNCATE"] {
        for (before, after) in [("null", "null"), ("null", "'{}'"), ("'{}'", "null"), ("'{}'", "'{}'")] {
            let right = match operation {
                "INSERT" => before == "null" && after != "null",
                "UPDATE" => before != "null" && after != "null",
                "DELETE" => before != "null" && after == "null",
                _ => false,
            };
            let sql = format!(
                "insert into auth0._sync_cdc (\"table\", operation, key, before, after, actor) \
                 values ('child', '{operation}', '{{}}', {before}, {after}, '{{}}')"
            );
            match right {
                true => mirror.service.run(&sql).await,
                false => assert_eq!(mirror.service.refused(&sql).await.code, CHECK, "{sql}"),
            }
        }
    }
    let states = [
        "held",
        "pending",
        "sending",
        "verifying",
        "applied",
        "confirmed",
        "merged",
        "reverted",
        "cancelled",
        "sent",
    ];
    for state in states {
        for (error, settled_at, attempts) in (0..8).map(|n| (n & 1 > 0, n & 2 > 0, n & 4 > 0)) {
            let settled = ["confirmed", "merged", "reverted", "cancelled"].contains(&state);
            let failed = ["reverted", "cancelled"].contains(&state);
            let sent = ["sending", "verifying"].contains(&state);
            let right = state != "sent" && settled_at == settled && error == failed && (attempts || !sent);
            let sql = format!(
                "insert into auth0._sync_cdc (\"table\", operation, key, after, actor, state, error, settled_at, attempts) \
                 values ('child', 'INSERT', '{{}}', '{{}}', '{{}}', '{state}', {}, {}, {})",
                if error { "'{}'" } else { "null" },
                if settled_at { "now()" } else { "null" },
                i32::from(attempts),
            );
            match right {
                true => {
                    mirror.service.run(&sql).await;
                    taken += 1;
                }
                false => assert_eq!(mirror.service.refused(&sql).await.code, CHECK, "{sql}"),
            }
        }
    }
    // Five that are open, two of them sent once at least, and four that are settled, sent or not.
    assert_eq!(taken, 3 * 2 + 2 + 4 * 2);
}
