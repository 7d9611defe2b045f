//! Every way in which the catalogue can describe a list, filled, read again, and gone again.

use serde_json::{Value, json};

use auth0_sync::catalog::RowKey;
use auth0_sync::catalog::Target;

use crate::catalog::catalog;
use crate::pretend::{Pretend, Tenant};
use crate::{SECONDS, wait_until};

fn gardens(tenant: &Tenant) {
    let kew = json!({"id": "g1", "name": "Kew", "style": "english", "languages": ["en", "fr"], "warden": "w1", "moat": true});
    let nymans = json!({"id": "g2", "name": "Nymans", "style": "french", "warden": {"none": true}});
    tenant.has("/gardens/g1", kew.clone());
    tenant.has("/gardens/g2", nymans.clone());
    tenant.has("/gardens", json!([kew, nymans]));
    tenant.has("/gardens/g1/plots", json!([{"id": "p1", "size": 3}, {"id": "p2"}]));
    tenant.has("/gardens/g1/plots/p1", json!({"id": "p1", "size": 3}));
    tenant.has("/gardens/g1/plots/p2", json!({"id": "p2"}));
    tenant.has("/gardens/g2/plots", json!([]));
    tenant.has("/gardens/g1/plots/p1/herbs", json!(["mint", "sage"]));
    tenant.has("/gardens/g1/plots/p2/herbs", json!(["mint"]));
    tenant.has("/gates", json!([{"garden_id": "g1", "colour": "red"}]));
    tenant.has("/gardens/g1/gate", json!({"colour": "red"}));
    for (language, page) in [("en", "map"), ("en", "sign"), ("fr", "map")] {
        tenant.has(&format!("/gardens/g1/labels/{language}/{page}"), json!([language, page]));
    }
    tenant.has("/tools?type=hand", json!([{"id": "t1", "type": "hand", "weight": 1.5}]));
    tenant.has("/tools?type=power", json!([{"id": "t2", "type": "power"}]));
    tenant.has("/guards/w1", json!({"id": "w1", "rank": "chief"}));
    tenant.has("/trees", json!([{"id": "e1"}, {"id": "e2"}]));
    tenant.has("/trees/e1", json!({"id": "e1", "age": 100}));
    tenant.has("/trees/e2", json!({"id": "e2", "age": 7}));
    tenant.has("/visits", json!(42));
    tenant.answers("/vaults", 403, json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope, expected any of: read:vaults", "errorCode": "insufficient_scope"}));
    for n in 0..5 {
        tenant.logs(json!({"type": format!("t{n}")}));
    }
}

/// What the tables show, one line a table.
async fn shown(pretend: &mut Pretend) -> Vec<String> {
    let mut lines = Vec::new();
    for sql in [
        "select id || ':' || coalesce(extra ->> 'moat', '-') from auth0.garden",
        "select garden_id || id || coalesce(size, 0) from auth0.plot",
        "select garden_id || plot_id || name from auth0.herb",
        "select garden_id || colour from auth0.gate",
        "select garden_id || (texts #>> '{}') from auth0.label",
        "select id || type from auth0.tool",
        "select id || rank from auth0.guard",
        "select id || age from auth0.tree",
        "select name from auth0.season",
        "select count from auth0.visits",
        "select log_id from auth0.entry",
    ] {
        lines.push(pretend.all(sql).await);
    }
    lines
}

const FULL: [&str; 11] = [
    "g1:true g2:-",
    "g1p13 g1p20",
    "g1p1mint g1p1sage g1p2mint",
    "g1red",
    r#"g1["en", "map"] g1["en", "sign"] g1["fr", "map"]"#,
    "t1hand t2power",
    "w1chief",
    "e1100 e27",
    "",
    "42",
    "000001 000002 000003 000004 000005",
];

#[tokio::test]
async fn every_way_to_list_fills_its_table_and_empties_it_again() {
    let mut pretend = Pretend::filled(catalog(), gardens).await;
    assert_eq!(shown(&mut pretend).await, FULL);
    assert_eq!(pretend.tenant.calls("/gardens/g1/gate"), 0, "the list of the tenant is preferred");
    assert_eq!(pretend.tenant.calls("/gardens/g2/labels/en/map"), 0, "only some parents have labels");
    assert!(pretend.state("vault").await.contains(
        "unavailable: GET failed: Auth0 answered 403 Insufficient scope, expected any of: read:vaults"
    ));
    assert!(pretend.state("ruin").await.starts_with("unavailable: "));
    let others = "select \"table\" from _auth0_sync.backfill where state <> 'done'";
    assert_eq!(pretend.all(others).await, "ruin vault");

    pretend.fill_again(&[]).await;
    assert_eq!(shown(&mut pretend).await, FULL, "a second filling changes nothing");

    let tenant = pretend.tenant.clone();
    tenant.has("/gardens/g1/plots", json!([{"id": "p2", "size": 9}]));
    tenant.lacks("/gardens/g1/plots/p1");
    tenant.lacks("/gardens/g1/plots/p1/herbs");
    tenant.has("/gardens/g1/plots/p2/herbs", json!([]));
    tenant.has("/gates", json!([]));
    tenant.lacks("/gardens/g1/labels/en/map");
    tenant.has("/tools?type=hand", json!([]));
    tenant.lacks("/guards/w1");
    tenant.has("/trees", json!([{"id": "e1"}]));
    tenant.has("/season", json!({"name": "spring"}));
    tenant.has("/visits", json!(43));
    tenant.has("/vaults", json!([]));
    pretend.fill_again(&[]).await;
    let left = [
        "g1:true g2:-",
        "g1p29",
        "",
        "g1red",
        r#"g1["en", "sign"] g1["fr", "map"]"#,
        "t2power",
        "",
        "e1100 e27",
        "spring",
        "43",
        "000001 000002 000003 000004 000005",
    ];
    assert_eq!(shown(&mut pretend).await, left, "a list alone deletes nothing that has a call of its own");
    assert_eq!(pretend.state("vault").await, "done");

    tenant.lacks("/gardens/g1/gate");
    tenant.lacks("/trees/e2");
    tenant.lacks("/season");
    pretend.fill_again(&["gate", "tree", "season"]).await;
    assert_eq!(pretend.all("select garden_id from auth0.gate").await, "");
    assert_eq!(pretend.all("select id from auth0.tree").await, "e1");
    assert_eq!(pretend.all("select id from auth0.season").await, "");
}

#[tokio::test]
async fn a_list_that_auth0_refuses_gives_way_to_the_next() {
    let mut pretend = Pretend::filled(catalog(), |tenant| {
        gardens(tenant);
        tenant.answers(
            "/gates",
            403,
            json!({"message": "Please upgrade your subscription to use this feature."}),
        );
        tenant.answers("/gardens/g2/gate", 400, json!({"message": "This garden has no walls."}));
    })
    .await;
    assert_eq!(pretend.all("select garden_id || colour from auth0.gate").await, "g1red");
    let state = pretend.state("gate").await;
    assert!(state.starts_with("done: 1 of 2 lists: ") && state.contains("no walls"), "{state}");
}

#[tokio::test]
async fn what_auth0_refuses_is_not_asked_for_with_every_change() {
    let mut pretend = Pretend::filled(catalog(), gardens).await;
    pretend.tenant.calls("/vaults");
    pretend.fill().await;
    pretend.read(Target::Row { table: "vault".into(), key: RowKey::single("v1") }).await;
    assert_eq!((pretend.tenant.calls("/vaults"), pretend.tenant.calls("/vaults/v1")), (0, 0));
    pretend.sql().run("update _auth0_sync.backfill set started_at = now() - interval '61 minutes'").await;
    pretend.fill().await;
    assert_eq!(pretend.tenant.calls("/vaults"), 1, "once an hour");
    // A table that was there is lost: the refusal of one row says so, and nothing is removed.
    let refusal = json!({"message": "Insufficient scope"});
    pretend.tenant.answers("/gardens/g1", 403, refusal);
    pretend.read(Target::Row { table: "garden".into(), key: RowKey::single("g1") }).await;
    assert!(pretend.state("garden").await.starts_with("unavailable: "));
    assert_eq!(pretend.all("select id from auth0.garden").await, "g1 g2");
}

#[tokio::test]
async fn what_the_log_names_is_read_again_whatever_its_shape() {
    let mut pretend = Pretend::filled(catalog(), gardens).await;
    pretend.follow().await;
    let tenant = pretend.tenant.clone();
    let becomes = async |pretend: &mut Pretend, sql: &str, wanted: &str| {
        wait_until(&format!("{sql}: {wanted}"), SECONDS, async || pretend.all(sql).await == wanted).await;
    };
    // A child, read by its own call.
    tenant.has("/gardens/g1/plots/p3", json!({"id": "p3", "size": 1}));
    tenant.has("/gardens/g1/plots/p3/herbs", json!(["dill"]));
    tenant.logs_call("post", "/gardens/g1/plots", json!({"id": "p3"}));
    becomes(&mut pretend, "select garden_id || id from auth0.plot", "g1p1 g1p2 g1p3").await;
    becomes(&mut pretend, "select name from auth0.herb where plot_id = 'p3'", "dill").await;
    // A set of bare values.
    tenant.has("/gardens/g1/plots/p1/herbs", json!(["sage", "thyme"]));
    tenant.logs_call("delete", "/gardens/g1/plots/p1/herbs", Value::Null);
    becomes(&mut pretend, "select name from auth0.herb where plot_id = 'p1'", "sage thyme").await;
    // One for each parent comes and goes, and with the parent's own change.
    tenant.has("/gardens/g2/gate", json!({"colour": "blue"}));
    tenant.logs_call("post", "/gardens/g2/gate", json!({"colour": "blue"}));
    becomes(&mut pretend, "select garden_id || colour from auth0.gate", "g1red g2blue").await;
    tenant.lacks("/gardens/g2/gate");
    tenant.logs_call("delete", "/gardens/g2/gate", Value::Null);
    becomes(&mut pretend, "select garden_id || colour from auth0.gate", "g1red").await;
    tenant.has("/gardens/g1/gate", json!({"colour": "green"}));
    tenant.logs_call("patch", "/gardens/g1", json!({"id": "g1"}));
    becomes(&mut pretend, "select garden_id || colour from auth0.gate", "g1green").await;
    // A column that lists go by.
    tenant.has("/gardens/g2/labels/en/map", json!("moved"));
    tenant.has("/gardens/g2", json!({"id": "g2", "style": "english"}));
    tenant.logs_call("patch", "/gardens/g2", json!({"id": "g2"}));
    becomes(
        &mut pretend,
        "select garden_id || (texts #>> '{}') from auth0.label where garden_id = 'g2'",
        "g2moved",
    )
    .await;
    // A row without a call of its own, and a singleton.
    tenant.has("/tools?type=hand", json!([]));
    tenant.logs_call("delete", "/tools/t1", Value::Null);
    becomes(&mut pretend, "select id from auth0.tool", "t2").await;
    tenant.has("/season", json!({"name": "autumn"}));
    tenant.logs_call("put", "/season", json!({}));
    becomes(&mut pretend, "select name from auth0.season", "autumn").await;
    // A command of somebody else, and what it made.
    tenant.has("/tasks/k1", json!({"id": "k1", "status": "done"}));
    tenant.logs_call("post", "/gardens/g1/sow", json!({"id": "k1"}));
    becomes(&mut pretend, "select id || status from auth0.task", "k1done").await;
    // A new parent brings what was made with it.
    tenant.has("/gardens/g3", json!({"id": "g3", "warden": "w3"}));
    tenant.has("/gardens/g3/plots", json!([{"id": "p9"}]));
    tenant.has("/guards/w3", json!({"id": "w3", "rank": "guest"}));
    tenant.logs_call("post", "/gardens", json!({"id": "g3"}));
    becomes(&mut pretend, "select id from auth0.plot where garden_id = 'g3'", "p9").await;
    becomes(&mut pretend, "select id from auth0.guard", "w1 w3").await;
    // A deleted parent takes its children along.
    for path in ["", "/plots", "/plots/p1", "/plots/p2", "/plots/p3", "/plots/p1/herbs", "/gate"] {
        tenant.lacks(&format!("/gardens/g1{path}"));
    }
    tenant.logs_call("delete", "/gardens/g1", Value::Null);
    becomes(&mut pretend, "select garden_id from auth0.plot", "g3").await;
    becomes(&mut pretend, "select garden_id from auth0.gate", "").await;
    // All of it stands in the table of entries, and no call was made for them.
    becomes(&mut pretend, "select count(*) from auth0.entry", "16").await;
    assert_eq!(pretend.all("select at from auth0.entry limit 1").await, "2026-01-02 03:04:05.678+00");
}

#[tokio::test]
async fn what_clients_name_is_asked_for() {
    let mut pretend = Pretend::filled(catalog(), |tenant| {
        tenant.has("/pests/a%20b", json!({"kind": "slug"}));
        tenant.has("/tasks/k1", json!({"id": "k1", "status": "pending"}));
    })
    .await;
    assert_eq!(pretend.all("select address from auth0.pest").await, "");
    pretend.sql().run("insert into auth0.pest_watch (address) values ('a b'), ('c')").await;
    pretend
        .sql()
        .run("insert into auth0.sow (id, state, task_id) values ('s1', 'done', 'k1'), ('s2', 'failed', null)")
        .await;
    pretend.read(Target::Below { table: "pest_watch".into(), key: RowKey::single("a b") }).await;
    pretend.read(Target::suspected(&catalog(), "sow", RowKey::single("s1")).unwrap()).await;
    pretend.read(Target::suspected(&catalog(), "sow", RowKey::single("s2")).unwrap()).await;
    assert_eq!(pretend.all("select address || kind from auth0.pest").await, "a bslug");
    assert_eq!(pretend.all("select id || status from auth0.task").await, "k1pending");
    pretend.tenant.has("/tasks/k1", json!({"id": "k1", "status": "completed"}));
    pretend.tenant.lacks("/pests/a%20b");
    pretend.tenant.has("/pests/c", json!({"kind": "snail"}));
    pretend.fill_again(&["task", "pest"]).await;
    assert_eq!(pretend.all("select address || kind from auth0.pest").await, "csnail");
    assert_eq!(pretend.all("select id || status from auth0.task").await, "k1completed");
}

#[tokio::test]
async fn a_row_that_auth0_works_on_is_read_until_it_is_done() {
    let mut pretend = Pretend::begin(catalog(), |tenant| {
        gardens(tenant);
        tenant.has("/trees/e1", json!({"id": "e1", "age": 1, "state": "growing"}));
    })
    .await;
    // Known from before the start.
    pretend
        .sql()
        .run("insert into auth0.tree (id, state) values ('e1', 'growing'), ('new_1', 'growing')")
        .await;
    pretend.watch();
    let tenant = pretend.tenant.clone();
    wait_until("the row is read", SECONDS, async || tenant.calls("/trees/e1") > 0).await;
    assert_eq!(tenant.calls("/trees/new_1"), 0, "Auth0 does not know it yet");
    tenant.has("/trees/e1", json!({"id": "e1", "age": 2, "state": "grown"}));
    let sql = "select state from auth0.tree where id = 'e1'";
    wait_until("it is done", SECONDS, async || pretend.all(sql).await == "grown").await;
}

#[tokio::test]
async fn a_value_that_is_shown_once_stays() {
    let mut pretend = Pretend::filled(catalog(), gardens).await;
    pretend.sql().run("update auth0.garden set token = 'secret', name = 'other' where id = 'g1'").await;
    pretend.read(Target::Row { table: "garden".into(), key: RowKey::single("g1") }).await;
    pretend.fill_again(&["garden"]).await;
    let shown = "select name || token from auth0.garden where id = 'g1'";
    assert_eq!(pretend.all(shown).await, "Kewsecret");
    // What a list shows anew comes with the row.
    pretend.tenant.has("/gardens", json!([{"id": "g1", "name": "Sissinghurst", "token": "other"}]));
    pretend.fill_again(&["garden"]).await;
    assert_eq!(pretend.all(shown).await, "Sissinghurstother");
    pretend.tenant.has("/gardens", json!([{"id": "g1", "name": "Kew"}]));
    pretend.fill_again(&["garden"]).await;
    assert_eq!(pretend.all(shown).await, "Kewother");
}

#[tokio::test]
async fn a_value_that_fits_no_column_never_breaks_the_reading() {
    let strange = [
        json!({"deep": [1, {"a\u{0}b": "c\u{0}"}]}),
        json!([1, "two", null]),
        json!(18_446_744_073_709_551_615_u64),
        json!(-1.5e300),
        json!("0000-01-01T00:00:00Z"),
        json!("2016-12-31T23:59:60Z"),
        json!("9999-12-31T23:59:59-14:00"),
        json!("not a time"),
        json!(true),
        json!(""),
        json!("a\u{0}b\u{10ffff}"),
        json!([]),
        json!({}),
    ];
    let gardens: Vec<Value> = strange
        .iter()
        .enumerate()
        .map(|(n, value)| {
            json!({"id": format!("g{n}"), "name": value, "style": value, "languages": value, "warden": value, "token": value, "un\u{0}known": value})
        })
        .collect();
    let trees: Vec<Value> = strange
        .iter()
        .enumerate()
        .map(|(n, value)| json!({"id": format!("e{n}"), "age": value, "state": value}))
        .collect();
    let mut pretend = Pretend::filled(catalog(), |tenant| {
        for (n, tree) in trees.iter().enumerate() {
            tenant.has(&format!("/trees/e{n}"), tree.clone());
        }
        tenant.has("/gardens", json!(gardens));
        tenant.has("/trees", json!(trees));
        tenant.has(
            "/tools?type=hand",
            json!(
                strange
                    .iter()
                    .enumerate()
                    .map(|(n, value)| json!({"id": format!("t{n}"), "weight": value}))
                    .collect::<Vec<_>>()
            ),
        );
        tenant.has("/tools?type=power", json!([]));
        tenant.has("/visits", json!({"many": 1}));
        for (n, value) in strange.iter().enumerate() {
            tenant.logs(json!({"type": value, "date": value, "n": n}));
        }
    })
    .await;
    for (table, rows) in [("garden", 13), ("tree", 13), ("tool", 13), ("entry", 13), ("visits", 1)] {
        assert_eq!(pretend.state(table).await, "done", "{table}");
        assert_eq!(
            pretend.all(&format!("select count(*) from auth0.{table}")).await,
            rows.to_string(),
            "{table}"
        );
    }
    let ages = "select coalesce(age::text, extra ->> 'age') from auth0.tree where id in ('e2', 'e8')";
    assert_eq!(pretend.all(ages).await, "18446744073709551615 true");
    assert_eq!(pretend.all("select extra -> 'count' from auth0.visits").await, "{\"many\": 1}");
    pretend.fill_again(&[]).await;
    assert_eq!(pretend.all("select distinct state from _auth0_sync.backfill where \"table\" in ('garden', 'tree', 'tool')").await, "done");
}
