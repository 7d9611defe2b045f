//! Whole tables are compared with Auth0: what no live source has told is found, counted and mended.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Emulator, Postgres, Stand, wait_until};
use crate::{SECONDS, becomes, calls, count, execute, fault, log_is_read, no_faults, path, same, text, user};

/// Nothing but the log brings changes, and what it does not bring counts as missed at once.
const QUICK: &str = "events = false\nlog_interval_ms = 100\n[sweep]\nevery_hours = 0\ngrace_seconds = 0.3\n";

async fn stand(users: u32) -> Stand {
    configured(users, QUICK).await
}

async fn configured(users: u32, configuration: &str) -> Stand {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(users).await).await;
    stand.configuration = configuration.to_owned();
    stand.restart_service().await;
    stand
}

/// Puts rows into the tenant without a trace in its log.
async fn smuggle(stand: &Stand, collections: Value) {
    stand.emulator.api.post("/_emulator/preload", json!({"collections": collections})).await;
}

/// Compares tables as an operator does; what the command says.
async fn sweep(stand: &Stand, tables: &[&str]) -> String {
    let (status, out, log) = stand.run(&[&["sweep"], tables].concat()).await;
    assert!(status.success(), "{out}{log}");
    out
}

async fn drift(pool: &PgPool, table: &str) -> Option<String> {
    let sql = format!(
        "select concat_ws(' ', source, inserted, updated, deleted) from _auth0_sync.drift where \"table\" = '{table}'"
    );
    text(pool, &sql).await
}

#[tokio::test]
async fn what_no_source_tells_is_found_counted_and_mended() {
    let stand = stand(30).await;
    let pool = stand.admin().await;
    let state = stand.emulator.state().await;
    let mut strange = state["user"][7].clone();
    strange["halo"] = json!("gold");
    let id = strange["user_id"].as_str().unwrap().to_owned();
    smuggle(&stand, json!({"/users": [strange]})).await;
    stand.emulator.api.patch(&path(&id), json!({"nickname": "known"})).await;
    let halo = format!("select extra ->> 'halo' from auth0.\"user\" where user_id = '{id}'");
    becomes(&pool, &halo, "gold").await;
    let mut known = state["user"][3].clone();
    known["nickname"] = json!("smuggled");
    known["updated_at"] = json!("2030-01-01T00:00:00.000Z");
    let role = json!({"id": "rol_ffffffffffffffff", "name": "smuggled", "description": "d"});
    smuggle(&stand, json!({"/users": [known], "/roles": [role]})).await;
    assert_eq!(count(&pool, "select count(*) from auth0.role where name = 'smuggled'").await, 0);
    let out = sweep(&stand, &[]).await;
    assert!(out.contains("role: ") && out.contains(", 1 differed"), "{out}");
    same(&stand).await;
    assert_eq!(drift(&pool, "role").await.as_deref(), Some("logs 1 0 0"));
    assert!(drift(&pool, "user").await.unwrap().ends_with(" 0 1 0"));
    assert_eq!(drift(&pool, "tenant").await, None);
    assert_eq!(text(&pool, &halo).await.as_deref(), Some("gold"), "an export does not show it");
    // A second look finds nothing.
    let out = sweep(&stand, &["role", "user"]).await;
    assert!(out.contains("role: ") && !out.contains(", 1 differed"), "{out}");
    assert_eq!(drift(&pool, "role").await.as_deref(), Some("logs 1 0 0"));
    let log = stand.service.as_ref().unwrap().log();
    assert!(log.contains("drift: ") && log.contains("table=\"role\""), "it is said: {log}");
    assert!(!log.contains("smuggled"), "and no value of a row");
}

#[tokio::test]
async fn a_table_is_compared_on_schedule() {
    let stand = configured(5, &QUICK.replace("every_hours = 0", "every_hours = 0.0003")).await;
    let pool = stand.admin().await;
    smuggle(
        &stand,
        json!({"/roles": [{"id": "rol_ffffffffffffffff", "name": "smuggled", "description": "d"}]}),
    )
    .await;
    becomes(&pool, "select name from auth0.role where id = 'rol_ffffffffffffffff'", "smuggled").await;
}

#[tokio::test]
async fn what_a_list_hides_stays_and_what_is_gone_goes() {
    let mut stand = stand(10).await;
    let pool = stand.admin().await;
    let api = &stand.emulator.api;
    let made = api.post("/api/v2/roles", json!({"name": "deleted in silence"})).await;
    let (gone, hidden) =
        (made["id"].as_str().unwrap(), text(&pool, "select min(id) from auth0.role").await.unwrap());
    same(&stand).await;
    // Deleted while nobody reads the log, and the log then goes on behind it.
    stand.kill_service().await;
    let api = &stand.emulator.api;
    api.delete(&format!("/api/v2/roles/{gone}")).await;
    let newest = api.get("/api/v2/logs?sort=date:-1&per_page=1&page=0").await[0]["log_id"].clone();
    execute(&pool, &format!("update _auth0_sync.checkpoint set position = '{}'", newest.as_str().unwrap()))
        .await;
    let roles = api.get("/api/v2/roles?per_page=100&page=0").await;
    let shown: Vec<_> =
        roles.as_array().unwrap().iter().filter(|role| role["id"] != json!(hidden)).cloned().collect();
    stand.restart_service().await;
    fault(
        &stand,
        json!({"match": {"method": "GET", "path": "^/api/v2/roles$"}, "do": "status", "status": 200,
        "body": {"start": 0, "limit": 100, "total": shown.len(), "roles": shown}}),
    )
    .await;
    sweep(&stand, &["role"]).await;
    no_faults(&stand).await;
    assert_eq!(count(&pool, &format!("select count(*) from auth0.role where id = '{hidden}'")).await, 1);
    assert_eq!(count(&pool, &format!("select count(*) from auth0.role where id = '{gone}'")).await, 0);
    assert_eq!(drift(&pool, "role").await.as_deref(), Some("logs 0 0 1"));
    same(&stand).await;
}

#[tokio::test]
async fn comparing_what_is_the_same_writes_nothing_and_costs_few_calls() {
    let stand = stand(2_000).await;
    let pool = stand.admin().await;
    let marks = |table: &str| {
        format!("select md5(string_agg(xmin::text || ctid::text, ',' order by ctid)) from auth0.\"{table}\"")
    };
    let mut before = Vec::new();
    for table in &stand.objects {
        before.push(text(&pool, &marks(table)).await);
    }
    stand.emulator.forget_calls().await;
    let out = sweep(&stand, &[]).await;
    assert!(out.contains("user: 2000 rows, 0 differed"), "{out}");
    for (table, before) in stand.objects.iter().zip(before) {
        assert_eq!(text(&pool, &marks(table)).await, before, "no row of {table} was written");
    }
    let read = calls(&stand, "GET ").await - calls(&stand, "GET /logs").await;
    assert!(read < 200, "{read} calls");
}

#[tokio::test]
async fn what_is_on_its_way_is_no_drift() {
    // The log is read so rarely that the comparison is always first.
    let quick = QUICK.replace("log_interval_ms = 100", "log_interval_ms = 1500");
    let stand = configured(40, &quick).await;
    let (api, pool) = (&stand.emulator.api, stand.admin().await);
    for round in 0..3 {
        for n in 0..6 {
            let user = user(&pool, round * 6 + n).await;
            api.patch(&path(&user), json!({"nickname": format!("round {round}")})).await;
        }
        api.delete(&path(&user(&pool, 25 + round).await)).await;
        let role = api.post("/api/v2/roles", json!({"name": format!("round {round}")})).await;
        let assigned = json!({"roles": [role["id"]]});
        api.post(&format!("{}/roles", path(&user(&pool, round).await)), assigned).await;
        api.post("/api/v2/organizations", json!({"name": format!("round-{round}")})).await;
        sweep(&stand, &[]).await;
    }
    same(&stand).await;
    let found = "select string_agg(concat_ws(' ', \"table\", inserted, updated, deleted), ', ') from _auth0_sync.drift";
    assert_eq!(text(&pool, found).await, None);
}

#[tokio::test]
async fn a_comparison_that_is_cut_short_is_made_again_and_the_others_are_not() {
    let mut stand = stand(10).await;
    let pool = stand.admin().await;
    smuggle(
        &stand,
        json!({"/roles": [{"id": "rol_ffffffffffffffff", "name": "smuggled", "description": "d"}]}),
    )
    .await;
    fault(
        &stand,
        json!({"match": {"method": "GET", "path": "^/api/v2/roles$"}, "do": "delay", "delay_ms": 60_000}),
    )
    .await;
    let ask = "insert into _auth0_sync.sweep (schema, \"table\", asked_at) select 'auth0', t, now() from unnest(array['role', 'tenant']) t";
    execute(&pool, ask).await;
    let begun = "select count(*) from _auth0_sync.sweep where started_at is not null and finished_at is null and \"table\" = 'role'";
    wait_until("the comparison has begun", SECONDS, async || count(&pool, begun).await == 1).await;
    stand.kill_service().await;
    no_faults(&stand).await;
    stand.restart_service().await;
    becomes(&pool, "select name from auth0.role where id = 'rol_ffffffffffffffff'", "smuggled").await;
    let over = "select count(*) from _auth0_sync.sweep where asked_at is null and finished_at is not null";
    wait_until("both are over", SECONDS, async || count(&pool, over).await == 2).await;
}

#[tokio::test]
async fn a_log_that_has_dropped_entries_unread_leads_to_a_comparison_of_everything() {
    let mut stand = stand(20).await;
    let pool = stand.admin().await;
    let (changed, deleted) = (user(&pool, 0).await, user(&pool, 1).await);
    log_is_read(&stand, &pool).await;
    stand.kill_service().await;
    stand.emulator.api.patch(&path(&changed), json!({"nickname": "meanwhile"})).await;
    stand.emulator.api.delete(&path(&deleted)).await;
    // Two days later Auth0 has nothing left of that.
    stand.emulator.api.delete("/_emulator/logs").await;
    execute(
        &pool,
        "update _auth0_sync.checkpoint set updated_at = now() - interval '2 days' where source = 'logs'",
    )
    .await;
    stand.restart_service().await;
    same(&stand).await;
    let log = stand.service.as_ref().unwrap().log();
    assert!(log.contains("cannot be read on from where it stood"), "it is said: {log}");
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.drift").await, 0, "a known gap is no drift");
    // The log is followed on.
    stand.emulator.api.post("/api/v2/roles", json!({"name": "later"})).await;
    becomes(&pool, "select name from auth0.role where name = 'later'", "later").await;
}

#[tokio::test]
async fn a_checkpoint_that_auth0_does_not_take_any_more_leads_to_a_comparison_too() {
    let mut stand = stand(20).await;
    let pool = stand.admin().await;
    let deleted = user(&pool, 1).await;
    log_is_read(&stand, &pool).await;
    stand.kill_service().await;
    stand.emulator.api.delete(&path(&deleted)).await;
    stand.emulator.api.delete("/_emulator/logs").await;
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/logs$"}, "times": 1, "do": "status", "status": 400,
        "body": {"statusCode": 400, "error": "Bad Request", "message": "Invalid checkpoint."}}))
    .await;
    stand.restart_service().await;
    same(&stand).await;
    let over = "select count(*) from _auth0_sync.sweep where finished_at is not null";
    wait_until("every table has been compared", SECONDS, async || count(&pool, over).await == 8).await;
}
